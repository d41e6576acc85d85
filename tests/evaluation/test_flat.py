"""Flat arrays: what stands where, and which boxes overlap, by hand and against a loop over all pairs."""

import math
import random

import numpy as np
import pytest
from judged import BOX, FAR, detections, random_case, slow_iou, target

from frcnn.evaluation import flat as module
from frcnn.evaluation.flat import NO_OBJECT, Pairs, best_first, best_objects, flatten, overlapping_pairs, rows_of_each

HALF = (10.0, 10.0, 20.0, 15.0)


def test_pictures_stand_one_after_the_other() -> None:
    found = [detections((BOX, 0.5, 2)), detections(), detections((FAR, 0.25, 0), (HALF, 0.75, 1))]
    truths = [target(), target((BOX, 1, True)), target((HALF, 2, False))]
    flat = flatten(found, truths, 3)
    assert flat.found.pictures.tolist() == [0, 2, 2]
    assert flat.found.class_ids.tolist() == [2, 0, 1]
    assert flat.scores.tolist() == [0.5, 0.25, 0.75]
    assert flat.found.boxes.tolist() == [list(BOX), list(FAR), list(HALF)]
    assert flat.objects.pictures.tolist() == [1, 2]
    assert flat.counted.tolist() == [False, True]
    assert flat.areas.tolist() == [100, 50]
    assert flat.objects_per_class().tolist() == [0, 0, 1]


def test_areas_may_be_given() -> None:
    truths = [target((BOX, 0, False)), target(), target((BOX, 0, False), (FAR, 0, False))]
    areas = [np.array([7.0]), np.zeros(0), np.array([8.0, 9.0])]
    assert flatten([detections()] * 3, truths, 3, areas).areas.tolist() == [7, 8, 9]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="1 pictures of detections, but 0"):
        flatten([detections()], [], 3)
    with pytest.raises(ValueError, match="class ids 0 to 3, but there are 3 classes"):
        flatten([detections((BOX, 0.9, 3), (BOX, 0.9, 0))], [target()], 3)
    with pytest.raises(ValueError, match="2 areas, but 1 objects"):
        flatten([detections()], [target((BOX, 0, False))], 3, [np.zeros(2)])


def test_no_pictures_are_no_rows() -> None:
    flat = flatten([], [], 3)
    assert (len(flat.scores), len(flat.areas)) == (0, 0)
    assert [len(column) for column in overlapping_pairs(flat, 0.1)] == [0, 0, 0]


def test_pairs_are_of_one_class_unless_across() -> None:
    flat = flatten([detections((BOX, 0.9, 0))], [target((HALF, 1, False), (FAR, 0, False), (BOX, 0, False))], 3)
    assert overlapping_pairs(flat, 0.1).objects.tolist() == [2]
    across = overlapping_pairs(flat, 0.1, across_classes=True)
    assert (across.objects.tolist(), across.iou.tolist()) == ([0, 2], [0.5, 1.0])
    assert overlapping_pairs(flat, 0.6, across_classes=True).objects.tolist() == [2]


def test_the_least_overlap_is_included_and_above_is_not() -> None:
    flat = flatten([detections((BOX, 0.9, 0))], [target((HALF, 0, False))], 3)
    pairs = overlapping_pairs(flat, 0.5)
    assert len(pairs.iou) == 1
    assert len(pairs.above(0.5).iou) == 0


@pytest.mark.parametrize("pairs_at_once", [1, 500_000])
@pytest.mark.parametrize("across", [False, True])
def test_pairs_are_those_of_the_slow_loop(across: bool, pairs_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", pairs_at_once)
    for seed in range(30):
        flat = flatten(*random_case(random.Random(seed)), 3)
        expected = [
            (i, j, slow_iou(flat.found.boxes[i], flat.objects.boxes[j]))
            for i in range(len(flat.scores))
            for j in range(len(flat.areas))
            if flat.found.pictures[i] == flat.objects.pictures[j]
            and (across or flat.found.class_ids[i] == flat.objects.class_ids[j])
        ]
        expected = [pair for pair in expected if pair[2] >= 0.1]
        got = overlapping_pairs(flat, 0.1, across)
        assert list(zip(*(column.tolist() for column in got), strict=True)) == expected


def test_the_best_object_is_the_first_of_equals_and_none_where_there_is_none() -> None:
    pairs = Pairs(np.array([0, 0, 0, 2, 2]), np.array([4, 5, 6, 1, 3]), np.array([0.3, 0.7, 0.7, 0.6, 0.2]))
    index, overlap = best_objects(pairs, 4)
    assert index.tolist() == [5, NO_OBJECT, 1, NO_OBJECT]
    assert overlap.tolist() == [0.7, 0, 0.6, 0]


def test_rows_of_each_class_keep_their_order() -> None:
    assert [rows.tolist() for rows in rows_of_each(np.array([2, 0, 2, 0]), 4)] == [[1, 3], [], [0, 2], []]


def test_best_first_keeps_equal_scores_in_order_and_puts_no_number_last() -> None:
    assert best_first(np.array([0.5, math.nan, 0.7, 0.5])).tolist() == [2, 0, 3, 1]
