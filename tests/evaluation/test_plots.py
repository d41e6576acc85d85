"""The two pictures: that each class is there, and that the colours say what the numbers do."""

import numpy as np
import pytest
from judged import BOX, FAR, NAMES, detections, target
from PIL import Image

from frcnn.evaluation import plots
from frcnn.evaluation.analysis import Analysis, analyse
from frcnn.evaluation.average_precision import VocResult, evaluate_detections
from frcnn.evaluation.confusion import Confusion
from frcnn.evaluation.plots import BLUE, ORANGE, PALE_BLUE, draw_confusion, draw_curves, interpolated
from frcnn.structures import Detections, Target

CELL = 52  # pixels of a matrix with few classes


def evaluated(found: Detections, truth: Target) -> tuple[VocResult, Analysis]:
    return evaluate_detections([found], [truth], NAMES), analyse([found], [truth], NAMES)


def shades(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """How many pixels are of the colour."""
    return int((np.asarray(picture) == colour).all(axis=2).sum())


def a_confusion(counts: list[list[int]]) -> Confusion:
    return Confusion(tuple(f"class {i}" for i in range(len(counts) - 1)), 0.5, np.array(counts))


def cells(confusion: Confusion, number: int) -> np.ndarray:
    """The colour in the upper left of each drawn cell, beside its number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "NARROWEST", 0)  # the matrix ends at the margin
        picture = draw_confusion(confusion)
    left, top = picture.width - plots.MARGIN - number * CELL, picture.height - plots.MARGIN - number * CELL
    pixels = np.asarray(picture)
    return np.array([[pixels[top + i * CELL + 5, left + j * CELL + 5] for j in range(number)] for i in range(number)])


def test_interpolated_precision_is_the_best_from_there_on() -> None:
    """Right, wrong, right of four."""
    precision, recall = np.array([1, 1 / 2, 2 / 3]), np.array([1, 1, 2]) / 4
    at = np.array([0, 0.25, 0.26, 0.5, 0.51, 1])
    assert interpolated(precision, recall, at).tolist() == [1, 1, 2 / 3, 2 / 3, 0, 0]
    assert interpolated(np.zeros(0), np.zeros(0), at).tolist() == [0] * 6


def test_a_panel_for_each_class_and_one_for_the_mean() -> None:
    """Two classes with objects: their shaded areas of 1 and 1/2, and that of the mean, 3/4."""
    found = detections((BOX, 0.9, 0), (FAR, 0.8, 1))
    truth = target((BOX, 0, False), (FAR, 1, False), (BOX, 1, False))
    result, analysis = evaluated(found, truth)
    picture = draw_curves(result, analysis.operating_points)
    left, top = plots.MARGIN + 22, plots.MARGIN + 44
    areas = []
    for number in range(4):
        row, column = divmod(number, 2)
        x, y = left + column * plots.PANEL_WIDTH, top + row * plots.PANEL_HEIGHT
        areas.append(shades(picture.crop((x, y, x + plots.PANEL_WIDTH, y + plots.PANEL_HEIGHT)), PALE_BLUE))
    whole = (plots.RIGHT - plots.LEFT) * (plots.BOTTOM - plots.TOP)
    shares = [area / whole for area in areas]  # the mean, cat, dog, eel
    assert shares == pytest.approx([0.75, 1, 0.5, 0], abs=0.12)  # what the words and lines cover
    assert shares[1] > shares[0] > shares[2] > shares[3] == 0
    assert shades(picture, ORANGE) > 0


def test_one_class_needs_no_mean() -> None:
    result, analysis = evaluated(detections((BOX, 0.9, 0)), target((BOX, 0, False)))
    alone = VocResult(result.voc07_map, result.voc_map, {"cat": result.per_class["cat"]})
    picture = draw_curves(alone, analysis.operating_points)
    assert picture.size == (plots.NARROWEST, plots.MARGIN * 2 + 44 + 22 + plots.PANEL_HEIGHT)


def test_nothing_found_and_nothing_there_are_drawn_too() -> None:
    for found, truth in ((detections(), target((BOX, 0, False))), (detections((BOX, 0.9, 0)), target())):
        result, analysis = evaluated(found, truth)
        picture = draw_curves(result, analysis.operating_points)
        assert shades(picture, PALE_BLUE) + shades(picture, ORANGE) == 0
        assert draw_confusion(analysis.confusion).size[0] >= plots.NARROWEST


def test_a_cell_is_the_bluer_the_larger_its_share_of_the_row() -> None:
    counts = [[30, 0, 0, 0], [0, 10, 0, 30], [1, 1, 2, 0], [0, 7, 0, 0]]
    colours = cells(a_confusion(counts), 4)
    share = np.array(counts) / np.array(counts).sum(axis=1, keepdims=True)
    assert (colours[share == 0] == 255).all()
    assert (colours[share == 1] == BLUE).all()
    red = [PALE_BLUE[0] + (BLUE[0] - PALE_BLUE[0]) * quarters / 4 for quarters in (1, 2, 3)]
    assert [colours[2, 0, 0], colours[2, 2, 0], colours[1, 3, 0]] == pytest.approx(red, abs=0.5)  # rounded


def test_names_of_any_length_and_script_have_room() -> None:
    names = ("a name that is longer than any picture has room for " * 3, "적혈구", "")
    confusion = Confusion(names, 0.5, np.eye(4, dtype=np.int64))
    assert draw_confusion(confusion).width < 600
    assert (cells(confusion, 4) == BLUE).all(axis=2).tolist() == np.eye(4, dtype=bool).tolist()


def test_large_numbers_fit_their_cells() -> None:
    """The paper beside the matrix stays white."""
    counts = np.full((28, 28), 123_456)
    picture = draw_confusion(a_confusion(counts.tolist()))
    assert (np.asarray(picture)[:, -plots.MARGIN + 1 :] == 255).all()


def test_of_very_many_classes_those_with_the_most_objects_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "MOST_CLASSES", 2)
    counts = [[5, 0, 1, 0], [0, 1, 0, 0], [0, 0, 9, 9], [3, 0, 0, 0]]
    colours = cells(a_confusion(counts), 3)  # of the classes 0 and 2, and the background
    assert (colours == 255).all(axis=2).tolist() == [[False, False, True], [True, False, False], [False, True, True]]
    found = detections((BOX, 0.9, 0), (FAR, 0.8, 1))
    truth = target((BOX, 1, False), (FAR, 1, False), (BOX, 2, False))
    result, analysis = evaluated(found, truth)
    picture = draw_curves(result, analysis.operating_points)
    assert picture.height == plots.MARGIN * 2 + 44 + 22 + 2 * plots.PANEL_HEIGHT  # the mean, dog and eel
