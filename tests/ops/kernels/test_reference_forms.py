"""Kernels equal their readable forms, whatever comes: random, degenerate and hostile input."""

import resource

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from frcnn.ops import batched_nms, nms, reference, roi_align, roi_pool
from frcnn.ops.matching import match_boxes

# On a grid of quarters, so that equal overlaps, zero areas, shared borders and half cells come often.
SIDES = st.integers(-40, 200).map(lambda quarters: quarters / 4)
WILD = st.one_of(SIDES, st.sampled_from([float("nan"), float("inf"), float("-inf"), 1e22, -1e22, 3e38]))
SCORES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, -1.0, float("inf"), float("-inf"), float("nan")])
THRESHOLDS = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0])
RULES = st.sampled_from([(0.7, 0.3, True, 0.0), (0.5, 0.5, False, 0.0), (0.5, 0.5, False, 0.1), (1.0, 0.0, True, 0.0)])


def boxes_of(sides: list[tuple[float, float, float, float]], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Each from two corners in any order: some are turned inside out, some have no area."""
    return torch.tensor(sides, dtype=dtype).reshape(-1, 4)


def proper(boxes: torch.Tensor) -> torch.Tensor:
    """Corners in order, and some area, as the objects of a target have it."""
    low, high = torch.minimum(boxes[:, :2], boxes[:, 2:]), torch.maximum(boxes[:, :2], boxes[:, 2:])
    return torch.cat((low, torch.maximum(high, low + 0.25)), dim=1)


BOXES = st.lists(st.tuples(SIDES, SIDES, SIDES, SIDES), max_size=40)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), threshold=THRESHOLDS, wanted=st.sampled_from([None, 0, 1, 5, 100]), ordered=st.booleans())
def test_suppression(data, threshold, wanted, ordered):
    sides = data.draw(BOXES)
    boxes = proper(boxes_of(sides)) if ordered else boxes_of(sides)
    scores = torch.tensor(data.draw(st.lists(SCORES, min_size=len(boxes), max_size=len(boxes))))
    groups = torch.tensor(
        data.draw(st.lists(st.integers(-3, 3), min_size=len(boxes), max_size=len(boxes))), dtype=torch.long
    )
    assert torch.equal(nms(boxes, scores, threshold, wanted), reference.nms(boxes, scores, threshold, wanted))
    ours = batched_nms(boxes, scores, groups, threshold, wanted)
    assert torch.equal(ours, reference.batched_nms(boxes, scores, groups, threshold, wanted))


@settings(deadline=None, max_examples=200)
@given(objects=BOXES, candidates=BOXES, repeated=st.sampled_from([1, 1, 1, 20]), rule=RULES)
def test_matching(objects, candidates, repeated, rule):
    """Of several chunks too; objects have an area, candidates need not."""
    rows, columns = proper(boxes_of(objects)), boxes_of(candidates).repeat(repeated, 1)
    positive, negative, rescue, lowest = rule
    keywords = {
        "positive_above": positive,
        "negative_below": negative,
        "rescue": rescue,
        "negative_from": lowest,
    }
    ours, theirs = match_boxes(rows, columns, **keywords), reference.match_boxes(rows, columns, **keywords)
    assert torch.equal(ours.verdict, theirs.verdict)
    assert torch.equal(ours.gt_index, theirs.gt_index)


def test_a_candidate_that_is_no_box_is_ignored_and_rescues_nobody_else():
    objects = torch.tensor([[0.0, 0, 10, 10]])
    candidates = torch.tensor([[0.0, 0, 10, 4], [float("nan"), 0, 10, 10], [50, 50, 60, 60]])
    matches = match_boxes(objects, candidates, positive_above=0.7, negative_below=0.3, rescue=True)
    assert matches.verdict.tolist() == [1, -1, 0]


def is_read_on_the_border(boxes, bins, samples, aligned):
    """Is a reading so near to where the map ends (one cell before it, or behind its last) that rounding decides?"""
    offset = 0.5 if aligned else 0.0
    start = boxes[:, :2].double() / 4 - offset
    length = (boxes[:, 2:].double() / 4 - offset - start).clamp(min=-torch.inf if aligned else 1.0)
    most = int((length / bins).ceil().max()) if len(boxes) else 1
    counts = [samples] if samples > 0 else range(1, max(most, 1) + 1)
    for count in counts:
        steps = (torch.arange(bins * count) + 0.5) / (bins * count)
        readings = start[:, :, None] + length[:, :, None] * steps
        ends = torch.tensor([7.0, 5.0]).reshape(1, 2, 1)  # of x and of y
        if ((readings - ends).abs() < 1e-4).any() or ((readings + 1).abs() < 1e-4).any():
            return True
    return False


@settings(deadline=None, max_examples=100)
@given(
    sides=st.lists(st.tuples(SIDES, SIDES, SIDES, SIDES), max_size=8),
    channels=st.sampled_from([0, 1, 3, 19]),
    bins=st.sampled_from([1, 2, 7]),
    samples=st.sampled_from([0, 1, 2, 3]),
    aligned=st.booleans(),
    seed=st.integers(0, 9),
)
def test_pooling(sides, channels, bins, samples, aligned, seed):
    """Boxes outside, inside out, without area, of the whole picture; both pictures of a batch, one perhaps empty."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, channels, 5, 7, generator=generator)
    boxes = boxes_of(sides)
    if aligned:  # turned inside out, only the unaligned form says what is meant
        boxes = torch.cat((boxes[:, :2], torch.maximum(boxes[:, :2], boxes[:, 2:])), dim=1)
    assume(not is_read_on_the_border(boxes, bins, samples, aligned))
    per_picture = [boxes[: seed % 4], boxes[seed % 4 :]]
    ours = roi_align(features, per_picture, bins, 4.0, samples, aligned)
    # float32 sums in another order: 1e-5 as of torchvision
    assert_close(ours, reference.roi_align(features, per_picture, bins, 4.0, samples, aligned), atol=1e-5, rtol=1e-5)
    # a maximum is exact
    assert torch.equal(roi_pool(features, per_picture, bins, 4.0), reference.roi_pool(features, per_picture, bins, 4.0))


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("samples", [0, 1, 2])
def test_the_gradient_reaches_features_and_boxes(samples, aligned):
    """By finite differences, in float64; positions between cells, where the derivative exists."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 3, 6, 9, generator=generator, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor(
        [[3.3, 2.1, 25.7, 20.2], [-6.1, -3.3, 9.3, 44.6], [12.3, 11.1, 14.2, 13.3]], dtype=torch.float64
    ).requires_grad_()

    def pooled(features: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        return roi_align(features, [boxes[:2], boxes[2:]], 2, 4.0, samples, aligned)

    assert torch.autograd.gradcheck(pooled, (features, boxes))


def test_a_box_held_at_one_cell_does_not_stretch():
    """Without alignment the sides of a small box do not count, only where it begins."""
    features = torch.arange(36.0).reshape(1, 1, 6, 6)
    boxes = torch.tensor([[4.0, 4.0, 5.0, 5.0]], requires_grad=True)
    roi_align(features, [boxes], 1, 4.0, aligned=False).sum().backward()
    assert boxes.grad is not None
    # a cell to the right is 1 more and 4 px away, a cell down 6 more
    assert_close(boxes.grad, torch.tensor([[0.25, 1.5, 0.0, 0.0]]))


def test_bfloat16_gradients_reach_boxes_in_float32():
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(1, 8, 6, 9, generator=generator).bfloat16()
    gradients = []
    for values in (features, features.float()):
        boxes = torch.tensor([[3.3, 2.1, 25.7, 20.2]], requires_grad=True)
        roi_align(values, [boxes], 2, 4.0).float().sum().backward()
        assert boxes.grad is not None
        gradients.append(boxes.grad)
    assert_close(*gradients)


@pytest.mark.slow
def test_a_thousand_calls_leave_memory_where_it_was():
    """Peak memory after a hundred is the peak after a thousand, within what a malloc may keep: 8 MB, a tenth of one
    leaked result a call."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 32, 20, 30, generator=generator).to(memory_format=torch.channels_last)
    corners = 300 * torch.rand(200, 2, generator=generator)
    boxes = torch.cat((corners, corners + 100), dim=1)

    def call() -> None:
        moving, reading = boxes.clone().requires_grad_(), features.clone().requires_grad_()
        roi_align(reading, [moving], 3, 16.0).sum().backward()
        roi_pool(reading, [boxes], 3, 16.0).sum().backward()
        nms(boxes, boxes[:, 0], 0.5)
        match_boxes(boxes[:20], boxes, positive_above=0.7, negative_below=0.3, rescue=True)

    for _ in range(100):
        call()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):
        call()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024  # KiB


