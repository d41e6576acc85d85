"""What is shown of a picture, by hand."""

import numpy as np
from PIL import Image

from frcnn.cropping import BLUE, ORANGE, css, draw_region, jpeg, region_of
from frcnn.drawing import Labelled

GREY = Image.new("RGB", (400, 300), (90, 90, 90))


def test_what_is_shown_by_hand():
    """A box of 100 by 50 with a margin of .4 of 100 on each side, and a pixel more; no further than the border."""
    assert region_of([(100.0, 100.0, 200.0, 150.0)], GREY.size) == (60, 60, 241, 191)
    assert region_of([(100.0, 100.0, 110.0, 120.0), (120.0, 110.0, 200.0, 150.0)], GREY.size) == (60, 60, 241, 191)
    assert region_of([(30.0, 100.0, 130.0, 290.0)], GREY.size) == (0, 24, 207, 300)
    assert region_of([(100.0, 100.0, 102.0, 103.0)], GREY.size) == (76, 76, 127, 128)


def test_a_region_may_reach_beyond_the_picture_that_was_cropped_so():
    """Half of a 100 by 100 picture's left side, and as much beside it, four times as large."""
    beside = GREY.crop((-50, 0, 50, 100))
    drawn = draw_region(beside, (0, 0, 100, 100), [Labelled((25.0, 25.0, 75.0, 75.0), "", BLUE)], [])
    assert drawn.size == (400, 400)
    row = np.flatnonzero((np.asarray(drawn)[200] == BLUE).all(axis=1))
    assert (row[0], row[-1]) == (100, 299)


def test_dashes_lie_above():
    box = Labelled((100.0, 100.0, 200.0, 200.0), "", BLUE)
    drawn = np.asarray(draw_region(GREY, (50, 50, 250, 250), [box], [box._replace(colour=ORANGE)]))
    assert (drawn == ORANGE).all(axis=2).any()


def test_the_same_picture_is_the_same_file():
    assert jpeg(GREY) == jpeg(GREY.copy())


def test_as_a_style_sheet_writes_it():
    assert css((1, 20, 255)) == "rgb(1, 20, 255)"
