"""The matrix and the pairs: numbers, shares, and which are shown of very many."""

import numpy as np
import pytest

from frcnn.evaluation import plots
from frcnn.evaluation.confusion import Confusion
from frcnn.evaluation.reporting.matrix import LEGIBLE_CLASSES, MOST_PAIRS, confusion_matrix, pairs_table
from frcnn.evaluation.reporting.texts import texts

EN = texts("en")


def a_confusion(counts: np.ndarray) -> Confusion:
    return Confusion(tuple(f"c{number}" for number in range(len(counts) - 1)), 0.5, counts)


def of_classes(number: int) -> np.ndarray:
    """One of each class found."""
    counts = np.eye(number + 1, dtype=np.int64)
    counts[-1, -1] = 0
    return counts


def test_a_matrix_by_hand() -> None:
    matrix = confusion_matrix(a_confusion(np.array([[3, 1, 0], [0, 0, 12_000], [2, 0, 0]])), EN)
    assert matrix.labels == ("c0", "c1", "background")
    assert [[cell.text for cell in row] for row in matrix.rows] == [["3", "1", ""], ["", "", "12k"], ["2", "", ""]]
    right, wrong, nothing = matrix.rows[0]
    assert (right.colour, right.white) == ("rgb(37 99 201 / 0.78)", False)  # .12 + .88 * 3/4
    assert (wrong.colour, wrong.title) == ("rgb(196 84 6 / 0.34)", "c0 → c1: 1 (25.0%)")
    assert nothing.colour == ""
    assert matrix.rows[1][2].white  # all of its row
    assert matrix.some == ""


def test_the_background_has_the_word_of_the_language() -> None:
    assert confusion_matrix(a_confusion(of_classes(1)), texts("ko")).labels == ("c0", "배경")


def test_of_very_many_classes_those_with_the_most_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (plots, __import__("frcnn.evaluation.reporting.matrix", fromlist=["matrix"])):
        monkeypatch.setattr(module, "MOST_CLASSES", 2)
    counts = of_classes(3)
    counts[1, 1], counts[2, 3] = 5, 7
    matrix = confusion_matrix(a_confusion(counts), EN)
    assert matrix.labels == ("c1", "c2", "background")
    assert [[cell.text for cell in row] for row in matrix.rows] == [["5", "", ""], ["", "1", "7"], ["", "", ""]]
    assert matrix.some == "The 2 classes with the most objects."


def test_pairs_are_listed_where_a_matrix_is_too_large_to_read() -> None:
    assert pairs_table(a_confusion(of_classes(LEGIBLE_CLASSES)), EN) is None
    counts = of_classes(LEGIBLE_CLASSES + 1)
    counts[3, 5], counts[5, 3], counts[2, -1], counts[-1, 2] = 2, 3, 100, 100
    table = pairs_table(a_confusion(counts), EN)
    assert table is not None
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["c5", "c3", "3", "0.750"],
        ["c3", "c5", "2", "0.667"],
    ]


def test_no_more_pairs_than_are_read() -> None:
    number = LEGIBLE_CLASSES + 10
    counts = of_classes(number)
    counts[np.arange(number), (np.arange(number) + 1) % number] = 1
    table = pairs_table(a_confusion(counts), EN)
    assert table is not None
    assert len(table.rows) == MOST_PAIRS


def test_nothing_confused_is_an_empty_table() -> None:
    table = pairs_table(a_confusion(of_classes(LEGIBLE_CLASSES + 1)), EN)
    assert table is not None
    assert table.rows == []
