"""How good are the detections? VOC's average precision, by the rules of its devkit (VOC2007 devkit, Sec. 3.4.1).

    detections, targets -> flat arrays -> judge (one matcher) -> precision and recall -> 11-point AP, area AP

D detections and G objects of all pictures together; P detections of one class that count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from frcnn.evaluation.flat import (
    NO_OBJECT,
    Flat,
    Pairs,
    best_first,
    best_objects,
    flatten,
    overlapping_pairs,
    rows_of_each,
    same_class,
)
from frcnn.structures import Detections, Target

TRUE_POSITIVE, FALSE_POSITIVE, NOT_COUNTED = 1, 0, -1
OVERLAP = 0.5  # a detection is on an object when their IoU lies strictly above this


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
    iou_threshold: float = OVERLAP,
) -> VocResult:
    """Average precision of every class; `detections` and `targets` are pictures in the same order.

    Equal scores stand in the order given. Raises ValueError for unequal lengths and class ids out of range.
    """
    flat = flatten(detections, targets, len(class_names))
    judgement = judge(flat, overlapping_pairs(flat, iou_threshold), iou_threshold)
    return voc_result(flat, judgement, class_names)


def judge_picture(detections: Detections, target: Target, iou_threshold: float = OVERLAP) -> Judgement:
    """What became of each detection of one picture."""
    flat = flatten([detections], [target], len(detections.class_names))
    return judge(flat, overlapping_pairs(flat, iou_threshold), iou_threshold)


def judge(flat: Flat, pairs: Pairs, iou_threshold: float = OVERLAP) -> Judgement:
    """The devkit's matching: a detection goes to the object it overlaps most, even if that one is already taken.

    The best-scored detection on an object is right, the later ones are duplicates and wrong; on an object that is not
    counted they are neither. `pairs` holds at least those of one class above the threshold.
    """
    object_index, _ = best_objects(same_class(flat, pairs).above(iou_threshold), len(flat.scores))
    order = best_first(flat.scores)
    taken, first = np.unique(object_index[order], return_index=True)
    verdict = np.full(len(flat.scores), FALSE_POSITIVE)
    verdict[order[first[taken != NO_OBJECT]]] = TRUE_POSITIVE
    on_object = object_index != NO_OBJECT
    verdict[on_object] = np.where(flat.counted[object_index[on_object]], verdict[on_object], NOT_COUNTED)
    return Judgement(verdict, object_index)


def voc_result(flat: Flat, judgement: Judgement, class_names: Sequence[str]) -> VocResult:
    """Both average precisions and the curve of every class."""
    per_class = {
        name: _class_result(flat.scores[mine], judgement.verdict[mine], number)
        for name, mine, number in zip(
            class_names,
            rows_of_each(flat.found.class_ids, flat.num_classes),
            flat.objects_per_class().tolist(),
            strict=True,
        )
    }
    return VocResult(
        mean_of_present([result.voc07_ap for result in per_class.values()]),
        mean_of_present([result.voc_ap for result in per_class.values()]),
        per_class,
    )


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


def _class_result(scores: Float[np.ndarray, " D"], verdict: Int[np.ndarray, " D"], num_objects: int) -> ClassResult:
    order = best_first(scores)
    order = order[verdict[order] != NOT_COUNTED]
    right = verdict[order] == TRUE_POSITIVE
    if num_objects == 0:
        empty = np.zeros(0)
        return ClassResult(None, None, 0, len(scores), empty, empty, empty)
    precision, recall = precision_recall(right, num_objects)
    voc07_ap, voc_ap = eleven_point_ap(right, num_objects), area_ap(right, num_objects)
    return ClassResult(voc07_ap, voc_ap, num_objects, len(scores), precision, recall, scores[order])


def mean_of_present(values: Sequence[float | None]) -> float | None:
    """The mean over the classes that have objects; None where none has."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
