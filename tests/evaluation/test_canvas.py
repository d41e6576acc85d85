"""Drawing: what is drawn stands where it was wanted, in pixels of the finished picture."""

import numpy as np
import pytest
from PIL import Image

from frcnn.evaluation.canvas import INK, PAPER, Canvas, cut, text_width

RED, BLUE = (200, 0, 0), (0, 0, 200)


def coloured(picture: Image.Image) -> tuple[int, int, int, int]:
    """The corners of what is not paper: left, top, right, bottom."""
    rows, columns = np.nonzero((np.asarray(picture) != PAPER).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_the_size_is_that_of_the_finished_picture() -> None:
    canvas = Canvas.of_size(60, 40)
    assert canvas.size() == canvas.finished().size == (60, 40)
    assert canvas.finished().getpixel((30, 20)) == PAPER


def test_an_area_covers_its_points_and_a_line_runs_between_them() -> None:
    canvas = Canvas.of_size(60, 40)
    canvas.area([(10, 5), (30, 5), (30, 20), (10, 20)], RED)
    assert canvas.finished().getpixel((20, 12)) == RED
    assert coloured(canvas.finished()) == pytest.approx((10, 5, 30, 20), abs=1)  # the edge is half a pixel wide
    canvas.line([(5, 30), (55, 30)], BLUE, width=2)
    assert canvas.finished().getpixel((50, 30)) == BLUE
    assert canvas.finished().getpixel((50, 34)) == PAPER


def test_a_dot_is_round_with_a_rim_of_paper() -> None:
    canvas = Canvas.of_size(40, 40)
    canvas.area([(0, 0), (40, 0), (40, 40), (0, 40)], BLUE)
    canvas.dot((20, 20), RED, radius=6)
    picture = canvas.finished()
    assert picture.getpixel((20, 20)) == RED
    assert picture.getpixel((20, 13)) == PAPER
    assert picture.getpixel((26, 26)) == BLUE


@pytest.mark.parametrize(("anchor", "edge"), [("lm", 0), ("rm", 2)])
def test_words_begin_or_end_at_the_place(anchor: str, edge: int) -> None:
    canvas = Canvas.of_size(200, 40)
    canvas.text((100, 20), "motorbike", anchor, 12)
    box = coloured(canvas.finished())
    assert box[edge] == pytest.approx(100, abs=1.5)  # a letter has room beside it
    assert box[2] - box[0] == pytest.approx(text_width("motorbike", 12), abs=2)


@pytest.mark.parametrize(("anchor", "edge"), [("lm", 3), ("rm", 1)])
def test_upright_words_begin_at_the_bottom(anchor: str, edge: int) -> None:
    canvas = Canvas.of_size(40, 200)
    canvas.upright_text((20, 100), "motorbike", anchor, 12)
    box = coloured(canvas.finished())
    assert box[edge] == pytest.approx(100, abs=1.5)
    assert box[3] - box[1] == pytest.approx(text_width("motorbike", 12), abs=2)
    assert (box[0] + box[2]) / 2 == pytest.approx(20, abs=2)


def test_upright_words_are_the_level_ones_turned_to_the_left() -> None:
    level, upright = Canvas.of_size(80, 80), Canvas.of_size(80, 80)
    level.text((40, 40), "kLo", "mm", 20)
    upright.upright_text((40, 40), "kLo", "mm", 20)
    turned = np.asarray(upright.finished().rotate(-90), dtype=int)  # clockwise
    level_pixels = np.asarray(level.finished(), dtype=int)
    moved = [np.abs(np.roll(turned, (y, x), axis=(0, 1)) - level_pixels).mean() for y in (-1, 0, 1) for x in (-1, 0, 1)]
    assert min(moved) < 0.1 * np.abs(255 - level_pixels).mean()  # a pixel to and fro, for the middle of a letter


def test_long_words_are_cut() -> None:
    assert cut("a", 12, 100) == "a"
    short = cut("a" * 100, 12, 100)
    assert short.endswith("…")
    assert 80 < text_width(short, 12) <= 100
    canvas = Canvas.of_size(400, 40)
    canvas.text((10, 20), "word " * 50, "lm", 12, widest=60)
    assert coloured(canvas.finished())[2] <= 71


def test_words_are_ink_and_may_be_of_any_script_or_none() -> None:
    canvas = Canvas.of_size(300, 300)
    for words in ("", "적혈구", "ß⅓"):
        canvas.text((100, 100), words, "lm", 12)
        canvas.upright_text((100, 100), words, "lm", 12)
    canvas.text((200, 200), "W", "mm", 60)
    assert INK in {canvas.finished().getpixel((x, 200)) for x in range(170, 230)}
