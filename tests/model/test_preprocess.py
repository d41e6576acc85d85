import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from frcnn.config import InputConfig, load_preset
from frcnn.model.preprocess import at_scale, groups_that_share_a_batch, network_size, preprocess

PAPER, MODERN, SMALL = (load_preset(name).model.input for name in ("vgg16", "resnet50_fpn", "mobilenet_v2_fpn"))
SQUARE = PAPER.model_copy(update={"resize": "square", "short_side": 800})


@pytest.mark.parametrize(
    ("size", "rule", "expected"),
    [
        ((375, 500), PAPER, (600, 800)),
        ((500, 375), PAPER, (800, 600)),
        ((300, 600), PAPER, (500, 1000)),  # the long side stops it
        ((375, 500), SQUARE, (800, 800)),
        ((600, 800), MODERN, (800, 1066)),
        ((480, 640), MODERN, (800, 1066)),
        ((400, 900), MODERN, (592, 1333)),
        ((375, 500), SMALL, (320, 426)),
        ((1, 5000), PAPER, (1, 1000)),  # never less than a pixel
    ],
)
def test_network_size_by_hand(size, rule, expected):
    """Row 24: 600 / 1000, 800 x 800, 800 / 1333; sides are rounded down."""
    assert network_size(size, rule) == expected


@pytest.mark.parametrize("size", [(375, 500), (333, 500), (281, 480), (97, 211), (640, 427)])
def test_resize_normalise_and_pad_against_torchvision(size):
    """Rows 24 and 32, modern."""
    pictures = [torch.rand(3, *size, generator=torch.Generator().manual_seed(0)), torch.rand(3, 200, 150)]
    rule = MODERN.model_copy(update={"short_side": 160, "long_side": 266})
    peer = GeneralizedRCNNTransform(160, 266, list(rule.mean), list(rule.std)).eval()
    wanted, _ = peer([picture.clone() for picture in pictures])
    batch = preprocess(pictures, rule)
    assert batch.image_sizes == wanted.image_sizes
    assert_close(batch.pixels, wanted.tensors, rtol=1e-4, atol=1e-5)  # normalised before or after resizing: rounding


def test_exact_padding_is_to_the_batch_and_zero():
    """Row 32."""
    batch = preprocess([torch.rand(3, 320, 426), torch.rand(3, 426, 320)], SMALL)
    assert batch.pixels.shape == (2, 3, 426, 426)
    assert batch.image_sizes == [(320, 426), (426, 320)]
    assert not batch.pixels[0, :, 320:].any()
    assert not batch.pixels[1, :, :, 320:].any()


def test_torchvision_padding_is_to_a_multiple_of_32():
    """Row 32."""
    rule = MODERN.model_copy(update={"short_side": 100, "long_side": 200})
    assert preprocess([torch.rand(3, 50, 60)], rule).pixels.shape == (1, 3, 128, 128)


def test_groups():
    """Row 32: exact padding lets only pictures of one network size share a batch."""
    sizes = [(375, 500), (500, 375), (750, 1000)]
    assert groups_that_share_a_batch(sizes, PAPER) == [[0, 2], [1]]
    assert groups_that_share_a_batch(sizes, MODERN) == [[0, 1, 2]]


def test_caffe_s_pixels():
    """Row 24: BGR of 0 to 255 minus the mean, nothing divided."""
    rule = InputConfig(
        short_side=2, long_side=9, mean=(102.9801, 115.9465, 122.7717), std=(1, 1, 1), pixel_scale=255,
        channel_order="bgr", padding="exact",
    )  # fmt: skip
    red = torch.zeros(3, 2, 2)
    red[0] = 1
    assert_close(preprocess([red], rule).pixels[0, :, 0, 0], torch.tensor([-102.9801, -115.9465, 255 - 122.7717]))


@pytest.mark.parametrize("rule", [PAPER, MODERN, SMALL, SQUARE])
@pytest.mark.parametrize("size", [(281, 480), (640, 427)])
def test_one_pass_gives_what_the_steps_one_after_another_give(rule, size):
    """A picture that has a gradient goes the other way."""
    pictures = [torch.rand(3, *size, generator=torch.Generator().manual_seed(0)), torch.rand(3, 50, 40)]
    batch = preprocess(pictures, rule)
    stepwise = preprocess([picture.clone().requires_grad_() for picture in pictures], rule)
    assert stepwise.pixels.requires_grad
    assert not batch.pixels.requires_grad
    assert batch.pixels.is_contiguous(memory_format=torch.channels_last)
    # Normalised before or after resizing, and pixels of up to 255: float32 has seven digits.
    assert_close(batch.pixels, stepwise.pixels.detach(), rtol=1e-5, atol=2e-4 if rule.pixel_scale > 1 else 1e-5)


def test_the_gradient_of_a_picture_is_what_a_step_along_it_gains():
    rule = MODERN.model_copy(update={"short_side": 16, "padding": "exact"})
    image = torch.rand(3, 5, 7, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda i: preprocess([i], rule).pixels, (image.requires_grad_(),))


def test_inputs_stay_as_they_were():
    picture = torch.rand(3, 30, 40)
    before = picture.clone()
    preprocess([picture], MODERN.model_copy(update={"short_side": 30, "long_side": 40}))
    assert torch.equal(picture, before)


def test_scales_are_per_axis():
    batch = preprocess([torch.rand(3, 400, 200)], SQUARE.model_copy(update={"short_side": 100}))
    assert batch.scales(0) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (torch.zeros(3, 5, 5, dtype=torch.uint8), "divide by 255"),
        (torch.zeros(1, 5, 5), r"\(3, H, W\)"),
        (torch.zeros(3, 0, 5), "at least 1"),
    ],
)
def test_what_is_no_picture(picture, message):
    with pytest.raises(ValueError, match=message):
        preprocess([picture], PAPER)


@pytest.mark.parametrize(
    ("canvas", "padding", "expected"),
    [
        ((0, 0), "exact", (64, 85)),
        ((70, 90), "exact", (70, 90)),
        ((60, 100), "exact", (64, 100)),
        ((90, 80), "exact", (90, 85)),
        ((0, 0), "torchvision", (64, 96)),
        ((65, 97), "torchvision", (96, 128)),
    ],
)
def test_a_batch_is_as_large_as_its_canvas_at_least(canvas, padding, expected):
    """All processes pad their part of a batch alike; pictures stay where they are, and the rest is the mean colour."""
    rule = MODERN.model_copy(update={"short_side": 64, "long_side": 200, "padding": padding})
    picture = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
    plain, batch = preprocess([picture], rule), preprocess([picture], rule, canvas)
    assert tuple(batch.pixels.shape[2:]) == expected
    assert torch.equal(batch.pixels[:, :, :64, :85], plain.pixels[:, :, :64, :85])
    assert not batch.pixels[:, :, 64:].any()
    assert not batch.pixels[:, :, :, 85:].any()
    assert (batch.image_sizes, batch.original_sizes) == (plain.image_sizes, plain.original_sizes)


def test_another_scale_has_its_bound_in_proportion():
    """600 / 1000 at 480 is 480 / 800; and nothing else is changed."""
    assert at_scale(PAPER, 480) == PAPER.model_copy(update={"short_side": 480, "long_side": 800})
    assert at_scale(MODERN, 640).long_side == 1066  # of 1066.4
    assert at_scale(MODERN, 672).long_side == 1120  # of 1119.7
    assert at_scale(PAPER, PAPER.short_side) == PAPER
    assert network_size((500, 600), at_scale(SQUARE, 300)) == (300, 300)
