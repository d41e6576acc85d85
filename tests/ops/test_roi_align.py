import pytest
import torch
import torchvision.ops
from torch.testing import assert_close

from frcnn.ops import reference
from frcnn.ops.roi_align import roi_align


def features_and_boxes(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 5, 12, 17, generator=generator, dtype=torch.float64)
    corner = torch.rand(20, 2, generator=generator, dtype=torch.float64) * torch.tensor([130.0, 90.0]) - 10
    boxes = torch.cat((corner, corner + 90 * torch.rand(20, 2, generator=generator, dtype=torch.float64)), dim=1)
    boxes[0] = torch.tensor([30.0, 30.0, 30.0, 30.0])  # no area
    boxes[1] = torch.tensor([-300.0, -300.0, -200.0, -200.0])  # far outside
    return features, [boxes[:13], boxes[13:]]


@pytest.mark.parametrize("form", [roi_align, reference.roi_align])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("samples", [0, 1, 2, 3])
def test_against_torchvision(form, aligned, samples):
    """Row 6: both modes, fixed and adaptive sampling, boxes outside and without area."""
    features, boxes = features_and_boxes()
    wanted = torchvision.ops.roi_align(features, boxes, 3, 1 / 8, samples or -1, aligned=aligned)
    assert_close(form(features, boxes, 3, 8.0, samples, aligned), wanted)


@pytest.mark.parametrize("form", [roi_align, reference.roi_align])
def test_by_hand_a_ramp_is_read_at_the_bins_centres(form):
    """Cell i of a ramp holds i, and its centre is at pixel (i + .5) * stride."""
    ramp = torch.arange(10.0).expand(1, 1, 10, 10)
    region = form(ramp, [torch.tensor([[16.0, 16.0, 48.0, 48.0]])], 2, 8.0)
    assert_close(region[0, 0], torch.tensor([[2.5, 4.5], [2.5, 4.5]]))


@pytest.mark.parametrize("form", [roi_align, reference.roi_align])
def test_unaligned_boxes_are_at_least_one_cell(form):
    ramp = torch.arange(10.0).expand(1, 1, 10, 10)
    region = form(ramp, [torch.tensor([[16.0, 16.0, 17.0, 17.0]])], 1, 8.0, aligned=False)
    assert region.item() == pytest.approx(2.5)  # one cell from 2 to 3, not an eighth


def test_reference_gradient_reaches_features_and_boxes():
    """Row 7: exact training needs the derivative with respect to the box."""
    features = torch.randn(
        1, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    box = torch.tensor([[3.3, 5.1, 30.7, 40.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, b: reference.roi_align(f, [b], 2, 8.0), (features, box))


def test_compiled_gradient_reaches_the_features():
    features = torch.randn(
        1, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    box = torch.tensor([[3.3, 5.1, 30.7, 40.2]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: roi_align(f, [box], 2, 8.0), (features,))


@pytest.mark.parametrize("form", [roi_align, reference.roi_align])
def test_no_boxes(form):
    assert form(torch.zeros(2, 5, 4, 4), [torch.zeros(0, 4)] * 2, 7, 16.0).shape == (0, 5, 7, 7)


def test_pictures_must_match():
    with pytest.raises(ValueError, match="2 pictures of features but 1"):
        roi_align(torch.zeros(2, 5, 4, 4), [torch.zeros(0, 4)], 7, 16.0)


def test_bfloat16_keeps_its_type_and_boxes_their_precision():
    """Row 28."""
    features, boxes = features_and_boxes()
    low = roi_align(features.bfloat16(), [b.float() for b in boxes], 3, 8.0)
    wanted = roi_align(features.bfloat16().float(), [b.float() for b in boxes], 3, 8.0)
    assert low.dtype == torch.bfloat16
    assert_close(low, wanted.bfloat16())
