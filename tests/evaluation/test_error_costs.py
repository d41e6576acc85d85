"""What errors cost: each kind by hand, and all against a loop that mends the detections themselves."""

from typing import NamedTuple

import pytest
from judged import BOX, FAR, NAMES, detections, random_cases, target

from frcnn.evaluation.average_precision import judge, voc_result
from frcnn.evaluation.error_costs import error_costs
from frcnn.evaluation.error_types import Verdict, error_types
from frcnn.evaluation.flat import flatten, overlapping_pairs
from frcnn.structures import Detections, Target

CAT, DOG = 0, 1
THIRD = (80.0, 80.0, 90.0, 90.0)
HALF = (10.0, 10.0, 20.0, 15.0)  # of BOX
NOTHING = dict.fromkeys(("duplicate", "localisation", "class", "both", "background", "missed"), 0.0)


def costs(found: list[Detections], truths: list[Target]) -> dict[str, float] | None:
    flat = flatten(found, truths, 3)
    pairs = overlapping_pairs(flat, 0.1, across_classes=True)
    return error_costs(flat, error_types(flat, pairs, judge(flat, pairs), 0.5))


def test_what_is_perfect_costs_nothing() -> None:
    assert costs([detections((BOX, 0.9, CAT))], [target((BOX, CAT, False))]) == NOTHING


def test_a_wrong_one_before_the_right_one_costs_one_half() -> None:
    truth = target((BOX, CAT, False))
    assert costs([detections((FAR, 0.9, CAT), (BOX, 0.8, CAT))], [truth]) == NOTHING | {"background": 0.5}


def test_a_wrong_place_made_right_finds_the_object() -> None:
    """So does not counting it, where nothing is left to find: there the mean is of nothing found, 0."""
    assert costs([detections((HALF, 0.9, CAT))], [target((BOX, CAT, False))]) == NOTHING | {"localisation": 1.0}


def test_a_wrong_place_on_an_object_that_is_found_is_left_out() -> None:
    """It stands before the right one, of two objects: the AP is 1/4 and becomes 1/2; without the missed one, too."""
    found = detections((HALF, 0.9, CAT), (BOX, 0.8, CAT))
    expected = NOTHING | {"localisation": 0.25, "missed": 0.25}
    assert costs([found], [target((BOX, CAT, False), (FAR, CAT, False))]) == expected


def test_of_two_in_the_wrong_place_the_better_score_is_mended() -> None:
    """Of two objects one is found by neither: the AP is 0 and becomes 1/2."""
    found = detections((HALF, 0.9, CAT), (HALF, 0.8, CAT))
    truth = target((BOX, CAT, False), (FAR, CAT, False))
    assert costs([found], [truth]) == NOTHING | {"localisation": 0.5}


def test_a_wrong_class_made_right_helps_two_classes() -> None:
    """The dog's detection on the cat stands before the dog's own: cat 0 and dog 1/2 become 1 and 1."""
    found = detections((BOX, 0.9, DOG), (FAR, 0.8, DOG))
    assert costs([found], [target((BOX, CAT, False), (FAR, DOG, False))]) == NOTHING | {"class": 0.75}


def test_wrong_in_place_and_class_is_left_out() -> None:
    """Nobody knows which object was meant."""
    found = detections((HALF, 0.9, DOG), (FAR, 0.8, DOG))
    assert costs([found], [target((BOX, CAT, False), (FAR, DOG, False))]) == NOTHING | {"both": 0.25}


def test_duplicates_are_left_out() -> None:
    """Right, duplicate, right, of two objects: (1 + 2/3) / 2 becomes 1."""
    found = detections((BOX, 0.9, CAT), (BOX, 0.8, CAT), (FAR, 0.7, CAT))
    got = costs([found], [target((BOX, CAT, False), (FAR, CAT, False))])
    assert got == pytest.approx(NOTHING | {"duplicate": 1 / 6})


def test_missed_objects_are_not_counted() -> None:
    truth = target((BOX, CAT, False), (FAR, CAT, False), (THIRD, CAT, False), ((0.0, 0.0, 5.0, 5.0), CAT, False))
    assert costs([detections((BOX, 0.9, CAT))], [truth]) == NOTHING | {"missed": 0.75}


