"""What the presets say, against the table of points on which implementations differ: paper and modern."""

import math

import pytest

from frcnn.config import Config, load_preset, preset_names
from frcnn.model.backbone import build_body
from frcnn.weights.build import settle

PAPER = ("vgg16", "zf")
MODERN = ("resnet50_fpn", "resnet50_fpn_v2", "mobilenet_v3_large_fpn", "mobilenet_v3_large_320_fpn")
MOBILENETS = MODERN[2:]
OURS = tuple(name for name in preset_names() if name not in (*PAPER, *MODERN))


def columns(paper: object, modern: object) -> list:
    """The presets of both columns, each with what its column says."""
    return [*((name, paper) for name in PAPER), *((name, modern) for name in MODERN)]


def settings(section: str, preset: str, *names: str) -> tuple:
    """The values of some settings of one section of the model."""
    values = getattr(load_preset(preset).model, section)
    return tuple(getattr(values, name) for name in names)


@pytest.mark.parametrize(("preset", "wanted"), columns(("roi_pool", True, 2), ("roi_align", False, 2)))
def test_pooling(preset: str, wanted: tuple) -> None:
    """Rows 5 and 6: RoIPool in the paper's; RoIAlign as it was first, 2 x 2 samples, in torchvision's."""
    assert settings("head", preset, "pooling", "aligned", "samples") == wanted


@pytest.mark.parametrize("preset", OURS)
def test_pooling_of_our_own(preset: str) -> None:
    """Row 6: aligned, 2 x 2 samples, but for the smaller and larger relatives of torchvision's."""
    of_torchvision = settings("input", preset, "padding") == ("torchvision",)
    assert settings("head", preset, "pooling", "aligned", "samples") == ("roi_align", not of_torchvision, 2)


@pytest.mark.parametrize(("preset", "head_beta"), columns(1.0, 1 / 9))
def test_smooth_l1(preset: str, head_beta: float) -> None:
    """Row 8: 1/9 in the RPN; in the head 1, or 1/9 as well."""
    assert settings("rpn", preset, "box_beta") == pytest.approx((1 / 9,))
    assert settings("head", preset, "box_beta") == pytest.approx((head_beta,))


@pytest.mark.parametrize("preset", preset_names())
def test_target_normalisation(preset: str) -> None:
    """Row 9: mean 0, standard deviation .1 .1 .2 .2, which are torchvision's weights 10 10 5 5."""
    mean, std = settings("head", preset, "delta_mean", "delta_std")
    assert mean == (0.0, 0.0, 0.0, 0.0)
    assert tuple(1 / value for value in std) == pytest.approx((10.0, 10.0, 5.0, 5.0))


@pytest.mark.parametrize("preset", preset_names())
def test_rpn_losses(preset: str) -> None:
    """Row 10: both over the sampled anchors, weight 1."""
    assert settings("rpn", preset, "box_normaliser", "box_weight") == ("sampled", 1.0)


@pytest.mark.parametrize(("preset", "kept"), columns(False, True))
def test_anchors_across_the_border(preset: str, kept: bool) -> None:
    """Rows 11 and 32: left out of training by the paper; kept by torchvision, over padding as well."""
    assert settings("rpn", preset, "cross_border_anchors", "anchors_over_padding") == (kept, kept)


@pytest.mark.parametrize(("preset", "wanted"), columns(("none", True, "nominal"), ("torchvision", False, "measured")))
def test_anchors(preset: str, wanted: tuple) -> None:
    """Row 15: exact and centred; or rounded, at the corners, with strides from the padded size."""
    assert settings("anchors", preset, "rounding", "centred", "stride") == wanted
    assert settings("anchors", preset, "ratios") == ((0.5, 1.0, 2.0),)


