"""Rows for people: what is wrong where, and the remedy in words."""

from pathlib import Path

import pytest
from judged import BOX, FAR, NAMES, detections, target

from frcnn.data.dataset import Dataset
from frcnn.data.examples import Example
from frcnn.structures import Detection
from frcnn.suspects.evidence import NOTHING
from frcnn.suspects.places import Place
from frcnn.suspects.ranking import Suspicion
from frcnn.suspects.suspect import Annotated, mend_box, suspects_of
from frcnn.suspects.words import words

CAT, DOG, EEL = range(3)


@pytest.fixture
def dataset() -> Dataset:
    """Two pictures, with one object and with two."""
    targets = [target((BOX, CAT, False)), target((BOX, DOG, False), (FAR, EEL, False))]
    examples = [Example(Path(f"{i}.jpg"), Path("xml") / f"{i}.xml", (99, 99), one) for i, one in enumerate(targets)]
    return Dataset(tuple(examples), NAMES)


FOUND = [detections((FAR, 0.75, DOG), (BOX, 0.25, EEL)), detections((FAR, 0.5, CAT))]
EN, KO = words("en"), words("ko")


def test_a_wrong_class(dataset):
    """The second object of the second picture."""
    (row,) = suspects_of([Suspicion(0.75, "class", 1, 0, 1)], FOUND, dataset)
    assert (row.rank, row.suspicion, row.picture, row.picture_number) == (1, 0.75, Path("1.jpg"), 1)
    assert row.annotation == Path("xml/1.xml")
    assert row.annotated == Annotated(1, Place(2, None, None), "eel", list(FAR))
    assert row.proposed == Detection(list(FAR), 0.5, "cat")
    assert row.remedy_in_words(EN) == "Is this a cat rather than an eel?"


def test_what_is_missing_has_no_annotation_and_what_is_not_there_no_proposal(dataset):
    missing, spurious = suspects_of(
        [Suspicion(0.5, "missing", 0, 1, NOTHING), Suspicion(0.4, "spurious", 0, NOTHING, 0)], FOUND, dataset
    )
    assert missing.annotated is None
    assert missing.proposed == Detection(list(BOX), 0.25, "eel")
    assert missing.remedy_in_words(EN) == "Is this an eel? Then add it."
    assert spurious.annotated == Annotated(0, Place(1, None, None), "cat", list(BOX))
    assert (spurious.rank, spurious.proposed) == (2, None)
    assert spurious.remedy_in_words(EN) == "Is there really a cat here? If not, take it out."
    assert "cat" in spurious.remedy_in_words(KO)


def test_a_row_of_the_table(dataset):
    (row,) = suspects_of([Suspicion(0.123456, "missing", 0, 0, NOTHING)], FOUND, dataset)
    assert row.as_row(EN) == {
        "rank": 1,
        "suspicion": 0.1235,
        "kind": "missing",
        "picture": "0.jpg",
        "annotation": str(Path("xml/0.xml")),
        "object": None,
        "line": None,
        "annotation_id": None,
        "annotated_class": None,
        "proposed_class": "dog",
        "annotated_x1": None,
        "annotated_y1": None,
        "annotated_x2": None,
        "annotated_y2": None,
        "proposed_x1": 50.0,
        "proposed_y1": 50.0,
        "proposed_x2": 60.0,
        "proposed_y2": 60.0,
        "score": 0.75,
        "remedy": "Is this a dog? Then add it.",
    }


@pytest.mark.parametrize(
    ("annotated", "proposed", "remedy"),
    [
        ((0.0, 0.0, 40.0, 40.0), (5.0, 5.0, 30.0, 30.0), "shrink"),
        ((5.0, 5.0, 30.0, 30.0), (0.0, 0.0, 40.0, 40.0), "grow"),
        ((0.0, 0.0, 40.0, 40.0), (-2.0, 10.0, 18.0, 38.0), "shrink"),  # 18 of its 20 columns are inside
        ((0.0, 0.0, 40.0, 40.0), (20.0, 0.0, 60.0, 40.0), "shift"),
        ((0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 30.0, 30.0), "shift"),  # apart both ways
    ],
)
def test_how_a_box_is_wrong(annotated, proposed, remedy):
    assert mend_box(annotated, proposed) == remedy
