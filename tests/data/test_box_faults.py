"""Row 2 of the conventions: which boxes are refused, by hand and by law."""

import itertools
import math

import numpy as np
import pytest

from frcnn.data.box_faults import NO_AREA, NOT_FOUR_NUMBERS, OUTSIDE, SOUND, box_faults, explain_fault


def fault(corners, size=(10, 10), least_side=0.0) -> int:
    return int(box_faults(np.array([corners], np.float64), np.array([size]), least_side)[0])


@pytest.mark.parametrize(
    ("corners", "size"),
    [((0, 0, 10, 5), (5, 10)), ((2, 1, 4, 5), (9, 9)), ((-1, -1, 10, 5), (5, 10)), ((0, 0, 11, 6), (5, 10))],
)
def test_the_whole_picture_and_a_pixel_more_are_sound(corners, size):
    assert fault(corners, size) == SOUND


@pytest.mark.parametrize("corners", [(4, 2, 4, 8), (2, 5, 8, 5), (8, 2, 5, 8), (2, 8, 5, 5)])
def test_no_area(corners):
    assert fault(corners) == NO_AREA


def test_a_least_side_is_for_files_that_name_the_last_pixel():
    """xmin = xmax = 5 is (4, 5) half-open: a pixel wide, and yet no box by the devkit."""
    assert fault((4, 1, 5, 8)) == SOUND
    assert fault((4, 1, 5, 8), least_side=1.0) == NO_AREA


@pytest.mark.parametrize(
    "corners",
    [(-2, 0, 9, 9), (0, -1.5, 9, 9), (0, 0, 12, 9), (0, 0, 9, 11.5), (12, 1, 17, 8), (-9, -9, -2, -2)],
)
def test_more_than_a_pixel_outside(corners):
    assert fault(corners) == OUTSIDE
    assert "10x10" in explain_fault(OUTSIDE, (10, 10))


@pytest.mark.parametrize("corners", [(10, 1, 11, 8), (1, -1, 5, 1e-9)])
def test_nothing_left_inside(corners):
    """Within the margin, and yet without area once it is clipped."""
    assert fault(corners) == OUTSIDE


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(4))
def test_no_number(number, place):
    corners = [0.0, 0.0, 5.0, 5.0]
    corners[place] = number
    assert fault(corners) == NOT_FOUR_NUMBERS


def test_what_is_sound_keeps_an_area_in_its_picture():
    """By law, over all whole-numbered boxes in and around a small picture."""
    height, width = 4, 6
    boxes = np.array(list(itertools.product(range(-2, 9), repeat=4)), np.float64)
    sound = boxes[box_faults(boxes, np.tile([height, width], (len(boxes), 1))) == SOUND]
    clipped = sound.clip(0, [width, height, width, height])
    assert len(sound)
    assert (clipped[:, 2:] > clipped[:, :2]).all()
    assert {(0, 0, width, height), (0, 0, 1, 1), (-1, -1, 7, 5)} <= set(map(tuple, sound))


def test_nothing():
    assert box_faults(np.zeros((0, 4)), np.zeros((0, 2), np.int32)).shape == (0,)
