"""The confusion as the page shows it: a matrix, and for many classes the pairs that are confused most often.

L labels: K classes and the background.
"""

from typing import NamedTuple

import numpy as np

from frcnn.drawing import Colour
from frcnn.evaluation.confusion import Confusion
from frcnn.evaluation.plots import MOST_CLASSES, most_objects
from frcnn.evaluation.reporting.tables import Cell, Table, figure
from frcnn.texts import Texts

LEGIBLE_CLASSES = 20  # in a matrix that is read as a whole
MOST_PAIRS = 20
RIGHT_COLOUR: Colour = (37, 99, 201)
WRONG_COLOUR: Colour = (196, 84, 6)
PALEST = 0.12  # opacity of a cell that is not empty
WHITE_LETTERS_FROM = 0.85  # opacity: dark ones are read more easily on what is paler


class MatrixCell(NamedTuple):
    """A count with its colour; both are empty where nothing is."""

    text: str
    colour: str
    white: bool
    title: str


class Matrix(NamedTuple):
    """Rows are objects, columns detections, the background last of both."""

    labels: tuple[str, ...]
    rows: tuple[tuple[MatrixCell, ...], ...]
    some: str  # says which classes are shown, where not all are


def confusion_matrix(confusion: Confusion, say: Texts) -> Matrix:
    """All classes, or those with the most objects."""
    number = len(confusion.class_names)
    shown = [*most_objects(confusion.counts[:-1].sum(axis=1).tolist()), number]
    names = (*confusion.class_names, say("confusion.background"))
    labels = tuple(names[label] for label in shown)
    shares = confusion.counts / np.maximum(confusion.counts.sum(axis=1, keepdims=True), 1)
    rows = tuple(
        tuple(
            _cell(
                int(confusion.counts[row, column]),
                float(shares[row, column]),
                is_right=row == column,
                title=f"{names[row]} → {names[column]}",
            )
            for column in shown
        )
        for row in shown
    )
    return Matrix(labels, rows, "" if number <= MOST_CLASSES else say("confusion.some", number=MOST_CLASSES))


def pairs_table(confusion: Confusion, say: Texts) -> Table | None:
    """The objects most often taken for another class; None where none is, or the matrix is read as easily."""
    classes = confusion.counts[:-1, :-1]
    if len(classes) <= LEGIBLE_CLASSES:
        return None
    wrong = np.where(np.eye(len(classes), dtype=bool), 0, classes)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    objects = confusion.counts[:-1].sum(axis=1)
    rows = [
        [
            Cell(confusion.class_names[row], confusion.class_names[row]),
            Cell(confusion.class_names[column], confusion.class_names[column]),
            figure(int(wrong[row, column])),
            figure(float(wrong[row, column] / objects[row])),
        ]
        for row, column in (divmod(int(cell), len(classes)) for cell in order)
        if wrong[row, column]
    ]
    return Table([say(f"column.{name}") for name in ("object", "taken_for", "count", "share")], rows)


def _cell(count: int, share: float, *, is_right: bool, title: str) -> MatrixCell:
    if count == 0:
        return MatrixCell("", "", False, "")
    opacity = PALEST + (1 - PALEST) * share
    red, green, blue = RIGHT_COLOUR if is_right else WRONG_COLOUR
    text = f"{count}" if count < 10_000 else f"{count / 1000:.0f}k"
    colour = f"rgb({red} {green} {blue} / {opacity:.2f})"
    return MatrixCell(text, colour, opacity > WHITE_LETTERS_FROM, f"{title}: {count:,} ({share:.1%})")