@settings(deadline=None, max_examples=200)
@given(
    objects=st.lists(st.tuples(WILD, WILD, WILD, WILD), max_size=12),
    candidates=st.lists(st.tuples(WILD, WILD, WILD, WILD), max_size=12),
    rule=RULES,
)
def test_matching_of_what_is_no_box(objects, candidates, rule):
    """NaN, infinities, areas that overflow."""
    positive, negative, rescue, lowest = rule
    keywords = {"positive_above": positive, "negative_below": negative, "rescue": rescue, "negative_from": lowest}
    rows, columns = boxes_of(objects), boxes_of(candidates)
    ours, theirs = match_boxes(rows, columns, **keywords), reference.match_boxes(rows, columns, **keywords)
    assert torch.equal(ours.verdict, theirs.verdict)
    known = ours.verdict == 1
    assert torch.equal(ours.gt_index[known], theirs.gt_index[known])


@settings(deadline=None, max_examples=200)
@given(sides=st.lists(st.tuples(WILD, WILD, WILD, WILD), max_size=8), hole=st.sampled_from([0.0, 1.0, float("nan")]))
def test_pooling_of_what_is_no_number(sides, hole):
    """A NaN is no maximum; a box of infinite sides, or of none, is the same in both forms."""
    features = torch.arange(2.0 * 3 * 5 * 7).reshape(2, 3, 5, 7)
    features[0, 1, 2:4, 1:5] = hole
    boxes = [boxes_of(sides), boxes_of(sides[:2])]
    assert torch.equal(roi_pool(features, boxes, 2, 4.0), reference.roi_pool(features, boxes, 2, 4.0))
    finite = [of_picture[of_picture.isfinite().all(dim=1)] for of_picture in boxes]
    whole = [of_picture[(of_picture.abs() < 1e6).all(dim=1)] for of_picture in finite]
    sound = features.nan_to_num(0)
    assert_close(roi_align(sound, whole, 2, 4.0, -1), reference.roi_align(sound, whole, 2, 4.0, -1))
