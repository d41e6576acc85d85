"""Two pictures for the folder of an evaluation: the curve of every class, and what was taken for what.

L labels: K classes and the background.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from frcnn.drawing import Colour, text_colour
from frcnn.evaluation.average_precision import ClassResult, VocResult
from frcnn.evaluation.canvas import LETTERS, LINE, SOFT, Canvas, Point, text_width
from frcnn.evaluation.confusion import Confusion
from frcnn.evaluation.operating_points import Operating, OperatingPoints

BLUE, PALE_BLUE, ORANGE = (37, 99, 201), (222, 232, 248), (210, 98, 12)
TITLE = 15  # size of letters
MOST_CLASSES = 100  # in a picture, those with the most objects: with more it would fill the memory
MARGIN = 16
NARROWEST = 530  # a picture's width: room for the line that explains it

PANEL_WIDTH, PANEL_HEIGHT = 236, 208
LEFT, TOP, RIGHT, BOTTOM = 30, 24, 224, 184  # of the axes in a panel
AT = np.linspace(0, 1, 401)  # recalls that are drawn: two for each pixel

LONGEST_LABEL = 170  # pixels of a class name beside the matrix
SMALLEST_NUMBER = 7  # size of letters: what would be smaller is not written


class Panel(NamedTuple):
    """One curve: the best precision at each recall of `AT` or a higher one."""

    name: str
    number: str
    precision: Float[np.ndarray, " R"] | None  # None without objects
    operating: Operating | None


def draw_curves(result: VocResult, points: OperatingPoints) -> Image.Image:
    """Precision over recall, the mean over the classes first; a dot where F1 is largest."""
    panels, title = _panels(result, points), f"Precision over recall at IoU .5{_of_how_many(len(result.per_class))}"
    columns = math.ceil(math.sqrt(len(panels)))
    rows = math.ceil(len(panels) / columns)
    left, top = MARGIN + 22, MARGIN + 44
    width, height = max(left + columns * PANEL_WIDTH + MARGIN, NARROWEST), top + rows * PANEL_HEIGHT + 22 + MARGIN
    canvas = Canvas.of_size(width, height)
    canvas.text((MARGIN, MARGIN), title, "lt", TITLE, widest=width - 2 * MARGIN)
    explained = "Shaded: the area AP. Dot: the best F1, and the score at or above which detections give it."
    canvas.text((MARGIN, MARGIN + 22), explained, "lt", colour=SOFT, widest=width - 2 * MARGIN)
    canvas.text((left + columns * PANEL_WIDTH / 2, height - MARGIN), "recall", "mb", colour=SOFT)
    canvas.upright_text((MARGIN + 6, top + rows * PANEL_HEIGHT / 2), "precision", "mm", colour=SOFT)
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        _draw_panel(canvas, (left + column * PANEL_WIDTH, top + row * PANEL_HEIGHT), panel)
    return canvas.finished()


def draw_confusion(confusion: Confusion) -> Image.Image:
    """Rows are objects, columns detections; the number in a cell, and its share of the row as its colour."""
    shown = [*most_objects(confusion.counts[:-1].sum(axis=1).tolist()), len(confusion.class_names)]  # the background
    labels = [confusion.labels[number] for number in shown]
    cell = 52 if len(labels) <= 12 else 34 if len(labels) <= 26 else 24
    room = math.ceil(min(max(map(text_width, labels)), LONGEST_LABEL)) + 10
    left, top = MARGIN + 22 + room, MARGIN + 66 + room
    side = cell * len(labels)
    canvas = Canvas.of_size(max(left + side + MARGIN, NARROWEST), top + side + MARGIN)
    _draw_heading(canvas, confusion, left, top - room, side)
    for number, label in enumerate(labels):
        middle = (number + 0.5) * cell
        canvas.text((left - 6, top + middle), label, "rm", widest=LONGEST_LABEL)
        canvas.upright_text((left + middle, top - 6), label, "lm", widest=LONGEST_LABEL)
    shares = confusion.counts / np.maximum(confusion.counts.sum(axis=1, keepdims=True), 1)
    shares = shares[np.ix_(shown, shown)]
    for (row, column), count in np.ndenumerate(confusion.counts[np.ix_(shown, shown)]):
        corner = (left + column * cell, top + row * cell)
        _draw_cell(canvas, corner, cell, int(count), float(shares[row, column]))
    _draw_rules(canvas, left, top, cell, len(labels))
    return canvas.finished()


def interpolated(
    precision: Float[np.ndarray, " P"], recall: Float[np.ndarray, " P"], at: Float[np.ndarray, " R"]
) -> Float[np.ndarray, " R"]:
    """The best precision at each recall or a higher one; 0 where it is never reached."""
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return best[np.searchsorted(recall, at, side="left")]


def most_objects(objects: Sequence[int]) -> list[int]:
    """The classes that are drawn, in their own order: with very many, those with the most objects."""
    return sorted(sorted(range(len(objects)), key=lambda number: -objects[number])[:MOST_CLASSES])


def _of_how_many(number: int) -> str:
    return "" if number <= MOST_CLASSES else f", the {MOST_CLASSES} of {number} classes with the most objects"


def _panels(result: VocResult, points: OperatingPoints) -> list[Panel]:
    every = [_panel(name, of_class, points.per_class[name]) for name, of_class in result.per_class.items()]
    panels = [every[number] for number in most_objects([of.objects for of in result.per_class.values()])]
    defined = [panel.precision for panel in every if panel.precision is not None]
    if len(defined) < 2:
        return panels
    mean = Panel("all classes", f"mAP {result.voc_map:.3f}", np.mean(defined, axis=0), None)
    return [mean, *panels]


def _panel(name: str, of_class: ClassResult, operating: Operating | None) -> Panel:
    if of_class.voc_ap is None:
        return Panel(name, "no objects", None, None)
    precision = interpolated(of_class.precision, of_class.recall, AT)
    return Panel(name, f"AP {of_class.voc_ap:.3f}", precision, operating)


def _draw_panel(canvas: Canvas, corner: Point, panel: Panel) -> None:
    right, top = _placed(corner, 1, 1)
    number_width = text_width(panel.number)
    canvas.text((corner[0] + LEFT, top - 5), panel.name, "ls", widest=RIGHT - LEFT - number_width - 8)
    canvas.text((right, top - 5), panel.number, "rs", colour=SOFT)
    if panel.precision is not None:
        curve = [_placed(corner, x, y) for x, y in zip(AT, panel.precision, strict=True)]
        canvas.area([_placed(corner, 0, 0), *curve, _placed(corner, 1, 0)], PALE_BLUE)
        _draw_axes(canvas, corner)
        reached = 1 + int(np.flatnonzero(panel.precision).max(initial=-1))
        canvas.line([*curve[:reached], _placed(corner, AT[max(reached - 1, 0)], 0)], BLUE, 1.5)
    else:
        _draw_axes(canvas, corner)
    if panel.operating is not None and panel.operating.best is not None:
        best = panel.operating.best
        canvas.text(_placed(corner, 0.04, 0.08), f"F1 {best.f1:.2f} at score {best.threshold:.2f}", "ls")
        canvas.dot(_placed(corner, best.recall, best.precision or 0.0), ORANGE)


def _draw_axes(canvas: Canvas, corner: Point) -> None:
    """Lines at halves, with their numbers."""
    for value in (0, 0.5, 1):
        canvas.line([_placed(corner, value, 0), _placed(corner, value, 1)], LINE)
        canvas.line([_placed(corner, 0, value), _placed(corner, 1, value)], LINE)
        (x, bottom), (left, y) = _placed(corner, value, 0), _placed(corner, 0, value)
        canvas.text((x, bottom + 5), f"{value:g}", "mt", LETTERS - 1, SOFT)
        canvas.text((left - 5, y), f"{value:g}", "rm", LETTERS - 1, SOFT)


def _placed(corner: Point, recall: float, precision: float) -> Point:
    """From the axes of a panel to the picture."""
    return corner[0] + LEFT + recall * (RIGHT - LEFT), corner[1] + BOTTOM - precision * (BOTTOM - TOP)


def _draw_heading(canvas: Canvas, confusion: Confusion, left: int, top: int, side: int) -> None:
    width, height = canvas.size()
    title = f"What was taken for what{_of_how_many(len(confusion.class_names))}"
    canvas.text((MARGIN, MARGIN), title, "lt", TITLE, widest=width - 2 * MARGIN)
    explained = f"Scores from {confusion.threshold:.2f}, IoU above .5. Colour: share of the row."
    canvas.text((MARGIN, MARGIN + 22), explained, "lt", colour=SOFT, widest=width - 2 * MARGIN)
    canvas.text((left + side / 2, top - 6), "detected as", "ms", colour=SOFT)
    canvas.upright_text((MARGIN + 6, height - MARGIN - side / 2), "object", "mm", colour=SOFT)


def _draw_cell(canvas: Canvas, corner: Point, cell: int, count: int, share: float) -> None:
    if count == 0:
        return
    (x, y), colour = corner, _blend(PALE_BLUE, BLUE, share)
    canvas.area([(x, y), (x + cell, y), (x + cell, y + cell), (x, y + cell)], colour)
    words = f"{count}" if count < 10_000 else f"{count / 1000:.0f}k"
    size = min(LETTERS, LETTERS * (cell - 4) / text_width(words))
    if size >= SMALLEST_NUMBER:
        canvas.text((x + cell / 2, y + cell / 2), words, "mm", size, text_colour(colour))


def _draw_rules(canvas: Canvas, left: int, top: int, cell: int, number: int) -> None:
    """Thin lines between the cells, stronger ones around them and before the background."""
    end = cell * number
    for index in range(number + 1):
        colour: Colour = SOFT if index in (0, number - 1, number) else LINE
        canvas.line([(left + index * cell, top), (left + index * cell, top + end)], colour)
        canvas.line([(left, top + index * cell), (left + end, top + index * cell)], colour)


def _blend(low: Colour, high: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return red, green, blue
