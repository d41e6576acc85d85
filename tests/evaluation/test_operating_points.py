"""Score thresholds: by hand, and against a loop over every threshold there is."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from judged import BOX, FAR, NAMES, detections, random_cases, target

from frcnn.evaluation.average_precision import judge, precision_recall, voc_result
from frcnn.evaluation.flat import flatten, overlapping_pairs
from frcnn.evaluation.operating_points import (
    OperatingPoint,
    OperatingPoints,
    best_point,
    operating_points,
    point_at,
)
from frcnn.structures import Detections, Target

THIRD = (80.0, 80.0, 90.0, 90.0)


def points_of(found: list[Detections], truths: list[Target], shown_from: float = 0.5) -> OperatingPoints:
    flat = flatten(found, truths, len(NAMES))
    judgement = judge(flat, overlapping_pairs(flat, 0.5))
    return operating_points(flat, judgement, voc_result(flat, judgement, NAMES), shown_from)


def test_right_wrong_right_of_two_objects() -> None:
    """F1 is 2/3, 1/2 and 4/5: the best is the last."""
    found = detections((BOX, 0.9, 0), (THIRD, 0.7, 0), (FAR, 0.625, 0), (THIRD, 0.25, 0))
    cat = points_of([found], [target((BOX, 0, False), (FAR, 0, False))], shown_from=0.7).per_class["cat"]
    assert cat is not None
    assert cat.best is not None
    assert astuple(cat.best) == pytest.approx((0.625, 2 / 3, 1, 0.8))
    assert astuple(cat.shown) == pytest.approx((0.7, 1, 0.5, 2 / 3))  # float32's .7 lies below .7
    assert cat.as_dict()["best"] == {
        "threshold": 0.625,
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
        "f1": pytest.approx(0.8),
    }


def test_equal_scores_are_believed_together() -> None:
    """The right one stands first, but no threshold parts it from the wrong one."""
    found = detections((BOX, 0.75, 0), (FAR, 0.75, 0))
    cat = points_of([found], [target((BOX, 0, False))]).per_class["cat"]
    assert cat is not None
    assert cat.best is not None
    assert astuple(cat.best) == pytest.approx((0.75, 0.5, 1, 2 / 3))


def test_the_highest_of_equally_good_thresholds_is_taken() -> None:
    """Of four objects: F1 is 2/5 after one right, and again after a right one and four wrong."""
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    precision, recall = np.array([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 2 / 6]), np.array([1, 1, 1, 1, 1, 2]) / 4
    best = best_point(scores, precision, recall)
    assert best is not None
    assert (best.threshold, best.f1) == (0.9, pytest.approx(2 / 5))


def test_ties_do_not_hang_on_rounding() -> None:
    """Of six objects: F1 is 2 / 7 after one hit, and after two hits and six misses, where 2 P R / (P + R) is larger."""
    hits = np.array([1, 1, 1, 1, 1, 1, 1, 2])
    scores, precision, recall = np.linspace(0.875, 0.75, 8), hits / np.arange(1, 9), hits / 6
    best = best_point(scores, precision, recall)
    assert best is not None
    assert (best.threshold, best.f1) == (0.875, 2 / 7)


@pytest.mark.parametrize("objects", range(1, 40))
def test_equal_f1_are_equal_numbers(objects: int) -> None:
    """h hits of k are as good as 2 h of 2 k + n for n objects: in fractions both are 2 h / (k + n)."""
    for hits in range(1, objects // 2 + 1):
        for believed in range(hits, 40):
            later = 2 * believed + objects
            right = np.zeros(later, bool)
            right[:hits] = True
            right[later - hits :] = True
            curve = precision_recall(right, objects)
            scores = np.linspace(1, 0.5, later)
            points = [point_at(scores, *curve, float(scores[place - 1])) for place in (believed, later)]
            assert points[0].f1 == points[1].f1 == 2 * hits / (believed + objects)


def test_all_classes_share_one_threshold_and_those_without_objects_count_as_wrong() -> None:
    found = detections((BOX, 0.75, 0), (FAR, 0.75, 1), (THIRD, 0.5, 2))
    points = points_of([found], [target((BOX, 0, False), (FAR, 1, False), (THIRD, 1, False))])
    assert points.all is not None
    assert points.all.best is not None
    assert astuple(points.all.shown) == pytest.approx((0.5, 2 / 3, 2 / 3, 2 / 3))
    assert astuple(points.all.best) == pytest.approx((0.75, 1, 2 / 3, 0.8))
    assert points.per_class["eel"] is None


def test_detections_on_ignored_objects_count_nowhere() -> None:
    points = points_of([detections((FAR, 0.9, 0), (BOX, 0.75, 0))], [target((BOX, 0, False), (FAR, 0, True))])
    assert points.all is not None
    assert points.all.best == OperatingPoint(0.75, 1.0, 1.0, 1.0)
    assert points.per_class["cat"] == points.all


def test_nothing_above_the_threshold_has_no_precision() -> None:
    points = points_of([detections((BOX, 0.25, 0))], [target((BOX, 0, False))])
    assert points.all is not None
    assert points.all.shown == OperatingPoint(0.5, None, 0.0, 0.0)


def test_nothing_right_has_no_best_threshold_and_no_objects_no_points() -> None:
    points = points_of([detections((FAR, 0.75, 0))], [target((BOX, 0, False))])
    assert points.all is not None
    assert points.all.best is None
    assert points.all.as_dict()["best"] is None
    assert points_of([detections()], [target((BOX, 0, False))]).per_class["cat"] is not None
    assert points_of([detections((FAR, 0.75, 0))], [target()]).all is None


def test_a_score_that_is_no_number_is_no_threshold() -> None:
    scores, precision, recall = np.array([0.5, math.nan]), np.array([0.0, 0.5]), np.array([0.0, 1.0])
    assert best_point(scores, precision, recall) is None
    assert point_at(scores, precision, recall, 0.25) == OperatingPoint(0.25, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("seed", range(10))
def test_agrees_with_a_loop_over_the_thresholds(seed: int) -> None:
    """Each threshold applied to the detections first, and what is left judged anew."""
    for found, truths in random_cases(10, seed):
        points = points_of(found, truths).all
        if points is None:
            assert slow_point(found, truths, 0.5) is None
            continue
        shown = slow_point(found, truths, 0.5)
        assert shown is not None
        assert (points.shown.precision, points.shown.recall, points.shown.f1) == pytest.approx(shown)
        thresholds = sorted({score for picture in found for score in picture.scores.tolist()}, reverse=True)
        slow = {threshold: slow_point(found, truths, threshold) for threshold in thresholds}
        of_best = [point[2] for point in slow.values() if point is not None]
        if not any(of_best):
            assert points.best is None
            continue
        assert points.best is not None
        assert points.best.threshold == thresholds[of_best.index(max(of_best))]
        best = (points.best.precision, points.best.recall, points.best.f1)
        assert best == pytest.approx(slow[points.best.threshold])


def slow_point(
    found: list[Detections], truths: list[Target], threshold: float
) -> tuple[float | None, float, float] | None:
    """Precision, recall and F1; None without objects."""
    believed = [picture[picture.scores >= threshold] for picture in found]
    flat = flatten(believed, truths, len(NAMES))
    verdict = judge(flat, overlapping_pairs(flat, 0.5)).verdict.tolist()
    right, wrong, objects = verdict.count(1), verdict.count(0), int(flat.counted.sum())
    if objects == 0:
        return None
    if right + wrong == 0:
        return None, 0.0, 0.0
    return right / (right + wrong), right / objects, 2 * right / (right + wrong + objects)
