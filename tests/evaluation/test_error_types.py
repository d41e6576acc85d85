"""Error types: each by hand, and all against a loop that judges picture by picture."""

import pytest
from judged import BOX, FAR, detections, random_cases, slow_iou, target

from frcnn.evaluation.average_precision import judge
from frcnn.evaluation.error_types import ErrorTypes, Fate, Verdict, error_types
from frcnn.evaluation.flat import NO_OBJECT, flatten, overlapping_pairs
from frcnn.structures import Detections, Target

CAT, DOG = 0, 1
HALF = (10.0, 10.0, 20.0, 15.0)  # of BOX
TENTH = (10.0, 10.0, 20.0, 11.0)
LESS = (10.0, 10.0, 20.0, 10.9)


def errors_of(found: list[Detections], truths: list[Target], threshold: float = 0.0) -> ErrorTypes:
    flat = flatten(found, truths, 3)
    pairs = overlapping_pairs(flat, 0.1, across_classes=True)
    return error_types(flat, pairs, judge(flat, pairs), threshold)


def verdicts(found: Detections, truth: Target) -> list[Verdict]:
    return [Verdict(verdict) for verdict in errors_of([found], [truth]).verdicts]


@pytest.mark.parametrize(
    ("box", "class_id", "verdict"),
    [
        (BOX, CAT, Verdict.RIGHT),
        (HALF, CAT, Verdict.LOCALISATION),
        (TENTH, CAT, Verdict.LOCALISATION),
        (LESS, CAT, Verdict.BACKGROUND),
        (BOX, DOG, Verdict.CLASS),
        (HALF, DOG, Verdict.BOTH),
        (TENTH, DOG, Verdict.BOTH),
        (LESS, DOG, Verdict.BACKGROUND),
        (FAR, CAT, Verdict.BACKGROUND),
    ],
)
def test_one_detection_and_one_cat(box: tuple[float, ...], class_id: int, verdict: Verdict) -> None:
    assert verdicts(detections((box, 0.9, class_id)), target((BOX, CAT, False))) == [verdict]


def test_the_second_on_an_object_is_a_duplicate() -> None:
    found = detections((BOX, 0.8, CAT), (BOX, 0.9, CAT))
    assert verdicts(found, target((BOX, CAT, False))) == [Verdict.DUPLICATE, Verdict.RIGHT]


def test_an_object_of_its_own_class_decides_even_if_it_is_only_touched() -> None:
    """TIDE's order: in the wrong place comes before of the wrong class."""
    assert verdicts(detections((BOX, 0.9, CAT)), target((BOX, DOG, False), (TENTH, CAT, False))) == [
        Verdict.LOCALISATION
    ]


def test_on_ignored_objects() -> None:
    """Of its class it is neither right nor wrong; touched only, or of another class, it tells what happened."""
    found = detections((BOX, 0.9, CAT), (BOX, 0.8, CAT), (HALF, 0.7, CAT), (BOX, 0.6, DOG))
    assert verdicts(found, target((BOX, CAT, True))) == [
        Verdict.IGNORED,
        Verdict.IGNORED,
        Verdict.LOCALISATION,
        Verdict.CLASS,
    ]


def test_objects_are_found_missed_or_ignored_at_the_threshold() -> None:
    found = detections((BOX, 0.5, CAT), (FAR, 0.25, CAT), (BOX, 0.75, DOG))
    truth = target((BOX, CAT, False), (FAR, CAT, False), (FAR, DOG, True))
    errors = errors_of([found], [truth], threshold=0.5)
    assert errors.fates.tolist() == [Fate.FOUND, Fate.MISSED, Fate.IGNORED]
    assert errors.counts == {
        "right": 1,
        "duplicate": 0,
        "localisation": 0,
        "class": 1,
        "both": 0,
        "background": 0,
        "ignored": 0,
        "missed": 1,
    }
    assert errors.verdicts.tolist() == [Verdict.RIGHT, Verdict.RIGHT, Verdict.CLASS]
    assert errors.object_index.tolist() == [0, 1, 0]


def test_the_object_that_decided_is_counted_over_all_pictures() -> None:
    found = [detections(), detections((FAR, 0.9, CAT), (BOX, 0.9, CAT))]
    assert errors_of(found, [target((BOX, CAT, False)), target((BOX, CAT, False))]).object_index.tolist() == [
        NO_OBJECT,
        1,
    ]


def test_nothing_at_all() -> None:
    errors = errors_of([], [])
    assert set(errors.counts.values()) == {0}
    assert (len(errors.verdicts), len(errors.fates)) == (0, 0)


def slow_errors(of_picture: Detections, truth: Target, threshold: float) -> tuple[dict[int, str], list[str]]:
    """Of one picture: the verdict of each detection at or above the threshold, by its row, and of each object."""
    assert truth.ignored is not None
    objects = list(zip(truth.boxes.tolist(), truth.class_ids.tolist(), truth.ignored.tolist(), strict=True))
    rows = [(row, *of_picture[row]) for row in range(len(of_picture))]
    rows = sorted((row for row in rows if row[2] >= threshold), key=lambda row: -row[2])
    found: dict[int, str] = {}
    taken: set[int] = set()
    for row, box, _, _ in rows:
        class_id = int(of_picture.class_ids[row])
        own = [(slow_iou(tuple(box), tuple(o[0])), -i) for i, o in enumerate(objects) if o[1] == class_id]
        overlap, index = max(own, default=(0.0, 0))
        other = max((slow_iou(tuple(box), tuple(o[0])) for o in objects if o[1] != class_id), default=0.0)
        if overlap > 0.5 and objects[-index][2]:
            found[row] = "ignored"
        elif overlap > 0.5:
            found[row] = "duplicate" if index in taken else "right"
            taken.add(index)
        elif overlap >= 0.1:
            found[row] = "localisation"
        elif other > 0.5:
            found[row] = "class"
        else:
            found[row] = "both" if other >= 0.1 else "background"
    fates = ["ignored" if o[2] else "found" if -i in taken else "missed" for i, o in enumerate(objects)]
    return found, fates


@pytest.mark.parametrize("threshold", [0.0, 0.375, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_slow_form(seed: int, threshold: float) -> None:
    """Which sees only the detections that are believed: the others change no verdict."""
    for found, truths in random_cases(20, seed):
        errors = errors_of(found, truths, threshold)
        got = [Verdict(verdict).key for verdict in errors.verdicts]
        fates, counted = [], []
        first = 0
        for of_picture, truth in zip(found, truths, strict=True):
            expected, of_objects = slow_errors(of_picture, truth, threshold)
            assert {row: got[first + row] for row in expected} == expected
            first += len(of_picture)
            fates += of_objects
            counted += expected.values()
        assert [Fate(fate).name.lower() for fate in errors.fates] == fates
        assert errors.counts == {name: counted.count(name) for name in errors.counts} | {
            "missed": fates.count("missed")
        }
