"""How good are the detections? VOC's average precision, by the rules of its devkit (VOC2007 devkit, Sec. 3.4.1).

    detections, targets -> judge (one matcher) -> precision and recall -> 11-point AP, area AP

Every rule works on flat arrays of the whole data set at once: a million detections are a matter of seconds.
D detections and G objects of all pictures together; P detections of one class that count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from frcnn.structures import Detections, Target

TRUE_POSITIVE, FALSE_POSITIVE, NOT_COUNTED = 1, 0, -1
NO_OBJECT = -1
PAIRS_AT_ONCE = 500_000  # (detection, object) pairs in memory at a time: about 100 MB


class Boxes(NamedTuple):
    """The boxes of all pictures one after the other; `group` numbers the (picture, class) each belongs to."""

    boxes: Float[np.ndarray, "N 4"]
    class_ids: Int[np.ndarray, " N"]
    group: Int[np.ndarray, " N"]


class Judgement(NamedTuple):
    """What became of each detection, in the order given."""

    verdict: Int[np.ndarray, " D"]  # TRUE_POSITIVE, FALSE_POSITIVE or NOT_COUNTED
    object_index: Int[np.ndarray, " D"]  # the object it lies on, taken or not; NO_OBJECT where there is none


@dataclass(frozen=True)
class ClassResult:
    """One class: its average precisions (None where it has no objects) and its curve, best score first."""

    voc07_ap: float | None
    voc_ap: float | None
    objects: int  # not counting the ignored ones
    detections: int
    precision: Float[np.ndarray, " P"]
    recall: Float[np.ndarray, " P"]
    scores: Float[np.ndarray, " P"]


@dataclass(frozen=True)
class VocResult:
    """Means over the classes that have objects (None where none has), and each class."""

    voc07_map: float | None
    voc_map: float | None
    per_class: Mapping[str, ClassResult]


def evaluate_detections(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    class_names: Sequence[str],
    iou_threshold: float = 0.5,
) -> VocResult:
    """Average precision of every class; `detections` and `targets` are pictures in the same order.

    Equal scores stand in the order given. Raises ValueError for unequal lengths and class ids out of range.
    """
    if len(detections) != len(targets):
        raise ValueError(f"{len(detections)} pictures of detections, but {len(targets)} of targets")
    found, objects = _flatten(detections, len(class_names)), _flatten(targets, len(class_names))
    scores = _joined([picture.scores for picture in detections], np.zeros(0))
    counted = ~_joined([_ignored(target) for target in targets], np.zeros(0, dtype=bool))
    verdict = judge(found, scores, objects, counted, iou_threshold).verdict
    objects_per_class = np.bincount(objects.class_ids[counted], minlength=len(class_names)).tolist()
    per_class = {
        name: _class_result(scores[mine], verdict[mine], number)
        for name, mine, number in zip(
            class_names, _rows_of_each(found.class_ids, len(class_names)), objects_per_class, strict=True
        )
    }
    return VocResult(
        _mean([result.voc07_ap for result in per_class.values()]),
        _mean([result.voc_ap for result in per_class.values()]),
        per_class,
    )


def judge_picture(detections: Detections, target: Target, iou_threshold: float = 0.5) -> Judgement:
    """What became of each detection of one picture."""
    num_classes = len(detections.class_names)
    return judge(
        _flatten([detections], num_classes),
        detections.scores.cpu().numpy(),
        _flatten([target], num_classes),
        ~_ignored(target).cpu().numpy(),
        iou_threshold,
    )


def judge(
    found: Boxes,
    scores: Float[np.ndarray, " D"],
    objects: Boxes,
    counted: Bool[np.ndarray, " G"],
    iou_threshold: float,
) -> Judgement:
    """The devkit's matching: a detection goes to the object it overlaps most, even if that one is already taken.

    The best-scored detection on an object is right, the later ones are duplicates and wrong; on an object that is not
    counted they are neither. The overlap must lie strictly above `iou_threshold`.
    """
    object_index, overlap = best_objects(found, objects)
    object_index = np.where(overlap > iou_threshold, object_index, NO_OBJECT)
    order = np.argsort(-scores, kind="stable")
    taken, first = np.unique(object_index[order], return_index=True)
    verdict = np.full(len(scores), FALSE_POSITIVE)
    verdict[order[first[taken != NO_OBJECT]]] = TRUE_POSITIVE
    on_object = object_index != NO_OBJECT
    verdict[on_object] = np.where(counted[object_index[on_object]], verdict[on_object], NOT_COUNTED)
    return Judgement(verdict, object_index)


def best_objects(found: Boxes, objects: Boxes) -> tuple[Int[np.ndarray, " D"], Float[np.ndarray, " D"]]:
    """The object of its picture and class that each detection overlaps most, the first among equals, and the IoU."""
    by_group = np.argsort(objects.group, kind="stable")
    groups = objects.group[by_group]
    start = np.searchsorted(groups, found.group, side="left")
    count = np.searchsorted(groups, found.group, side="right") - start
    index, overlap = np.full(len(start), NO_OBJECT), np.zeros(len(start))
    candidates = np.flatnonzero(count)
    for rows in _chunks(candidates, count[candidates]):
        pair_row = np.repeat(np.arange(len(rows)), count[rows])
        first_pair = np.cumsum(count[rows]) - count[rows]
        pair_object = by_group[np.arange(len(pair_row)) + (start[rows] - first_pair)[pair_row]]
        overlaps = _pair_iou(found.boxes[rows][pair_row], objects.boxes[pair_object])
        overlap[rows] = np.maximum.reduceat(overlaps, first_pair)
        is_best = np.flatnonzero(overlaps == overlap[rows][pair_row])
        index[rows] = pair_object[is_best[np.unique(pair_row[is_best], return_index=True)[1]]]
    return index, overlap


def precision_recall(
    right: Bool[np.ndarray, " P"], num_objects: int
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """Precision and recall after each detection, best score first; `num_objects` is at least 1."""
    hits = np.cumsum(right)
    return hits / np.arange(1, len(right) + 1), hits / num_objects


def eleven_point_ap(right: Bool[np.ndarray, " P"], num_objects: int) -> float:
    """VOC2007's: the mean of the best precision at recall of at least 0, .1, ..., 1.

    Recall k/n reaches t/10 where 10 k >= t n, in integers: in floating point 3/10 misses the third step.
    """
    precision, _ = precision_recall(right, num_objects)
    best_from_here = np.append(_envelope(precision), 0.0)  # 0 where the recall is never reached
    steps = np.arange(11)
    reached = np.searchsorted(10 * np.cumsum(right), steps * num_objects, side="left")
    return float(best_from_here[reached].mean())


def area_ap(right: Bool[np.ndarray, " P"], num_objects: int) -> float:
    """VOC2010's and later: the area under the curve once precision is made to fall with recall."""
    precision, _ = precision_recall(right, num_objects)
    return float(_envelope(precision)[right].sum() / num_objects)  # each hit adds 1/n of recall


