"""What an analysis says of the whole data set, in a few lines for the console."""

from frcnn.evaluation.analysis import Analysis
from frcnn.evaluation.coco import CocoFigures
from frcnn.evaluation.error_types import WRONG, ErrorTypes
from frcnn.evaluation.operating_points import OperatingPoint


def summary(analysis: Analysis) -> list[str]:
    """COCO's twelve, the operating points and the errors; nothing where there are no objects."""
    points = analysis.operating_points.all
    if points is None:
        return []
    best = [] if points.best is None else [f"best {_point(points.best)}"]
    return [*_coco(analysis.coco), *best, _point(points.shown), *_errors(analysis.errors)]


def three_digits(value: float | None) -> str:
    """A fraction, or a dash for what is not defined."""
    return "-" if value is None else f"{value:.3f}"


def _coco(figures: CocoFigures) -> list[str]:
    of = {name: three_digits(value) for name, value in figures.as_dict().items()}
    return [
        f"COCO AP {of['ap']}, AP50 {of['ap50']}, AP75 {of['ap75']}; "
        f"small {of['ap_small']}, medium {of['ap_medium']}, large {of['ap_large']}",
        f"COCO AR1 {of['ar1']}, AR10 {of['ar10']}, AR100 {of['ar100']}; "
        f"small {of['ar_small']}, medium {of['ar_medium']}, large {of['ar_large']}",
    ]


def _point(point: OperatingPoint) -> str:
    return (
        f"F1 {three_digits(point.f1)} from score {point.threshold:.3f}: "
        f"precision {three_digits(point.precision)}, recall {three_digits(point.recall)}"
    )


def _errors(errors: ErrorTypes) -> list[str]:
    right, missed = errors.counts["right"], errors.counts["missed"]
    wrong = ", ".join(f"{errors.counts[kind.key]} {kind.key}" for kind in WRONG)
    return [f"from score {errors.threshold:.3f}: {right} right, {missed} missed", f"wrong there: {wrong}"]
