"""The curves of an evaluation: precision over recall for each class, and how far scores can be believed."""

from typing import NamedTuple

from markupsafe import Markup

from frcnn.cropping import css
from frcnn.drawing import class_colour
from frcnn.evaluation.average_precision import VocResult
from frcnn.evaluation.calibration import Calibration, CalibrationBin
from frcnn.evaluation.operating_points import Operating, OperatingPoints
from frcnn.evaluation.plots import most_objects
from frcnn.evaluation.reporting.charts import Bar, curve, share_bars
from frcnn.evaluation.reporting.tables import three_digits
from frcnn.texts import Texts


class CurveCard(NamedTuple):
    """One class: its curve, and below it the point with the best F1, where there is one."""

    name: str
    colour: str
    ap: str
    svg: Markup
    point: str


def curve_cards(result: VocResult, points: OperatingPoints, say: Texts) -> list[CurveCard]:
    """The classes with objects, the largest area first; with very many classes those with the most objects."""
    ids = {name: number for number, name in enumerate(result.per_class)}
    shown = set(most_objects([of_class.objects for of_class in result.per_class.values()]))
    return [
        CurveCard(
            name,
            css(class_colour(ids[name])),
            say("quality.curve", ap=three_digits(of_class.voc_ap)),
            curve(of_class.recall.tolist(), of_class.precision.tolist(), name, _mark(points.per_class[name])),
            _point(points.per_class[name], say),
        )
        for name, of_class in sorted(result.per_class.items(), key=lambda item: -(item[1].voc_ap or 0.0))
        if of_class.objects and ids[name] in shown
    ]


def calibration_chart(calibration: Calibration, say: Texts) -> Markup | None:
    """None where nothing was found."""
    if calibration.expected_error is None:
        return None
    bars = [
        Bar(part.lowest, part.highest, part.right, _short(part.detections), _title(part, say))
        for part in calibration.bins
    ]
    return share_bars(bars, say("calibration.x"), say("calibration.y"))


def _title(part: CalibrationBin, say: Texts) -> str:
    return say(
        "calibration.bin",
        low=f"{part.lowest:g}",
        high=f"{part.highest:g}",
        right=three_digits(part.right),
        detections=f"{part.detections:,}",
    )


def _short(number: int) -> str:
    return f"{number}" if number < 10_000 else f"{number / 1000:.0f}k"


def _mark(operating: Operating | None) -> tuple[float, float] | None:
    best = None if operating is None else operating.best
    return None if best is None or best.precision is None else (best.recall, best.precision)


def _point(operating: Operating | None, say: Texts) -> str:
    best = None if operating is None else operating.best
    return "" if best is None else say("quality.point", f1=f"{best.f1:.2f}", threshold=f"{best.threshold:.2f}")