def test_anchor_sizes() -> None:
    """Row 15: the paper's three on one level; torchvision's one a level; its MobileNets' five on each of three."""
    five = (32.0, 64.0, 128.0, 256.0, 512.0)
    sizes = {preset: load_preset(preset).model.anchors.sizes for preset in (*PAPER, *MODERN)}
    assert all(sizes[preset] == ((128.0, 256.0, 512.0),) for preset in PAPER)
    assert all(sizes[preset] == tuple((size,) for size in five) for preset in MODERN[:2])
    assert all(sizes[preset] == (five,) * 3 for preset in MOBILENETS)


@pytest.mark.parametrize(("preset", "classifier"), columns("softmax", "sigmoid"))
def test_rpn_mini_batch(preset: str, classifier: str) -> None:
    """Row 16: 256 anchors, up to 128 positive; positive from .7, negative below .3."""
    assert settings("rpn", preset, "samples_per_image", "positive_fraction", "classifier") == (256, 0.5, classifier)
    assert settings("rpn", preset, "positive_above", "negative_below") == (0.7, 0.3)


@pytest.mark.parametrize(("preset", "samples"), columns(128, 512))
def test_roi_mini_batch(preset: str, samples: int) -> None:
    """Rows 17, 18 and 19: a quarter foreground, background from 0 to .5, the ground truth among the proposals."""
    assert settings("head", preset, "samples_per_image", "foreground_fraction") == (samples, 0.25)
    assert settings("head", preset, "foreground_above", "background_above", "background_below") == (0.5, 0.0, 0.5)
    assert settings("head", preset, "add_ground_truth") == (True,)


@pytest.mark.parametrize(
    ("preset", "limits", "least_score"),
    [
        ("vgg16", (12000, 2000, 6000, 300), 0.0),
        ("zf", (12000, 2000, 6000, 300), 0.0),
        ("resnet50_fpn", (2000, 2000, 1000, 1000), 0.0),
        ("resnet50_fpn_v2", (2000, 2000, 1000, 1000), 0.0),
        ("mobilenet_v3_large_fpn", (2000, 2000, 1000, 1000), 0.05),
        ("mobilenet_v3_large_320_fpn", (2000, 2000, 150, 150), 0.05),
    ],
)
def test_proposals(preset: str, limits: tuple[int, ...], least_score: float) -> None:
    """Row 20: before and after NMS in training, then at test; NMS at .7."""
    names = ("before_nms_train", "after_nms_train", "before_nms_test", "after_nms_test")
    assert settings("rpn", preset, *names) == limits
    assert settings("rpn", preset, "score_threshold", "nms_threshold") == (least_score, 0.7)


@pytest.mark.parametrize(("preset", "wanted"), columns((16.0, True, 0.0), (1e-3, False, 1e-2)))
def test_smallest_boxes(preset: str, wanted: tuple) -> None:
    """Row 21: 16 px times the image scale; or 1e-3, and detections of 1e-2."""
    assert (*settings("rpn", preset, "min_size", "min_size_scaled"), *settings("head", preset, "min_size")) == wanted


@pytest.mark.parametrize(("preset", "nms_threshold"), columns(0.3, 0.5))
def test_detections(preset: str, nms_threshold: float) -> None:
    """Row 22: above .05, at most 100 a picture, NMS at .3 or .5."""
    names = ("score_threshold", "nms_threshold", "max_detections")
    assert settings("head", preset, *names) == (0.05, nms_threshold, 100)


@pytest.mark.parametrize("preset", preset_names())
def test_difficult_objects_are_ordinary_background(preset: str) -> None:
    """Row 23: regions are ignored only where it is asked for."""
    assert load_preset(preset).data.ignore_regions is False


