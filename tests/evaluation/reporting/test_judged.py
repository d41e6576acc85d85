"""Which pictures are chosen: those with the most and the most confident errors, and what each shows."""

from pathlib import Path

import numpy as np
import pytest
from judged import BOX, FAR, detections, random_cases, target
from small_reports import (
    BACKGROUND,
    BOTH,
    CLASS,
    DUPLICATE,
    EMPTY,
    FAULTLESS,
    IGNORED,
    LOCALISATION,
    NAMES,
    THRESHOLD,
    an_evaluated,
)

from frcnn.data.dataset import Dataset, Example
from frcnn.evaluation.analysis import analyse
from frcnn.evaluation.error_types import Fate, Verdict
from frcnn.evaluation.flat import NO_OBJECT
from frcnn.evaluation.reporting.judged import KINDS, Judged, judged, spread


@pytest.fixture
def pictures(tmp_path) -> Judged:
    return an_evaluated(tmp_path).judged


def of(found, truth) -> Judged:
    """Pictures that nobody looks at."""
    names = found[0].class_names
    examples = tuple(Example(Path(), Path(), (99, 99), one) for one in truth)
    return judged(Dataset(examples, names), found, analyse(found, truth, names).errors)


def test_each_error_is_in_its_picture(pictures) -> None:
    assert pictures.errors.threshold == THRESHOLD
    chosen = {kind: pictures.worst(kind, 10) for kind in KINDS}
    assert chosen == {
        "localisation": [LOCALISATION],
        "class": [CLASS],
        "both": [BOTH],
        "duplicate": [DUPLICATE],
        "background": [BACKGROUND],
        "missed": [LOCALISATION, CLASS, BOTH],
    }
    assert pictures.badness("duplicate")[DUPLICATE] == 0.8125
    assert pictures.worst("missed", 2) == [LOCALISATION, CLASS]


def test_what_became_of_a_picture_s_detections_and_objects(pictures) -> None:
    picture = pictures.picture(IGNORED)
    assert picture.verdicts == (Verdict.IGNORED, Verdict.RIGHT)  # the third lies below the threshold
    assert picture.objects == (1, 0)
    assert picture.fates == (Fate.FOUND, Fate.IGNORED)
    assert picture.of_kind("right") == [1]
    assert picture.with_fate(Fate.IGNORED) == [1]
    assert [found.class_name for found in picture.detections] == ["cat", NAMES[1]]
    alone = pictures.picture(BACKGROUND)
    assert (alone.verdicts, alone.objects, alone.fates) == ((Verdict.BACKGROUND,), (NO_OBJECT,), ())


def test_faultless_and_ordinary_pictures(pictures) -> None:
    assert pictures.faultless(9) == [IGNORED, FAULTLESS]
    assert EMPTY not in pictures.ordinary(9)
    assert len(pictures.ordinary(9)) == 7
    assert pictures.ordinary(2) == [LOCALISATION, IGNORED]


def test_the_most_and_the_most_confident_come_first() -> None:
    one, two = (FAR, 0.9, 0), (FAR, 0.6, 0)
    found = [detections(two, (BOX, 0.55, 0)), detections(one), detections(one, two), detections((BOX, 0.5, 0))]
    truth = [target(), target(), target(), target((BOX, 0, False))]
    pictures = of(found, truth)
    assert pictures.worst("background", 9) == [2, 0, 1]
    assert pictures.badness("background").tolist() == pytest.approx([1.15, 0.9, 1.5, 0])


def test_the_pictures_of_a_kind_hold_as_many_as_are_counted() -> None:
    for found, truth in random_cases(20, 3):
        pictures = of(found, truth)
        each = [pictures.picture(number) for number in range(len(found))]
        for kind in (*KINDS[:-1], "right", "ignored"):
            assert sum(len(picture.of_kind(kind)) for picture in each) == pictures.errors.counts[kind]
        missed = [len(picture.with_fate(Fate.MISSED)) for picture in each]
        assert np.array_equal(pictures.badness("missed"), missed)
        for picture in each:
            for row in picture.of_kind("right"):
                assert picture.fates[picture.objects[row]] == Fate.FOUND


def test_no_pictures_are_no_trouble() -> None:
    pictures = judged(Dataset((), NAMES), [], analyse([], [], NAMES).errors)
    assert [pictures.worst(kind, 3) for kind in KINDS] == [[]] * 6
    assert pictures.faultless(3) == pictures.ordinary(3) == []


def test_items_are_spread_evenly() -> None:
    assert spread(range(100), 4) == [12, 37, 62, 87]
    assert spread(range(3), 12) == [0, 1, 2]
    assert spread([], 12) == []
