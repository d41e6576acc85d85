"""Numbers and corners, by hand and by law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frcnn.data.checking.layouts import CENTRE_SIZE, CORNER_SIZE, CORNERS, OWN, in_wrong_scale, to_corners, to_numbers

SIZE = np.array([[50, 200]])  # height, width
NOT_WRONG, WRONG = np.array([False]), np.array([True])


@pytest.mark.parametrize(
    ("kind", "layout", "wrong", "numbers", "corners"),
    [
        ("voc", CORNERS, NOT_WRONG, (11, 6, 20, 30), (10, 5, 20, 30)),
        ("voc", CORNER_SIZE, NOT_WRONG, (11, 6, 20, 30), (10, 5, 30, 35)),
        ("voc", CORNERS, WRONG, (0.1, 0.2, 0.5, 1), (20, 10, 100, 50)),
        ("coco", CORNER_SIZE, NOT_WRONG, (10, 5, 20, 30), (10, 5, 30, 35)),
        ("coco", CORNERS, NOT_WRONG, (10, 5, 20, 30), (10, 5, 20, 30)),
        ("coco", CORNER_SIZE, WRONG, (0.1, 0.2, 0.5, 0.5), (20, 10, 120, 35)),
        ("yolo", CENTRE_SIZE, NOT_WRONG, (0.5, 0.5, 0.1, 0.4), (90, 15, 110, 35)),
        ("yolo", CORNERS, NOT_WRONG, (0.1, 0.2, 0.5, 1), (20, 10, 100, 50)),
        ("yolo", CORNER_SIZE, NOT_WRONG, (0.1, 0.2, 0.5, 0.5), (20, 10, 120, 35)),
        ("yolo", CENTRE_SIZE, WRONG, (100, 25, 20, 20), (90, 15, 110, 35)),
    ],
)
def test_by_hand(kind, layout, wrong, numbers, corners) -> None:
    found = to_corners(kind, np.array([numbers], float), SIZE, layout, wrong)
    np.testing.assert_allclose(found, [corners], rtol=1e-12)


@given(
    st.sampled_from(["voc", "coco", "yolo"]),
    st.tuples(st.floats(-9, 300), st.floats(-9, 300), st.floats(-9, 300), st.floats(-9, 300)),
)
def test_numbers_undo_corners(kind, box) -> None:
    corners = np.array([box])
    numbers = to_numbers(kind, corners, SIZE)
    again = to_corners(kind, numbers, SIZE, OWN[kind], NOT_WRONG)
    np.testing.assert_allclose(again, corners, rtol=0, atol=1e-9)  # rounding of numbers up to 300


@pytest.mark.parametrize(
    ("kind", "numbers", "wrong"),
    [
        ("voc", (0.1, 0.1, 0.5, 0.5), True),
        ("voc", (0, 0, 1, 1), True),  # the whole picture
        ("voc", (1, 1, 1, 1), False),  # a point
        ("voc", (0, 1, 1, 1), False),
        ("voc", (0.5, 0.5, 1.5, 1.5), False),
        ("voc", (-0.1, 0.1, 0.5, 0.5), False),
        ("voc", (np.nan, 0.1, 0.5, 0.5), False),
        ("coco", (0.5, 0.5, 0.5, 0.5), True),
        ("coco", (300.5, 0.5, 0.5, 0.5), False),  # small things are that small
        ("yolo", (0.5, 0.5, 1.2, 1), False),  # leaves its picture
        ("yolo", (64, 48, 20, 10), True),
        ("yolo", (64, 48, np.inf, 10), False),
    ],
)
def test_scales(kind, numbers, wrong) -> None:
    assert in_wrong_scale(kind, np.array([numbers], float)).tolist() == [wrong]


def test_no_boxes() -> None:
    nothing = np.zeros((0, 4))
    for kind in ("voc", "coco", "yolo"):
        assert in_wrong_scale(kind, nothing).tolist() == []
        assert to_corners(kind, nothing, np.zeros((0, 2), int), OWN[kind], np.zeros(0, bool)).shape == (0, 4)
