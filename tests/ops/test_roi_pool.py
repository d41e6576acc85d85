import pytest
import torch
import torchvision.ops
from torch.testing import assert_close

from frcnn.ops import reference
from frcnn.ops.roi_pool import roi_pool

FORMS = [roi_pool, reference.roi_pool]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("output_size", [2, 3, 7])
def test_against_torchvision(form, output_size):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, 12, 17, generator=generator)
    corner = torch.rand(40, 2, generator=generator) * torch.tensor([300.0, 200.0]) - 20
    boxes = torch.cat((corner, corner + 150 * torch.rand(40, 2, generator=generator)), dim=1)
    boxes[0] = torch.tensor([500.0, 500.0, 600.0, 600.0])  # outside: empty bins are 0
    wanted = torchvision.ops.roi_pool(features, [boxes[:25], boxes[25:]], output_size, 1 / 16)
    assert_close(form(features, [boxes[:25], boxes[25:]], output_size, 16.0), wanted)


@pytest.mark.parametrize("form", FORMS)
def test_rounding_is_half_away_from_zero(form):
    """Row 5: 8 / 16 is cell 1, where torch.round says 0; and -8 / 16 is cell -1."""
    features = torch.arange(1.0, 17.0).view(1, 1, 4, 4)
    one_cell = form(features, [torch.tensor([[8.0, 8.0, 8.0, 8.0]])], 1, 16.0)
    assert one_cell.item() == 6.0  # row 1, column 1
    outside = form(features, [torch.tensor([[-8.0, -8.0, -8.0, -8.0]])], 1, 16.0)
    assert outside.item() == 0.0  # cell -1 does not exist


@pytest.mark.parametrize("form", FORMS)
def test_both_ends_belong_to_the_box(form):
    """Row 5: width + 1 cells, so a box from cell 1 to cell 2 has two."""
    features = torch.arange(1.0, 17.0).view(1, 1, 4, 4)
    region = form(features, [torch.tensor([[16.0, 16.0, 32.0, 32.0]])], 2, 16.0)
    assert_close(region[0, 0], torch.tensor([[6.0, 7.0], [10.0, 11.0]]))


@pytest.mark.parametrize("form", FORMS)
def test_gradient_reaches_the_strongest_cell_alone(form):
    features = torch.arange(1.0, 17.0).view(1, 1, 4, 4).requires_grad_()
    form(features, [torch.tensor([[0.0, 0.0, 48.0, 48.0]])], 1, 16.0).sum().backward()
    assert features.grad is not None
    assert features.grad.nonzero().tolist() == [[0, 0, 3, 3]]


@pytest.mark.parametrize("form", FORMS)
def test_no_boxes(form):
    assert form(torch.zeros(2, 5, 4, 4), [torch.zeros(0, 4)] * 2, 7, 16.0).shape == (0, 5, 7, 7)


def test_bfloat16_and_autocast():
    """Row 28: torchvision's own fails under the processor's autocast."""
    features = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    boxes = [torch.tensor([[3.0, 4.0, 90.0, 100.0]])]
    with torch.autocast("cpu", torch.bfloat16):
        low = roi_pool(features, boxes, 2, 16.0)
    assert low.dtype == torch.bfloat16
    assert_close(low.float(), roi_pool(features.float(), boxes, 2, 16.0))
