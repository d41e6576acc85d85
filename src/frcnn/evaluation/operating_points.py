"""Which score is high enough? Precision, recall and F1 of the detections above a threshold, by VOC's rules at IoU .5.

P detections that count, best score first: of a class, or of all classes together.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from frcnn.evaluation.average_precision import (
    NOT_COUNTED,
    TRUE_POSITIVE,
    Judgement,
    VocResult,
    precision_recall,
)
from frcnn.evaluation.flat import Flat, best_first

SHOWN_FROM = 0.5  # the threshold of pictures that are looked at: below it most detections are doubts


def threshold_shown(least_score: float | None) -> float:
    """The threshold to look at where detections with a lower score were never kept: a lower one would tell nothing."""
    return SHOWN_FROM if least_score is None else max(SHOWN_FROM, float(np.float32(least_score)))  # as scores are


@dataclass(frozen=True)
class OperatingPoint:
    """What is found, and how much of it is right, when detections scored at or above `threshold` are believed."""

    threshold: float
    precision: float | None  # None where no detection is
    recall: float
    f1: float

    def as_dict(self) -> dict[str, float | None]:
        """By the names of the fields, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Operating:
    """The threshold of the largest F1 (None where nothing right was ever found), and the one asked for."""

    best: OperatingPoint | None
    shown: OperatingPoint

    def as_dict(self) -> dict[str, dict[str, float | None] | None]:
        """Both, ready for JSON."""
        return {"best": None if self.best is None else self.best.as_dict(), "shown": self.shown.as_dict()}


@dataclass(frozen=True)
class OperatingPoints:
    """One threshold for all classes, which weighs every object alike, and one for each; None without objects."""

    all: Operating | None
    per_class: Mapping[str, Operating | None]


def operating_points(
    flat: Flat, judgement: Judgement, result: VocResult, shown_from: float = SHOWN_FROM
) -> OperatingPoints:
    """Of all detections together, and of each class from its curve."""
    per_class = {
        name: operating(of_class.scores, of_class.precision, of_class.recall, shown_from) if of_class.objects else None
        for name, of_class in result.per_class.items()
    }
    num_objects = int(flat.counted.sum())
    if num_objects == 0:
        return OperatingPoints(None, per_class)
    order = best_first(flat.scores)
    order = order[judgement.verdict[order] != NOT_COUNTED]
    curve = precision_recall(judgement.verdict[order] == TRUE_POSITIVE, num_objects)
    return OperatingPoints(operating(flat.scores[order], *curve, shown_from), per_class)


def operating(
    scores: Float[np.ndarray, " P"],
    precision: Float[np.ndarray, " P"],
    recall: Float[np.ndarray, " P"],
    shown_from: float,
) -> Operating:
    """Both points of one curve."""
    return Operating(best_point(scores, precision, recall), point_at(scores, precision, recall, shown_from))


def point_at(
    scores: Float[np.ndarray, " P"],
    precision: Float[np.ndarray, " P"],
    recall: Float[np.ndarray, " P"],
    threshold: float,
) -> OperatingPoint:
    """The curve where the score falls below the threshold."""
    believed = int((scores >= threshold).sum())
    if believed == 0:
        return OperatingPoint(threshold, None, 0.0, 0.0)
    last = believed - 1
    f1 = _f1(precision, recall)
    return OperatingPoint(threshold, float(precision[last]), float(recall[last]), float(f1[last]))


def best_point(
    scores: Float[np.ndarray, " P"], precision: Float[np.ndarray, " P"], recall: Float[np.ndarray, " P"]
) -> OperatingPoint | None:
    """Where F1 is largest, the highest of equal thresholds; equal scores are believed together."""
    is_last_of_equals = np.append(scores[1:] != scores[:-1], True)[: len(scores)]
    f1 = np.where(is_last_of_equals & np.isfinite(scores), _f1(precision, recall), 0.0)
    if not f1.any():
        return None
    best = int(f1.argmax())
    return OperatingPoint(float(scores[best]), float(precision[best]), float(recall[best]), float(f1[best]))


def _f1(precision: Float[np.ndarray, " P"], recall: Float[np.ndarray, " P"]) -> Float[np.ndarray, " P"]:
    """The harmonic mean along a whole curve: 2 hits / (believed + objects), of whole numbers, so that ties are ties."""
    believed = np.arange(1, len(precision) + 1)
    hits = np.rint(precision * believed)
    if not hits.any():
        return np.zeros(len(precision))
    objects = np.rint(hits[-1] / recall[-1])
    return 2 * hits / (believed + objects)
