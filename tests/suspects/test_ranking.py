"""One list of all kinds, each by hand among ordinary pictures."""

import numpy as np
import pytest
from judged import BOX, FAR, NAMES, detections, random_cases, target

from frcnn.structures import Detections, Target
from frcnn.suspects.evidence import NOTHING
from frcnn.suspects.ranking import LEAST_SUSPICION, Suspicion, merged, rank

CAT, DOG, EEL = range(3)
LARGE = (20.0, 20.0, 80.0, 80.0)
ON_LARGE = (20.0, 22.0, 80.0, 82.0)
MOVED = (40.0, 40.0, 95.0, 95.0)  # IoU of .32 with LARGE
Pictures = list[tuple[Detections, Target]]


def ordinary(number: int = 24) -> Pictures:
    """Each with one object, which is found where it is; and with a doubtful detection of nothing."""
    return [
        (
            detections((ON_LARGE, 0.95, i % 3), ((*FAR[:2], 99.0, 99.0), 0.05, (i + 1) % 3)),
            target((LARGE, i % 3, False)),
        )
        for i in range(number)
    ]


def ranked(pictures: Pictures) -> list[Suspicion]:
    found, targets = zip(*pictures, strict=True)
    return rank(found, targets, np.array([[100, 100]] * len(found), np.int32), len(NAMES))


def test_an_object_that_nobody_annotated():
    first, *others = ranked([*ordinary(), (detections((LARGE, 0.95, CAT)), target())])
    assert (first.kind, first.picture, first.object, first.found) == ("missing", 24, NOTHING, 0)
    assert all(one.suspicion < first.suspicion / 2 for one in others)


def test_a_wrong_class():
    first, *others = ranked([*ordinary(), (detections((LARGE, 0.95, CAT)), target((LARGE, DOG, False)))])
    assert (first.kind, first.picture, first.object, first.found) == ("class", 24, 0, 0)
    assert all(one.suspicion < first.suspicion / 2 for one in others)


def test_a_box_that_is_elsewhere():
    first, *others = ranked([*ordinary(), (detections((LARGE, 0.95, DOG)), target((MOVED, DOG, False)))])
    assert (first.kind, first.picture, first.object, first.found) == ("box", 24, 0, 0)
    assert all(one.suspicion < first.suspicion / 2 for one in others)


def test_an_object_that_is_not_there():
    pictures = [*ordinary(), (detections((BOX, 0.02, CAT)), target((LARGE, DOG, False)))]
    first, *others = ranked(pictures)
    assert (first.kind, first.picture, first.object, first.found) == ("spurious", 24, 0, NOTHING)
    assert all(one.suspicion < first.suspicion / 2 for one in others)


def test_of_good_annotations_nothing_is_said():
    assert ranked(ordinary()) == []


def test_a_sure_detection_is_more_suspicious_than_a_doubtful_one():
    """Also in a set of two pictures, where what is usual decides."""
    suspicions = ranked([(detections((LARGE, 0.99, CAT)), target()), (detections((LARGE, 0.5, CAT)), target())])
    assert [one.picture for one in suspicions] == [0, 1]
    assert suspicions[0].suspicion > 2 * suspicions[1].suspicion


@pytest.mark.parametrize(
    "detected", [(LARGE, 0.95, CAT), (MOVED, 0.95, DOG), (BOX, 0.02, CAT)], ids=["class", "box", "spurious"]
)
def test_difficult_objects_are_never_suspected(detected):
    pictures = [*ordinary(), (detections(detected), target((LARGE, DOG, True)))]
    assert [one for one in ranked(pictures) if one.picture == 24] == []


def test_laws_of_crowded_pictures():
    """Probabilities in order, each object and each detection once, no ignored object, and every time the same."""
    for found, targets in random_cases(number=30, seed=5):
        sizes = np.array([[16, 16]] * len(found), np.int32)
        suspicions = rank(found, targets, sizes, len(NAMES))
        values = [one.suspicion for one in suspicions]
        assert values == sorted(values, reverse=True)
        assert all(LEAST_SUSPICION <= value <= 1 for value in values)
        for name, members in (("found", found), ("object", targets)):
            rows = [(one.picture, row) for one in suspicions if (row := getattr(one, name)) != NOTHING]
            assert len(rows) == len(set(rows))
            assert all(0 <= row < len(members[picture].boxes) for picture, row in rows)
        assert not any(targets[one.picture].ignored[one.object] for one in suspicions if one.object != NOTHING)
        assert rank(found, targets, sizes, len(NAMES)) == suspicions


def test_a_perfect_model_doubts_no_perfect_annotation():
    """It finds every object where it is, sure of it, and nothing else."""
    found, targets = [], []
    for _, truth in random_cases(number=20, seed=7):
        for one in truth:
            _, first = np.unique(one.boxes.numpy(), axis=0, return_index=True)  # nobody finds two classes in one box
            kept = [(tuple(one.boxes[i].tolist()), int(one.class_ids[i]), bool(one.ignored[i])) for i in sorted(first)]
            targets.append(target(*kept))
            found.append(detections(*((box, 0.999, class_id) for box, class_id, _ in kept)))
    assert sum(len(one.boxes) for one in targets) > 100
    assert rank(found, targets, np.array([[16, 16]] * len(found), np.int32), len(NAMES)) == []


def test_merging_by_hand():
    rows = [
        Suspicion(0.3, "spurious", 0, NOTHING, 4),  # the object is better spoken of below
        Suspicion(0.5, "box", 0, 7, 4),
        Suspicion(0.4, "missing", 0, 7, NOTHING),  # the detection of the box
        Suspicion(0.2, "missing", 0, 8, NOTHING),
        Suspicion(0.1, "spurious", 1, NOTHING, 4),  # of another picture
        Suspicion(0.05, "missing", 0, 4, NOTHING),  # a detection, not the object of this number
    ]
    assert merged(rows) == [rows[1], rows[3], rows[4], rows[5]]


def test_no_pictures_and_no_classes():
    assert rank([], [], np.zeros((0, 2), np.int32), 3) == []
    assert ranked([(detections(), target())]) == []
    one_name = ("cat",)
    alone = rank([detections((LARGE, 0.9, 0), names=one_name)], [target((LARGE, 0, False))], np.array([[100, 100]]), 1)
    assert alone == []