def _envelope(precision: Float[np.ndarray, " P"]) -> Float[np.ndarray, " P"]:
    """The best precision at this recall or a higher one."""
    return np.maximum.accumulate(precision[::-1])[::-1]


def _rows_of_each(class_ids: Int[np.ndarray, " D"], num_classes: int) -> list[Int[np.ndarray, " _"]]:
    """The rows of each class, in the order given."""
    order = np.argsort(class_ids, kind="stable")
    return np.split(order, np.searchsorted(class_ids[order], np.arange(1, num_classes)))


def _class_result(scores: Float[np.ndarray, " D"], verdict: Int[np.ndarray, " D"], num_objects: int) -> ClassResult:
    order = np.argsort(-scores, kind="stable")
    order = order[verdict[order] != NOT_COUNTED]
    right = verdict[order] == TRUE_POSITIVE
    if num_objects == 0:
        empty = np.zeros(0)
        return ClassResult(None, None, 0, len(scores), empty, empty, empty)
    precision, recall = precision_recall(right, num_objects)
    voc07_ap, voc_ap = eleven_point_ap(right, num_objects), area_ap(right, num_objects)
    return ClassResult(voc07_ap, voc_ap, num_objects, len(scores), precision, recall, scores[order])


def _flatten(pictures: Sequence[Detections] | Sequence[Target], num_classes: int) -> Boxes:
    boxes = _joined([picture.boxes for picture in pictures], np.zeros((0, 4)))
    class_ids = _joined([picture.class_ids for picture in pictures], np.zeros(0, dtype=np.int64))
    if len(class_ids) and not 0 <= class_ids.min() <= class_ids.max() < num_classes:
        raise ValueError(f"class ids {class_ids.min()} to {class_ids.max()}, but there are {num_classes} classes")
    picture_index = np.repeat(np.arange(len(pictures)), [len(picture.class_ids) for picture in pictures])
    return Boxes(boxes, class_ids, picture_index * num_classes + class_ids)


def _joined(parts: Sequence[torch.Tensor], empty: np.ndarray) -> np.ndarray:
    """One array of the parts, with the type of `empty`: float64, as the devkit's numbers, or whole numbers."""
    return torch.cat(list(parts)).cpu().numpy().astype(empty.dtype) if parts else empty


def _ignored(target: Target) -> Bool[torch.Tensor, " G"]:
    return torch.zeros(len(target.boxes), dtype=torch.bool) if target.ignored is None else target.ignored


def _chunks(rows: Int[np.ndarray, " R"], count: Int[np.ndarray, " R"]) -> list[Int[np.ndarray, " _"]]:
    """Split the rows so that the pairs of a part fit into memory; no part is empty."""
    part = np.cumsum(count) // PAIRS_AT_ONCE
    return [chunk for chunk in np.split(rows, np.flatnonzero(np.diff(part)) + 1) if len(chunk)]


def _pair_iou(a: Float[np.ndarray, "M 4"], b: Float[np.ndarray, "M 4"]) -> Float[np.ndarray, " M"]:
    """IoU of each box of `a` with the box of `b` beside it; 0 where both are empty or one is not finite."""
    finite = (np.isfinite(a) & np.isfinite(b)).all(axis=1, keepdims=True)
    a, b = np.where(finite, a, 0.0), np.where(finite, b, 0.0)
    size = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    intersection = size.clip(min=0).prod(axis=1)
    union = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - intersection
    return intersection / np.maximum(union, np.finfo(np.float64).tiny)


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean over the classes that have objects."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
