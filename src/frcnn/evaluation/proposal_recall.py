"""How many objects do the first N proposals reach? The table that Faster R-CNN only draws (Fig. 4 in Sec. 4.1).

G objects, P proposals of a picture, N counts.
"""

import copy
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from frcnn.config import override_sections
from frcnn.data.dataset import Dataset
from frcnn.data.loading import evaluation_batches
from frcnn.device import Precision, autocast
from frcnn.errors import UsageError
from frcnn.evaluation.mode import evaluation_mode
from frcnn.model.detector import FasterRCNN
from frcnn.ops.boxes import box_iou
from frcnn.structures import Target

COUNTS = (50, 100, 300, 1000, 2000)
AVERAGED = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)  # thresholds of the average recall
TOLD = (0.5, 0.7)  # thresholds, on the console
BEFORE_NMS = 6  # candidates for each proposal that is wanted, as in the authors' training: 12000 for 2000

Row = tuple[float | None, ...]  # one number a count; None where there are no objects


@dataclass(frozen=True)
class ProposalRecall:
    """The share of the objects that the first `counts` proposals of their picture reach."""

    counts: tuple[int, ...]
    thresholds: tuple[float, ...]
    recall: tuple[Row, ...]  # one row a threshold
    average_recall: Row  # the mean over IoU .5, .55, ..., .9, whatever `thresholds` are
    objects: int  # not counting the ignored ones

    def as_dict(self) -> dict[str, Any]:
        """By the names of the fields, as JSON gives them back."""
        return json.loads(json.dumps(asdict(self)))

    def describe(self) -> str:
        """What all proposals together reach, in a line; nothing where there are no objects."""
        average = self.average_recall[-1]
        if average is None:
            return ""
        reached = ", ".join(
            f"{share[-1]:.3f} at IoU {threshold:g}"
            for threshold, share in zip(self.thresholds, self.recall, strict=True)
            if threshold in TOLD
        )
        return f"recall of {self.counts[-1]} proposals: {reached}; average from .5 to .9 {average:.3f}"


class RecallTally:
    """Gathers what the first `counts` proposals reach, picture by picture."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = tuple(counts)
        self.best = [torch.zeros(0, len(self.counts), dtype=torch.float64)]

    def add(self, target: Target, proposals: Float[Tensor, "P 4"]) -> None:
        """The next picture: its objects and its proposals, the best first, in the same pixels."""
        self.best.append(best_overlaps(target.learnt().boxes, proposals, self.counts))

    def of_all(self, thresholds: Sequence[float] = AVERAGED) -> ProposalRecall:
        """The shares of the objects of all pictures so far."""
        return recall_of(torch.cat(self.best), self.counts, thresholds)


@torch.no_grad()
def proposal_recall(
    model: FasterRCNN,
    dataset: Dataset,
    counts: Sequence[int] = COUNTS,
    thresholds: Sequence[float] = AVERAGED,
    *,
    workers: int = 0,
    precision: Precision = "float32",
) -> ProposalRecall:
    """Recall by the proposals alone, where the model is; its mode is left as it was (Sec. 4.1).

    NMS keeps as many as the largest count, at the model's own threshold. An object is found when its best IoU with
    the first proposals is at least the threshold, and one proposal may find several. Classes do not matter. Raises
    UsageError for counts and thresholds that make no sense, DataError for a picture that cannot be read.
    """
    _check(counts, thresholds)
    device = next(model.parameters()).device
    proposing = with_proposals(model, max(counts))
    rpn = proposing.config.rpn
    tally = RecallTally(counts)
    batches = evaluation_batches(dataset, 1, workers)
    with closing(batches), evaluation_mode(model), autocast(device, precision):
        for batch in batches:
            proposals = proposing.proposals(batch.images_on(device), rpn.before_nms_test, rpn.after_nms_test)
            for target, of_picture in zip(batch.targets, proposals, strict=True):
                tally.add(target, of_picture.cpu())
    return tally.of_all(thresholds)


def counts_up_to(most: int) -> tuple[int, ...]:
    """The counts of the table, for a model with at most so many proposals a picture."""
    return (*(count for count in COUNTS if count < most), most)


def with_proposals(model: FasterRCNN, count: int) -> FasterRCNN:
    """The same weights with `count` proposals a picture at test, from enough candidates; `model` stays as it is."""
    before = max(model.config.rpn.before_nms_test, BEFORE_NMS * count)
    other = copy.copy(model)
    other.config = override_sections(model.config, {"rpn": {"before_nms_test": before, "after_nms_test": count}})
    return other


def best_overlaps(
    objects: Float[Tensor, "G 4"], proposals: Float[Tensor, "P 4"], counts: Sequence[int]
) -> Float[Tensor, "G N"]:
    """The best IoU of each object with the first proposals, for each count; 0 where there are none.

    In float64: in float32, seven tenths are below .7.
    """
    overlaps = F.pad(box_iou(objects.double(), proposals.double()), (1, 0))  # by none at all: 0
    so_far = overlaps.cummax(dim=1).values
    return so_far[:, torch.tensor(counts).clamp(max=len(proposals))]


def recall_of(best: Float[Tensor, "G N"], counts: Sequence[int], thresholds: Sequence[float]) -> ProposalRecall:
    """The shares of the objects, from the best overlap of each with the first proposals."""
    return ProposalRecall(
        counts=tuple(counts),
        thresholds=tuple(thresholds),
        recall=tuple(_mean_share(best, [threshold]) for threshold in thresholds),
        average_recall=_mean_share(best, AVERAGED),
        objects=len(best),
    )


def _mean_share(best: Float[Tensor, "G N"], thresholds: Sequence[float]) -> Row:
    """For each count the share of the objects that reach a threshold, averaged over the thresholds."""
    if len(best) == 0:
        return (None,) * best.shape[1]
    return tuple(torch.stack([(best >= t).double().mean(dim=0) for t in thresholds]).mean(dim=0).tolist())


def _check(counts: Sequence[int], thresholds: Sequence[float]) -> None:
    if not counts or min(counts) < 1:
        raise UsageError(f"counts of proposals must be at least 1, and one at least must be given: {list(counts)}")
    if not all(0 < threshold <= 1 for threshold in thresholds):
        raise UsageError(f"IoU thresholds must be above 0 and at most 1: {list(thresholds)}")
