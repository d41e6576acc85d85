"""On a CUDA device the rules give what they give on the CPU."""

import pytest
import torch
from torch.testing import assert_close

from frcnn.ops import batched_nms, nms, roi_align, roi_pool
from frcnn.ops.matching import match_boxes

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


def drawn(count: int = 300):
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(count, 2, generator=generator) * 300 - 20
    boxes = torch.cat((corner, corner + 5 + 150 * torch.rand(count, 2, generator=generator)), dim=1)
    return torch.randn(2, 16, 20, 24, generator=generator), boxes, torch.rand(count, generator=generator)


def test_suppression():
    _, boxes, scores = drawn()
    groups = torch.arange(300) % 7
    assert torch.equal(nms(boxes.cuda(), scores.cuda(), 0.4, 50).cpu(), nms(boxes, scores, 0.4, 50))
    ours = batched_nms(boxes.cuda(), scores.cuda(), groups.cuda(), 0.4)
    assert torch.equal(ours.cpu(), batched_nms(boxes, scores, groups, 0.4))


def test_matching():
    _, boxes, _ = drawn()
    rule = {"positive_above": 0.7, "negative_below": 0.3, "rescue": True}
    ours, theirs = match_boxes(boxes[:9].cuda(), boxes.cuda(), **rule), match_boxes(boxes[:9], boxes, **rule)
    assert torch.equal(ours.verdict.cpu(), theirs.verdict)
    assert torch.equal(ours.gt_index.cpu(), theirs.gt_index)


def test_the_gradient_reaches_boxes():
    features, boxes, _ = drawn(20)
    here, there = boxes.clone().requires_grad_(), boxes.cuda().requires_grad_()
    roi_align(features[:1], [here], 3, 16.0).square().sum().backward()
    roi_align(features[:1].cuda(), [there], 3, 16.0).square().sum().backward()
    assert here.grad is not None
    assert there.grad is not None
    assert_close(there.grad.cpu(), here.grad, atol=1e-3, rtol=1e-3)  # float32 sums of slopes in another order


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("form", [roi_align, roi_pool])
def test_pooling_and_its_gradient(form, deterministic):
    features, boxes, _ = drawn()
    per_picture = [boxes[:100], boxes[100:]]
    here, there = features.clone().requires_grad_(), features.cuda().requires_grad_()
    torch.use_deterministic_algorithms(deterministic)
    try:
        expected, regions = form(here, per_picture, 3, 16.0), form(there, [b.cuda() for b in per_picture], 3, 16.0)
        expected.square().sum().backward()
        regions.square().sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert_close(regions.cpu(), expected, atol=1e-5, rtol=1e-5)  # float32 sums in another order
    assert here.grad is not None
    assert there.grad is not None
    assert_close(there.grad.cpu(), here.grad, atol=1e-4, rtol=1e-4)
