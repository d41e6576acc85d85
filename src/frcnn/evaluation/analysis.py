"""All that detections tell beside VOC's average precision, from one pass over a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from frcnn.evaluation.average_precision import judge, voc_result
from frcnn.evaluation.calibration import Calibration, calibration
from frcnn.evaluation.coco import CocoResult, coco_result
from frcnn.evaluation.confusion import Confusion, confusion
from frcnn.evaluation.error_costs import error_costs
from frcnn.evaluation.error_types import TOUCHING, ErrorTypes, error_types
from frcnn.evaluation.flat import flatten, overlapping_pairs
from frcnn.evaluation.operating_points import SHOWN_FROM, OperatingPoints, operating_points
from frcnn.structures import Detections, Target


@dataclass(frozen=True)
class Analysis:
    """COCO's figures, and how the detections are right and wrong by VOC's rules at IoU .5.

    Confusion and errors are those of the threshold with the largest F1 of all classes together, or of `SHOWN_FROM`
    where nothing right was found.
    """

    coco: CocoResult
    operating_points: OperatingPoints
    confusion: Confusion
    calibration: Calibration
    errors: ErrorTypes
    error_costs: dict[str, float] | None  # mAP that mending each would add; None without objects

    def metrics_dict(self) -> dict[str, Any]:
        """What metrics.json holds of the whole data set."""
        overall = self.operating_points.all
        return {
            "coco": self.coco.as_dict(),
            "operating_points": None if overall is None else overall.as_dict(),
            "confusion": self.confusion.as_dict(),
            "calibration": self.calibration.as_dict(),
            "errors": {
                "threshold": self.errors.threshold,
                "counts": self.errors.counts,
                "costs": self.error_costs,
            },
        }

    def class_row(self, name: str) -> dict[str, float | int | None]:
        """What metrics.json and per_class.csv hold of one class."""
        of_class = self.coco.per_class[name]
        row: dict[str, float | int | None] = {**of_class.as_dict()}
        for size, figures in of_class.by_size.items():
            row |= {f"{figure}_{size}": value for figure, value in figures.as_dict().items()}
        return row | _operating_columns(self.operating_points, name)


def analyse(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    class_names: Sequence[str],
    areas: Sequence[Float[np.ndarray, " _"]] | None = None,
    shown_from: float = SHOWN_FROM,
) -> Analysis:
    """Pictures of both in the same order; `areas` of the objects as COCO's figures take them, else their boxes'.

    Raises ValueError for unequal lengths and class ids out of range.
    """
    flat = flatten(detections, targets, len(class_names), areas)
    pairs = overlapping_pairs(flat, TOUCHING, across_classes=True)
    judgement = judge(flat, pairs)
    points = operating_points(flat, judgement, voc_result(flat, judgement, class_names), shown_from)
    best = None if points.all is None else points.all.best
    threshold = shown_from if best is None else best.threshold
    errors = error_types(flat, pairs, judgement, threshold)
    return Analysis(
        coco=coco_result(flat, class_names),
        operating_points=points,
        confusion=confusion(flat, pairs, class_names, threshold),
        calibration=calibration(flat, judgement),
        errors=errors,
        error_costs=error_costs(flat, errors),
    )


def _operating_columns(points: OperatingPoints, name: str) -> dict[str, float | int | None]:
    """The class at its best threshold and at the shown one; empty where it has no objects."""
    operating = points.per_class[name]
    best, shown = (None, None) if operating is None else (operating.best, operating.shown)
    return {
        f"{which}_{figure}": None if point is None else getattr(point, figure)
        for which, point in (("best", best), ("shown", shown))
        for figure in ("threshold", "precision", "recall", "f1")
    }
