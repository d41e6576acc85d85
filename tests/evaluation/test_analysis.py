"""The analysis: its parts tell of the same detections, at the same threshold, and are ready for JSON."""

import json

import numpy as np
import pytest
from judged import BOX, FAR, NAMES, detections, random_cases, target

from frcnn.evaluation.analysis import analyse
from frcnn.evaluation.average_precision import evaluate_detections
from frcnn.evaluation.coco import coco_figures

HALF = (10.0, 10.0, 20.0, 15.0)  # of BOX


def test_each_part_by_hand() -> None:
    """A cat found, another one missed, a dog taken for an eel, and a cat where there is none."""
    found = detections((BOX, 0.75, 0), (FAR, 0.625, 2), ((80.0, 80.0, 90.0, 90.0), 0.25, 0))
    truth = target((BOX, 0, False), ((30.0, 0.0, 40.0, 9.0), 0, False), (FAR, 1, False))
    metrics = analyse([found], [truth], NAMES).metrics_dict()
    assert metrics["coco"]["ap50"] == pytest.approx((51 / 101 + 0) / 2)
    assert metrics["operating_points"] == {
        "best": {"threshold": 0.75, "precision": 1.0, "recall": pytest.approx(1 / 3), "f1": 0.5},
        "shown": {"threshold": 0.5, "precision": 0.5, "recall": pytest.approx(1 / 3), "f1": pytest.approx(0.4)},
    }
    assert metrics["confusion"]["threshold"] == metrics["errors"]["threshold"] == 0.75
    assert metrics["confusion"]["counts"] == [[1, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert [part["detections"] for part in metrics["calibration"]["bins"]] == [0, 0, 1, 0, 0, 0, 1, 1, 0, 0]
    assert (metrics["errors"]["counts"]["right"], metrics["errors"]["counts"]["missed"]) == (1, 2)
    assert metrics["errors"]["costs"]["class"] == pytest.approx(0.5)  # the dog's AP becomes 1, of two classes


def test_a_row_of_a_class() -> None:
    found = detections((BOX, 0.75, 0), (FAR, 0.25, 0))
    row = analyse([found], [target((BOX, 0, False), (FAR, 0, False))], NAMES).class_row("cat")
    assert row["ap"] == row["ap50"] == row["ap_small"] == row["ar100"] == 1
    assert row["ap_large"] is None
    assert (row["objects_small"], row["ap50_small"], row["recall50_small"]) == (2, 1, 1)
    assert (row["objects_large"], row["ap50_large"], row["recall50_large"]) == (0, None, None)
    assert (row["best_threshold"], row["best_f1"]) == (0.25, 1)
    assert (row["shown_threshold"], row["shown_recall"]) == (0.5, 0.5)


def test_a_class_without_objects_has_the_same_columns() -> None:
    analysis = analyse([detections((BOX, 0.75, 0), (FAR, 0.5, 2))], [target((BOX, 0, False))], NAMES)
    cat, eel = analysis.class_row("cat"), analysis.class_row("eel")
    assert list(cat) == list(eel)
    assert {name for name, value in eel.items() if value is not None} == {
        f"objects_{s}" for s in ("small", "medium", "large")
    }


def test_where_nothing_right_is_found_the_shown_threshold_serves() -> None:
    analysis = analyse([detections((FAR, 0.75, 0))], [target((BOX, 0, False))], NAMES, shown_from=0.375)
    assert (analysis.confusion.threshold, analysis.errors.threshold) == (0.375, 0.375)
    assert analysis.confusion.counts.tolist() == [[0, 0, 0, 1], [0] * 4, [0] * 4, [1, 0, 0, 0]]


def test_areas_are_for_the_figures_of_coco() -> None:
    found, truths = [detections((BOX, 0.75, 0))], [target((BOX, 0, False))]
    analysis = analyse(found, truths, NAMES, [np.array([1e6])])
    assert (analysis.coco.ap_small, analysis.coco.ap_large) == (None, 1)


@pytest.mark.parametrize("empty", [([], []), ([detections()], [target()]), ([detections((BOX, 0.9, 0))], [target()])])
def test_without_objects_there_is_nothing_to_tell_but_it_is_told(empty) -> None:
    metrics = analyse(*empty, NAMES).metrics_dict()
    assert set(metrics["coco"].values()) == {None}
    assert (metrics["operating_points"], metrics["errors"]["costs"]) == (None, None)
    json.dumps(metrics, allow_nan=False)


def test_the_parts_agree() -> None:
    """What is right is the precision of the operating point, and COCO's figures are those taken alone."""
    for found, truths in random_cases(30, seed=1):
        analysis = analyse(found, truths, NAMES)
        json.dumps(analysis.metrics_dict(), allow_nan=False)
        assert analysis.coco == coco_figures(found, truths, NAMES)
        points, counts = analysis.operating_points.all, analysis.errors.counts
        objects = sum(of.objects for of in evaluate_detections(found, truths, NAMES).per_class.values())
        if points is not None and points.best is not None:
            believed = sum(counts.values()) - counts["ignored"] - counts["missed"]
            assert points.best.precision == pytest.approx(counts["right"] / believed)
            assert points.best.recall == pytest.approx(counts["right"] / objects)
        assert counts["right"] + counts["missed"] == objects == analysis.confusion.counts[:-1].sum()
