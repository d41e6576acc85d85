"""Which ground-truth box does each anchor (or proposal) answer for?  Then: which to train on?"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from frcnn.ops.boxes import at_least_float32, box_iou, check_boxes
from frcnn.ops.kernels import operators

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


class Matches(NamedTuple):
    """An index is never a verdict: the two are kept apart."""

    gt_index: Int[Tensor, " R"]  # best ground truth; meaningless where verdict != POSITIVE
    verdict: Int[Tensor, " R"]  # POSITIVE, NEGATIVE or IGNORED


def match(
    overlap: Float[Tensor, "G R"],
    *,
    positive_above: float,
    negative_below: float,
    rescue: bool,
    negative_from: float = 0.0,
) -> Matches:
    """Split R candidates into positive / negative / ignored by IoU with G ground truths (Sec. 3.1.2).

    Positive: IoU >= `positive_above`. Negative: IoU in [`negative_from`, `negative_below`). `rescue`: also make
    positive, for each ground truth, its best candidates (ties included), so that no object goes unlearnt (rule (i)).
    A candidate that overlaps nothing is never rescued, and a rescued one answers for its own best object.
    """
    num_gt, num_candidates = overlap.shape
    if num_gt == 0:  # a picture without objects: everything is background (IoU 0)
        zeros = torch.zeros(num_candidates, dtype=torch.long, device=overlap.device)
        return Matches(zeros, torch.full_like(zeros, NEGATIVE if negative_from <= 0 else IGNORED))

    best_overlap, gt_index = overlap.max(dim=0)
    verdict = torch.full_like(gt_index, IGNORED)
    verdict[(best_overlap >= negative_from) & (best_overlap < negative_below)] = NEGATIVE
    verdict[best_overlap >= positive_above] = POSITIVE
    if rescue:
        verdict[_best_of_some_object(overlap)] = POSITIVE
    return Matches(gt_index, verdict)


def match_boxes(
    objects: Float[Tensor, "G 4"],
    candidates: Float[Tensor, "R 4"],
    *,
    positive_above: float,
    negative_below: float,
    rescue: bool,
    negative_from: float = 0.0,
) -> Matches:
    """`match` by the overlaps of boxes, in at least float32; on the CPU without the G x R table of them.

    A pair with a NaN does not overlap; a candidate that overlaps nothing but so is ignored. Raises ValueError.
    """
    check_boxes(objects)
    check_boxes(candidates)
    if len(objects) and candidates.device.type == "cpu":
        rows, columns = at_least_float32(objects), at_least_float32(candidates)
        number = torch.promote_types(rows.dtype, columns.dtype)
        thresholds = (positive_above, negative_below, negative_from)
        verdicts = (POSITIVE, NEGATIVE, IGNORED)
        return Matches(*operators.match(rows.to(number), columns.to(number), *thresholds, rescue, verdicts))
    return match_by_table(
        objects,
        candidates,
        positive_above=positive_above,
        negative_below=negative_below,
        rescue=rescue,
        negative_from=negative_from,
    )


def match_by_table(
    objects: Float[Tensor, "G 4"],
    candidates: Float[Tensor, "R 4"],
    *,
    positive_above: float,
    negative_below: float,
    rescue: bool,
    negative_from: float = 0.0,
) -> Matches:
    """The readable form of `match_boxes`: all overlaps in one table, then the rule."""
    overlap = box_iou(objects, candidates)
    return match(
        torch.where(overlap.isnan(), -1, overlap),
        positive_above=positive_above,
        negative_below=negative_below,
        rescue=rescue,
        negative_from=negative_from,
    )


def _best_of_some_object(overlap: Float[Tensor, "G R"]) -> Bool[Tensor, " R"]:
    if overlap.shape[1] == 0:
        return overlap.new_zeros(0, dtype=torch.bool)
    best_of_each_object = overlap.amax(dim=1, keepdim=True)
    return ((overlap == best_of_each_object) & (overlap > 0)).any(dim=0)  # equal float32: ties are exact


def sample(
    verdict: Int[Tensor, " R"],
    *,
    size: int,
    positive_fraction: float,
    generator: torch.Generator | None = None,
    chances: Float[Tensor, " R"] | None = None,
) -> tuple[Int[Tensor, " P"], Int[Tensor, " M"]]:
    """Random positive and negative indices: at most `size` together, negatives fill the rest.

    `chances`: a random number for each candidate, the smallest are taken; without them `generator` shuffles.
    """
    positives = _shuffled((verdict == POSITIVE).nonzero().squeeze(1), generator, chances)
    negatives = _shuffled((verdict == NEGATIVE).nonzero().squeeze(1), generator, chances)
    positives = positives[: int(size * positive_fraction)]
    return positives, negatives[: size - len(positives)]


def _shuffled(
    index: Int[Tensor, " M"], generator: torch.Generator | None, chances: Float[Tensor, " R"] | None
) -> Int[Tensor, " M"]:
    if chances is not None:
        return index[chances[index].argsort()]
    device = index.device if generator is None else generator.device  # a generator draws on its own device
    order = torch.randperm(len(index), generator=generator, device=device)
    return index[order.to(index.device)]
