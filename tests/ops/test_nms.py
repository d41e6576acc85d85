import pytest
import torch
import torchvision.ops

from frcnn.ops import reference
from frcnn.ops.nms import batched_nms, moved_apart, nms
from frcnn.ops.reference import batched_nms as reference_batched_nms


def boxes_and_scores(count: int, seed: int = 0, equal: bool = False):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 100
    boxes = torch.cat((corner, corner + 5 + 50 * torch.rand(count, 2, generator=generator)), dim=1)
    scores = torch.full((count,), 0.5) if equal else torch.rand(count, generator=generator)
    return boxes, scores


@pytest.mark.parametrize("form", [nms, reference.nms])
def test_by_hand(form):
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    scores = torch.tensor([0.6, 0.9, 0.8, 0.1])
    assert form(boxes, scores, 0.5).tolist() == [1, 2, 3]
    assert form(boxes, scores, 0.5, max_keep=2).tolist() == [1, 2]
    assert form(boxes, scores, 0.2).tolist() == [1, 3]


@pytest.mark.parametrize("form", [nms, reference.nms])
def test_iou_equal_to_the_threshold_is_kept(form):
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])  # IoU is exactly .5
    assert len(form(boxes, torch.tensor([0.9, 0.8]), 0.5)) == 2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("equal", [False, True])
def test_reference_and_compiled_agree(seed, equal):
    boxes, scores = boxes_and_scores(200, seed, equal)
    assert torch.equal(nms(boxes, scores, 0.3), reference.nms(boxes, scores, 0.3))
    assert torch.equal(nms(boxes, scores, 0.3), torchvision.ops.nms(boxes, scores, 0.3))


@pytest.mark.parametrize("seed", range(5))
def test_batched_is_a_loop_over_groups(seed):
    """Row 35: each group alone."""
    boxes, scores = boxes_and_scores(200, seed)
    groups = torch.randint(0, 4, (200,), generator=torch.Generator().manual_seed(seed))
    kept = torch.cat(
        [(groups == g).nonzero()[:, 0][nms(boxes[groups == g], scores[groups == g], 0.3)] for g in range(4)]
    )
    wanted = kept[scores[kept].argsort(descending=True)]
    assert torch.equal(batched_nms(boxes, scores, groups, 0.3), wanted)
    assert torch.equal(reference_batched_nms(boxes, scores, groups, 0.3), wanted)
    assert torch.equal(batched_nms(boxes, scores, groups, 0.3, max_keep=7), wanted[:7])


def test_groups_do_not_merge_by_rounding():
    """Row 35: an offset of group * largest coordinate in float32 loses these pixels."""
    boxes = torch.tensor([[0.0, 0.0, 0.004, 0.004], [0.0, 0.006, 0.004, 0.01], [0.0, 0.0, 60000.0, 60000.0]])
    groups = torch.tensor([300, 300, 0])
    assert sorted(batched_nms(boxes, torch.tensor([0.9, 0.8, 0.7]), groups, 0.3).tolist()) == [0, 1, 2]


@pytest.mark.parametrize("form", [batched_nms, reference_batched_nms])
def test_equal_scores_come_in_the_order_given(form):
    boxes = torch.tensor([[0.0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10]])
    assert form(boxes, torch.ones(3), torch.tensor([1, 0, 1]), 0.5).tolist() == [0, 1, 2]


@pytest.mark.parametrize("form", [nms, reference.nms])
def test_twice_is_once(form):
    boxes, scores = boxes_and_scores(100)
    kept = form(boxes, scores, 0.4)
    assert torch.equal(form(boxes[kept], scores[kept], 0.4), torch.arange(len(kept)))


@pytest.mark.parametrize("form", [batched_nms, reference_batched_nms])
def test_no_boxes(form):
    assert len(form(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), 0.5)) == 0


def test_half_types_are_raised():
    """Row 28."""
    boxes, scores = boxes_and_scores(50)
    boxes, scores = boxes.bfloat16(), scores.bfloat16()
    assert torch.equal(nms(boxes, scores, 0.4), nms(boxes.float(), scores.float(), 0.4))


def test_float16_is_raised():
    """Row 28: each a million square pixels, infinite in float16."""
    boxes = torch.tensor([[0.0, 0, 1000, 1000], [0, 0, 1000, 999], [1000, 0, 2000, 1000]], dtype=torch.float16)
    scores = torch.tensor([0.9, 0.8, 0.7], dtype=torch.float16)
    assert nms(boxes, scores, 0.5).tolist() == [0, 2]
    assert batched_nms(boxes, scores, torch.zeros(3, dtype=torch.long), 0.5).tolist() == [0, 2]


@pytest.mark.parametrize("seed", range(5))
def test_groups_moved_apart_are_groups(seed):
    """How CUDA keeps them apart, by torchvision's form on the CPU: also where a box is infinite, or none."""
    boxes, scores = boxes_and_scores(200, seed)
    groups = torch.randint(-3, 90, (200,), generator=torch.Generator().manual_seed(seed)) * 1000
    boxes[7, 2], boxes[8] = float("inf"), float("nan")
    kept = torchvision.ops.nms(moved_apart(boxes, groups), scores.double(), 0.3)
    assert torch.equal(kept, batched_nms(boxes, scores, groups, 0.3))


def test_moving_apart_rounds_nothing():
    boxes = torch.tensor([[0.001, 1 / 3, 1e4 / 3, 1333.3333]]).repeat(90, 1)
    groups = torch.arange(90)
    moved = moved_apart(boxes, groups)
    back = moved - (moved[:, :1] - moved[:1, :1])
    assert torch.equal(back, boxes.double())


def test_a_giant_box_does_not_move_groups_into_one_another():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1e30, 0, 2e30, 5], [20, 20, 30, 30], [50, 50, 60, 60], [20, 20, 30, 29]])
    groups, scores = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])
    kept = torchvision.ops.nms(moved_apart(boxes, groups), scores.double(), 0.5)
    assert torch.equal(kept, batched_nms(boxes, scores, groups, 0.5))
    assert kept.tolist() == [0, 1, 2, 3]
