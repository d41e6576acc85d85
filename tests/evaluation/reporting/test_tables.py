"""The tables: figures by hand, in an order that can be read and sorted."""

import pytest
from judged import BOX, FAR, NAMES, detections, target
from small_reports import an_evaluated

from frcnn.cropping import css
from frcnn.drawing import class_colour
from frcnn.evaluation.analysis import analyse
from frcnn.evaluation.average_precision import evaluate_detections
from frcnn.evaluation.proposal_recall import ProposalRecall
from frcnn.evaluation.reporting.colours import KIND_COLOURS
from frcnn.evaluation.reporting.tables import (
    CLASS_COLUMNS,
    LAST,
    Cell,
    class_table,
    coco_rows,
    error_table,
    figure,
    recall_table,
)
from frcnn.evaluation.reporting.texts import texts
from frcnn.evaluation.results import Evaluation

EN = texts("en")


def test_figures_and_what_they_are_sorted_by() -> None:
    assert figure(0.12345) == Cell("0.123", 0.12345)
    assert figure(12_345) == Cell("12,345", 12_345)
    assert figure(None) == Cell("–", LAST)
    assert figure(0.0).value > LAST


def test_classes_by_hand() -> None:
    """A cat found; a dog found at .75, another missed; no eel, and none found."""
    found = [detections((BOX, 0.5, 0), (FAR, 0.75, 1))]
    truth = [target((BOX, 0, False), (FAR, 1, False), (BOX, 1, False))]
    analysis = analyse(found, truth, NAMES)
    evaluation = Evaluation(evaluate_detections(found, truth, NAMES), tuple(found), {}, 0.05, None)
    table = class_table(evaluation, analysis, EN)
    assert len(table.headings) == len(table.rows[0]) == len(table.footer) == len(CLASS_COLUMNS) + 1
    rows = {row[0].text: dict(zip(table.headings, row, strict=True)) for row in table.rows}
    assert list(rows) == ["cat", "dog", "eel"]
    assert rows["cat"]["class"].colour == css(class_colour(0))
    dog = rows["dog"]
    assert dog["VOC07 AP"] == Cell("0.545", pytest.approx(6 / 11), share=pytest.approx(6 / 11))
    assert [dog[name].text for name in ("VOC AP", "best F1", "from score", "precision", "recall", "objects")] == [
        "0.500", "0.667", "0.750", "1.000", "0.500", "2",
    ]  # fmt: skip
    assert [dog[name].text for name in ("AP small", "AP medium")] == ["0.505", "–"]  # both boxes are small
    assert {cell.text for name, cell in rows["eel"].items() if name not in ("class", "objects")} == {"–"}
    footer = dict(zip(table.headings, table.footer, strict=True))
    assert [footer[name] for name in ("class", "VOC AP", "best F1", "from score", "recall", "objects")] == [
        "all classes", "0.750", "0.800", "0.500", "0.667", "3",
    ]  # fmt: skip


def test_coco_s_twelve() -> None:
    analysis = analyse([detections((BOX, 0.5, 0))], [target((BOX, 0, False))], NAMES)
    rows = coco_rows(analysis.coco, EN)
    assert len(rows) == 12
    assert dict(rows)["AP"] == dict(rows)["AR, 100"] == "1.000"
    assert dict(rows)["AP large"] == "–"


def test_each_kind_of_error_with_its_number_and_cost(tmp_path) -> None:
    analysis = an_evaluated(tmp_path).analysis
    table = error_table(analysis, EN)
    assert [(row[0].text, row[1].text) for row in table.rows] == [
        ("Localisation", "1"),
        ("Class", "1"),
        ("Class and place", "1"),
        ("Duplicate", "1"),
        ("Background", "1"),
        ("Missed", "3"),
    ]
    assert table.rows[0][0].colour == css(KIND_COLOURS["localisation"])
    assert analysis.error_costs is not None
    assert [row[2].value for row in table.rows] == [
        analysis.error_costs[kind] for kind in ("localisation", "class", "both", "duplicate", "background", "missed")
    ]


def test_errors_cost_nothing_that_is_known_without_objects() -> None:
    table = error_table(analyse([detections((BOX, 0.5, 0))], [target()], NAMES), EN)
    assert {row[2].text for row in table.rows} == {"–"}


def test_recall_by_the_number_of_proposals() -> None:
    recall = ProposalRecall((50, 2000), (0.5, 0.75), ((0.25, 0.5), (0.125, None)), (0.1, 0.2), 8)
    table = recall_table(recall, EN)
    assert table.headings == ["proposals", "IoU 0.5", "IoU 0.75", "average, .5 to .9"]
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["50", "0.250", "0.125", "0.100"],
        ["2,000", "0.500", "–", "0.200"],
    ]