def test_a_wrong_class_on_an_ignored_object_is_left_out() -> None:
    found = detections((BOX, 0.9, DOG), (FAR, 0.8, DOG))
    assert costs([found], [target((BOX, CAT, True), (FAR, DOG, False))]) == NOTHING | {"class": 0.5}


def test_without_objects_nothing_is_defined() -> None:
    assert costs([detections((BOX, 0.9, CAT))], [target()]) is None


class Row(NamedTuple):
    score: float
    class_id: int
    verdict: Verdict
    thing: int


def slow_map(rows: list[tuple[float, int, bool]], objects: dict[int, int], classes: list[int]) -> float:
    """The mean area AP of (score, class, right), best first among equals in the order given."""
    total = 0.0
    for class_id in classes:
        hits, curve = 0, []
        for rank, (_, _, right) in enumerate(sorted((r for r in rows if r[1] == class_id), key=lambda r: -r[0]), 1):
            hits += right
            curve.append((right, hits / rank))
        for index, (right, _) in enumerate(curve):
            total += max(precision for _, precision in curve[index:]) / objects[class_id] if right else 0.0
    return total / len(classes)


def slow_costs(found: list[Detections], truths: list[Target]) -> dict[str, float] | None:
    flat = flatten(found, truths, 3)
    pairs = overlapping_pairs(flat, 0.1, across_classes=True)
    errors = error_types(flat, pairs, judge(flat, pairs), 0.5)
    columns = (flat.scores, flat.found.class_ids, errors.verdicts, errors.object_index)
    rows = [Row(s, c, Verdict(v), t) for s, c, v, t in zip(*(column.tolist() for column in columns), strict=True)]
    rows = [row for row in rows if row.verdict is not Verdict.IGNORED]
    things = [(int(c), bool(k)) for c, k in zip(flat.objects.class_ids, flat.counted, strict=True)]
    objects = {c: sum(1 for thing in things if thing == (c, True)) for c in range(3)}
    classes = [c for c in range(3) if objects[c]]
    if not classes:
        return None
    hit = {row.thing for row in rows if row.verdict is Verdict.RIGHT}
    before = slow_map([(r.score, r.class_id, r.verdict is Verdict.RIGHT) for r in rows], objects, classes)
    costs = {}
    for kind in (Verdict.DUPLICATE, Verdict.LOCALISATION, Verdict.CLASS, Verdict.BOTH, Verdict.BACKGROUND):
        mended, used = [], set(hit)
        for row in sorted(rows, key=lambda row: -row.score):
            if row.verdict is not kind:
                mended.append((row.score, row.class_id, row.verdict is Verdict.RIGHT))
            elif kind in (Verdict.LOCALISATION, Verdict.CLASS) and row.thing not in used and things[row.thing][1]:
                used.add(row.thing)
                mended.append((row.score, things[row.thing][0], True))
        costs[kind.key] = slow_map(mended, objects, classes) - before
    as_it_is = [(r.score, r.class_id, r.verdict is Verdict.RIGHT) for r in rows]
    left = {c: sum(1 for thing in hit if things[thing][0] == c) for c in range(3)}
    return costs | {"missed": slow_map(as_it_is, left, classes) - before}


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_slow_form(seed: int) -> None:
    for found, truths in random_cases(20, seed):
        got, expected = costs(found, truths), slow_costs(found, truths)
        assert got == (None if expected is None else pytest.approx(expected, abs=1e-12))


@pytest.mark.parametrize("seed", range(5))
def test_mending_never_costs(seed: int) -> None:
    """And never gains more than what lacks to 1."""
    for found, truths in random_cases(20, seed):
        flat = flatten(found, truths, 3)
        result = voc_result(flat, judge(flat, overlapping_pairs(flat, 0.5)), NAMES)
        gained = costs(found, truths)
        if gained is not None and result.voc_map is not None:
            assert min(gained.values()) > -1e-12
            assert result.voc_map + max(gained.values()) < 1 + 1e-12
