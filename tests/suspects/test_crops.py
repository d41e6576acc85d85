"""What is shown of a picture, and the colours."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frcnn.cropping import LARGEST_ENLARGEMENT, LEAST_LINE, SIDE
from frcnn.drawing import WHITE, Colour
from frcnn.structures import Detection
from frcnn.suspects.crops import ANNOTATED, PROPOSED, crop
from frcnn.suspects.places import Place
from frcnn.suspects.suspect import Annotated, Box, Suspect

GREY = Image.new("RGB", (400, 300), (90, 90, 90))
BOX = (100.0, 100.0, 200.0, 180.0)


def suspect(annotated: Box | None, proposed: Box | None, name: str = "cat") -> Suspect:
    one = None if annotated is None else Annotated(0, Place(1, None, None), name, annotated)
    other = None if proposed is None else Detection(list(proposed), 0.9, name)
    return Suspect(1, 0.5, "class", Path("a.jpg"), 0, Path("a.xml"), one, other)


def count(picture: Image.Image, colour: Colour) -> int:
    return int((np.asarray(picture) == colour).all(axis=2).sum())


def outline(picture: Image.Image, colour: Colour, row: int) -> list[int]:
    """Where the colour stands in a row of the picture."""
    return np.flatnonzero((np.asarray(picture)[row] == colour).all(axis=1)).tolist()


def test_both_boxes_are_seen_even_where_they_coincide():
    """Along the left edge a dash leaves the innermost pixel of the solid line below it."""
    drawn = crop(GREY, suspect(BOX, BOX))
    assert max(drawn.size) == SIDE
    left = round((100 - 60) * SIDE / 181)  # what is shown begins at 60, and is 181 wide
    rows = np.asarray(drawn)[:, left : left + LEAST_LINE]
    both = (rows[:, 0] == ANNOTATED).all(axis=1) & (rows[:, -1] == PROPOSED).all(axis=1)
    assert both.sum() > 80 * SIDE / 181 / 3  # dashes take half of the line's length


@pytest.mark.parametrize(("annotated", "proposed"), [(True, False), (False, True)])
def test_one_box_alone(annotated, proposed):
    drawn = crop(GREY, suspect(BOX if annotated else None, BOX if proposed else None))
    assert (count(drawn, ANNOTATED) > 0, count(drawn, PROPOSED) > 0) == (annotated, proposed)


def test_boxes_are_where_the_objects_are():
    """A picture of 200 pixels, all of it shown and enlarged twice: the lines lie on the object's own edges."""
    drawn = crop(Image.new("RGB", (200, 200)), suspect(None, (40.0, 45.0, 160.0, 155.0)))
    assert drawn.size == (400, 400)
    columns = outline(drawn, PROPOSED, 200)
    assert (columns[0], columns[-1]) == (80, 319)


def test_small_ones_are_not_enlarged_beyond_recognition():
    drawn = crop(GREY, suspect(None, (200.0, 150.0, 202.0, 152.0)))
    assert drawn.size == (51 * LARGEST_ENLARGEMENT, 51 * LARGEST_ENLARGEMENT)


def test_others_are_white_where_they_are_shown_at_all():
    one = suspect(BOX, None)
    nothing = count(crop(GREY, one), WHITE)
    assert count(crop(GREY, one, [(110.0, 110.0, 150.0, 140.0)]), WHITE) > nothing
    assert count(crop(GREY, one, [(300.0, 10.0, 390.0, 290.0), (0.0, 0.0, 9.0, 300.0)]), WHITE) == nothing


def test_the_picture_stays_as_it_was():
    before = GREY.tobytes()
    crop(GREY, suspect(BOX, BOX), [BOX])
    assert GREY.tobytes() == before


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 400.0, 300.0), (399.0, 299.0, 400.0, 300.0), (10.2, 10.2, 10.7, 10.9), (-5.0, -5.0, 3.0, 3.0)]
)
def test_at_the_edge(box):
    drawn = crop(GREY, suspect(box, None, "고양이"))
    assert min(drawn.size) >= 1
    assert count(drawn, ANNOTATED) > 0


def test_a_picture_of_one_pixel():
    assert min(crop(Image.new("RGB", (1, 1)), suspect((0.0, 0.0, 1.0, 1.0), None)).size) >= 1
