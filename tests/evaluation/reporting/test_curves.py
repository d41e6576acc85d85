"""The cards: the point with the best F1 on its curve; and the bars of the calibration."""

import xml.etree.ElementTree as ET

import pytest
from judged import BOX, FAR, NAMES, detections, target

from frcnn.evaluation import plots
from frcnn.evaluation.analysis import Analysis, analyse
from frcnn.evaluation.average_precision import VocResult, evaluate_detections
from frcnn.evaluation.reporting.curves import CurveCard, calibration_chart, curve_cards
from frcnn.evaluation.reporting.texts import texts

EN = texts("en")
FOUND = detections((BOX, 0.75, 0), (FAR, 0.5, 1), (FAR, 0.25, 2))
THERE = target((BOX, 0, False), (BOX, 0, False), (FAR, 1, False))


def evaluated() -> tuple[VocResult, Analysis]:
    return evaluate_detections([FOUND], [THERE], NAMES), analyse([FOUND], [THERE], NAMES)


def cards() -> list[CurveCard]:
    result, analysis = evaluated()
    return curve_cards(result, analysis.operating_points, EN)


def test_a_card_for_each_class_with_objects_the_largest_area_first() -> None:
    dog, cat = cards()
    assert (dog.name, dog.ap, dog.point) == ("dog", "area AP 1.000", "F1 1.00 from 0.50")
    assert (cat.name, cat.ap, cat.point) == ("cat", "area AP 0.500", "F1 0.67 from 0.75")
    (dot,) = ET.fromstring(cat.svg).iter("circle")
    assert (dot.get("cx"), dot.get("cy")) == ("50.0", "0.0")  # a recall of 1/2, a precision of 1


def test_nothing_right_has_no_point() -> None:
    found = detections((FAR, 0.75, 0))
    analysis = analyse([found], [target((BOX, 0, False))], NAMES)
    result = evaluate_detections([found], [target((BOX, 0, False))], NAMES)
    (card,) = curve_cards(result, analysis.operating_points, EN)
    assert (card.point, "circle" in card.svg) == ("", False)


def test_of_very_many_classes_those_with_the_most_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "MOST_CLASSES", 1)
    assert [card.name for card in cards()] == ["cat"]


def test_a_bar_for_each_range_of_scores_that_has_detections() -> None:
    """One of .75, right; one of .5, right; one of .25, wrong."""
    _, analysis = evaluated()
    svg = calibration_chart(analysis.calibration, EN)
    assert svg is not None
    bars = list(ET.fromstring(svg).iter("rect"))
    assert [bar[0].text for bar in bars] == [
        "0.2 to 0.3: 0.000 right of 1",
        "0.5 to 0.6: 1.000 right of 1",
        "0.7 to 0.8: 1.000 right of 1",
    ]


def test_no_detections_no_bars() -> None:
    assert calibration_chart(analyse([detections()], [THERE], NAMES).calibration, EN) is None
