import pytest
import torch
import torchvision.ops
from torch import Tensor
from torch.testing import assert_close

from frcnn.ops.boxes import (
    at_least_float32,
    box_area,
    box_iou,
    clip,
    covered_share,
    flip_horizontally,
    is_inside,
    scale_boxes,
    smaller_side,
)


def random_boxes(count: int, seed: int = 0, width: float = 200.0, height: float = 150.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([width - 20, height - 20])
    return torch.cat((corner, corner + 4 + 60 * torch.rand(count, 2, generator=generator)), dim=1)


def test_area_of_the_whole_picture_is_width_times_height():
    assert box_area(torch.tensor([[0.0, 0.0, 500.0, 375.0]])).item() == 500 * 375


def test_iou_by_hand():
    a, b = torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([[5.0, 0.0, 15.0, 10.0], [10.0, 0.0, 20.0, 10.0]])
    assert_close(box_iou(a, b), torch.tensor([[50 / 150, 0.0]]))  # boxes that only touch share nothing


def test_iou_against_torchvision():
    a, b = random_boxes(30), random_boxes(50, seed=1)
    assert_close(box_iou(a, b), torchvision.ops.box_iou(a, b))


def test_iou_equals_the_devkit_s_on_inclusive_one_based_boxes():
    """Row 1: half-open corners give what VOC's + 1 arithmetic gives for the same pixels."""
    ours = box_iou(torch.tensor([[47.0, 239.0, 195.0, 371.0]]), torch.tensor([[59.0, 210.0, 205.0, 360.0]]))
    a, b = (48, 240, 195, 371), (60, 211, 205, 360)  # the same boxes as the devkit writes them

    def inclusive(x1: int, y1: int, x2: int, y2: int) -> int:
        return (x2 - x1 + 1) * (y2 - y1 + 1)

    shared = inclusive(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    assert ours.item() == pytest.approx(shared / (inclusive(*a) + inclusive(*b) - shared), abs=1e-6)  # float32


def test_iou_of_boxes_without_area_is_zero():
    empty = torch.tensor([[5.0, 5.0, 5.0, 5.0]])
    assert_close(box_iou(empty, empty), torch.zeros(1, 1))
    assert box_iou(empty[:0], random_boxes(3)).shape == (0, 3)


def test_iou_raises_half_types():
    """Row 28: in bfloat16 a 1 px shift at 1000 px would vanish."""
    boxes = torch.tensor([[0.0, 0.0, 64.0, 64.0]], dtype=torch.bfloat16)
    assert box_iou(boxes, boxes).dtype == torch.float32
    assert at_least_float32(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


def test_flip_is_width_minus_x_with_corners_swapped():
    """Row 4: not W - x - 1."""
    boxes = torch.tensor([[10.0, 20.0, 40.0, 60.0]])
    assert_close(flip_horizontally(boxes, 100), torch.tensor([[60.0, 20.0, 90.0, 60.0]]))
    assert_close(flip_horizontally(flip_horizontally(boxes, 100), 100), boxes)


def test_flip_follows_the_pixels():
    picture = torch.zeros(20, 30)
    picture[5:9, 3:11] = 1
    x1, y1, x2, y2 = flip_horizontally(torch.tensor([[3.0, 5.0, 11.0, 9.0]]), 30)[0].int().tolist()
    flipped = picture.flip(1)
    assert flipped[y1:y2, x1:x2].all()
    assert flipped.sum() == (y2 - y1) * (x2 - x1)


def test_clip_and_inside():
    boxes = torch.tensor([[-5.0, 2.0, 120.0, 90.0], [0.0, 0.0, 100.0, 80.0]])
    assert_close(clip(boxes, (80, 100)), torch.tensor([[0.0, 2.0, 100.0, 80.0], [0.0, 0.0, 100.0, 80.0]]))
    assert is_inside(boxes, (80, 100)).tolist() == [False, True]


def test_scale_is_per_axis():
    assert_close(scale_boxes(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), (10.0, 2.0)), torch.tensor([[2.0, 20.0, 6.0, 40.0]]))
    assert smaller_side(torch.tensor([[1.0, 2.0, 3.0, 9.0]])).item() == 2


def test_covered_share_is_of_the_box_itself():
    """Row 23: a small candidate inside a large region is wholly covered, however small their IoU."""
    boxes = torch.tensor([[10.0, 10.0, 20.0, 20.0], [95.0, 0.0, 105.0, 10.0], [200.0, 0.0, 210.0, 10.0]])
    regions = torch.tensor([[0.0, 0.0, 100.0, 100.0], [0.0, 0.0, 96.0, 5.0]])
    assert_close(covered_share(boxes, regions), torch.tensor([1.0, 0.5, 0.0]))
    assert_close(covered_share(boxes, regions[:0]), torch.zeros(3))


@pytest.mark.parametrize(("given", "raised"), [(torch.float16, torch.float32), (torch.float64, torch.float64)])
def test_iou_is_in_at_least_float32_whatever_the_autocast(given, raised):
    """Row 28: in float16 areas beyond 65504 would be infinite; float64 stays."""
    boxes = torch.tensor([[0.0, 0.0, 1000.0, 800.0]], dtype=given)
    with torch.autocast("cpu", torch.bfloat16):
        overlap = box_iou(boxes, boxes)
    assert_close(overlap, torch.ones(1, 1, dtype=raised))
