"""The confusion matrix: each rule by hand, and all of them against a loop."""

import numpy as np
import pytest
from judged import BOX, FAR, NAMES, detections, random_cases, slow_iou, target

from frcnn.evaluation.confusion import confusion
from frcnn.evaluation.flat import flatten, overlapping_pairs
from frcnn.structures import Detections, Target

CAT, DOG, EEL, NONE = 0, 1, 2, 3
WIDE = (10.0, 10.0, 20.0, 22.0)  # of BOX 10/12


def counts(found: list[Detections], truths: list[Target], threshold: float = 0.5) -> dict[tuple[int, int], int]:
    """The cells that are not 0."""
    flat = flatten(found, truths, 3)
    matrix = confusion(flat, overlapping_pairs(flat, 0.1, across_classes=True), NAMES, threshold).counts
    return {(int(row), int(column)): int(matrix[row, column]) for row, column in zip(*matrix.nonzero(), strict=True)}


def test_right_wrong_class_missed_and_nothing_there() -> None:
    other = (80.0, 80.0, 90.0, 90.0)
    found = detections((BOX, 0.9, CAT), (FAR, 0.8, EEL), (other, 0.7, DOG), (BOX, 0.4, DOG))
    truth = target((BOX, CAT, False), (FAR, DOG, False), ((30.0, 30.0, 40.0, 40.0), EEL, False))
    assert counts([found], [truth]) == {(CAT, CAT): 1, (DOG, EEL): 1, (NONE, DOG): 1, (EEL, NONE): 1}


def test_the_threshold_is_included() -> None:
    assert counts([detections((BOX, 0.5, CAT))], [target((BOX, CAT, False))]) == {(CAT, CAT): 1}
    assert counts([detections((BOX, 0.25, CAT))], [target((BOX, CAT, False))]) == {(CAT, NONE): 1}


def test_an_overlap_of_one_half_is_not_enough() -> None:
    half = detections(((10.0, 10.0, 20.0, 15.0), 0.9, CAT))
    assert counts([half], [target((BOX, CAT, False))]) == {(CAT, NONE): 1, (NONE, CAT): 1}


def test_the_best_score_takes_the_object_whatever_its_class() -> None:
    """The cat was taken for a dog: the cat's own detection comes too late."""
    found = detections((BOX, 0.8, CAT), (WIDE, 0.9, DOG))
    assert counts([found], [target((BOX, CAT, False))]) == {(CAT, DOG): 1, (NONE, CAT): 1}


def test_an_object_of_its_own_class_comes_before_one_that_fits_better() -> None:
    truth = target((BOX, DOG, False), (WIDE, CAT, False))
    assert counts([detections((BOX, 0.9, CAT))], [truth]) == {(CAT, CAT): 1, (DOG, NONE): 1}


def test_of_one_class_the_better_fit_comes_first_and_what_is_taken_is_passed_over() -> None:
    truth = target((WIDE, CAT, False), (BOX, CAT, False))
    one = detections((BOX, 0.9, CAT))
    two = detections((BOX, 0.9, CAT), (BOX, 0.8, CAT))
    assert counts([one], [truth]) == {(CAT, CAT): 1, (CAT, NONE): 1}
    assert counts([two], [truth]) == {(CAT, CAT): 2}


def test_an_ignored_object_takes_any_number_and_none_is_counted() -> None:
    found = detections((BOX, 0.9, CAT), (BOX, 0.8, CAT), (BOX, 0.7, DOG))
    assert counts([found], [target((BOX, CAT, True))]) == {}


def test_an_object_that_counts_comes_before_an_ignored_one_of_its_class() -> None:
    truth = target((BOX, CAT, True), (WIDE, CAT, False))
    assert counts([detections((BOX, 0.9, CAT), (BOX, 0.8, CAT))], [truth]) == {(CAT, CAT): 1}


def test_an_ignored_one_of_its_class_comes_before_another_class() -> None:
    truth = target((WIDE, CAT, True), (BOX, DOG, False))
    assert counts([detections((BOX, 0.9, CAT))], [truth]) == {(DOG, NONE): 1}


def test_pictures_do_not_meet() -> None:
    found = [detections((BOX, 0.9, CAT)), detections()]
    assert counts(found, [target(), target((BOX, CAT, False))]) == {(NONE, CAT): 1, (CAT, NONE): 1}


def test_nothing_at_all() -> None:
    assert counts([], []) == {}
    assert counts([detections()], [target()]) == {}


def test_labels_and_counts_are_ready_for_json() -> None:
    flat = flatten([detections((BOX, 0.9, CAT))], [target((BOX, CAT, False))], 3)
    result = confusion(flat, overlapping_pairs(flat, 0.1, across_classes=True), NAMES, 0.25).as_dict()
    assert result["labels"] == ["cat", "dog", "eel", "background"]
    assert result["threshold"] == 0.25
    assert result["counts"] == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def slow_confusion(found: list[Detections], truths: list[Target], threshold: float) -> list[list[int]]:
    matrix = [[0] * 4 for _ in range(4)]
    for of_picture, truth in zip(found, truths, strict=True):
        assert truth.ignored is not None
        objects = list(zip(truth.boxes.tolist(), truth.class_ids.tolist(), truth.ignored.tolist(), strict=True))
        rows = list(zip(*(of_picture.to_dict()[key] for key in ("boxes", "scores", "class_ids")), strict=True))
        taken: set[int] = set()
        for box, score, class_id in sorted(rows, key=lambda row: -row[1]):
            if score < threshold:
                continue
            best, best_key = None, (False, False, 0.0)
            for index, (other, other_class, ignored) in enumerate(objects):
                overlap = slow_iou(tuple(box), tuple(other))
                key = (other_class == class_id, not ignored, overlap)
                if overlap > 0.5 and index not in taken and (best is None or key > best_key):
                    best, best_key = index, key
            if best is None:
                matrix[NONE][class_id] += 1
            elif not objects[best][2]:
                taken.add(best)
                matrix[objects[best][1]][class_id] += 1
        for index, (_, class_id, ignored) in enumerate(objects):
            matrix[class_id][NONE] += index not in taken and not ignored
    return matrix


@pytest.mark.parametrize("seed", range(10))
def test_agrees_with_the_slow_form(seed: int) -> None:
    for found, truths in random_cases(20, seed):
        flat = flatten(found, truths, 3)
        pairs = overlapping_pairs(flat, 0.1, across_classes=True)
        for threshold in (0.0, 0.375, 0.5):
            expected = slow_confusion(found, truths, threshold)
            assert confusion(flat, pairs, NAMES, threshold).counts.tolist() == expected


@pytest.mark.parametrize("seed", range(5))
def test_rows_and_columns_add_up(seed: int) -> None:
    """Every object that counts stands in its row once, and no detection in two columns."""
    for found, truths in random_cases(20, seed):
        flat = flatten(found, truths, 3)
        matrix = confusion(flat, overlapping_pairs(flat, 0.1, across_classes=True), NAMES, 0.25).counts
        assert matrix[:-1].sum(axis=1).tolist() == flat.objects_per_class().tolist()
        believed = np.bincount(flat.found.class_ids[flat.scores >= 0.25], minlength=3)
        assert (matrix[:, :-1].sum(axis=0) <= believed).all()
        if flat.counted.all():
            assert (matrix[:, :-1].sum(axis=0) == believed).all()