@pytest.mark.parametrize(("preset", "sides"), columns((600, 1000), (800, 1333)))
def test_input(preset: str, sides: tuple[int, int]) -> None:
    """Row 24: 600 / 1000 and 800 / 1333; bilinear without antialias; the mean and deviation of torchvision's."""
    sides = (320, 640) if preset == "mobilenet_v3_large_320_fpn" else sides
    assert settings("input", preset, "resize", "short_side", "long_side") == ("short_side", *sides)
    assert settings("input", preset, "antialias", "channel_order", "pixel_scale") == (False, "rgb", 1.0)
    assert settings("input", preset, "mean", "std") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("preset", "frozen", "batch_norm"),
    [
        ("vgg16", 2, "none"),
        ("zf", 0, "none"),
        ("resnet50_fpn", 2, "frozen"),  # of 5: three train
        ("resnet50_fpn_v2", 2, "live"),
        ("mobilenet_v3_large_fpn", 3, "frozen"),  # of 6
        ("mobilenet_v3_large_320_fpn", 3, "frozen"),
    ],
)
def test_what_is_frozen(preset: str, frozen: int, batch_norm: str) -> None:
    """Row 26: conv1 and conv2 of VGG-16, nothing of ZF; three stages train, with frozen batch norm but in "v2"."""
    assert settings("backbone", preset, "frozen_stages", "batch_norm") == (frozen, batch_norm)
    assert len(build_body(load_preset(preset).model.backbone).stages) - frozen == (5 if preset == "zf" else 3)


@pytest.mark.parametrize("preset", preset_names())
def test_nothing_is_frozen_at_random_values(preset: str) -> None:
    """Row 26 and the structures: without ImageNet weights everything trains, batch norm included."""
    backbone = settle(load_preset(preset).model, None).backbone
    assert backbone.frozen_stages == 0
    assert backbone.batch_norm == ("none" if preset in PAPER else "live")


@pytest.mark.parametrize(("preset", "dropout"), columns(0.5, 0.0))
def test_dropout(preset: str, dropout: float) -> None:
    """Row 26: after fc6 and fc7 of the paper's networks alone."""
    assert settings("head", preset, "dropout") == (dropout,)


def test_solvers() -> None:
    """Row 27: both of the paper's have its solver; all of torchvision's the rule for 16 pictures."""
    names = ("lr", "lr_scaling", "momentum", "weight_decay", "bias_lr_factor")

    def solver(preset: str) -> tuple:
        return tuple(getattr(load_preset(preset).train, name) for name in names)

    assert {solver(preset) for preset in PAPER} == {(0.001, "none", 0.9, 5e-4, 2.0)}
    assert {solver(preset) for preset in MODERN} == {(0.02, "linear", 0.9, 1e-4, 1.0)}


@pytest.mark.parametrize("preset", [*PAPER, *MODERN])
def test_schedules(preset: str) -> None:
    """Row 27: 50k + 20k steps of 2 pictures, no warm-up; or 12 epochs with one."""
    train = load_preset(preset).train
    if preset in PAPER:
        assert (train.steps, train.batch_size, train.warmup_steps, train.gamma) == (70_000, 2, 0, 0.1)
        assert [round(share * 70_000) for share in train.milestones] == [50_000]
    else:
        assert (train.steps, train.epochs) == (None, 12)
        assert train.warmup_steps > 0


@pytest.mark.parametrize(("preset", "padding"), columns("exact", "torchvision"))
def test_padding(preset: str, padding: str) -> None:
    """Row 32: a batch equals single runs; or torchvision's, which depends on the batch."""
    assert settings("input", preset, "padding") == (padding,)


@pytest.mark.parametrize("preset", MODERN)
def test_canonical_size(preset: str) -> None:
    """Row 33: 224 px."""
    assert settings("head", preset, "canonical_size") == (224.0,)


@pytest.mark.parametrize("preset", MODERN)
def test_batch_norm_epsilon(preset: str) -> None:
    """Row 34: 1e-5, unless the weights are known to want another."""
    assert settings("backbone", preset, "batch_norm_eps") == (1e-5,)


@pytest.mark.parametrize("preset", preset_names())
def test_presets_are_complete_and_finite(preset: str) -> None:
    """Each is a whole configuration, which says of itself what it is."""
    config = load_preset(preset)
    assert isinstance(config, Config)
    assert (config.preset, bool(config.summary)) == (preset, True)
    assert math.isfinite(config.train.lr)
