"""What a page shows of a box with a fault, by hand."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from frcnn.cropping import BLUE, ORANGE
from frcnn.data.checking.box_pictures import BESIDE, draw_fault
from frcnn.data.checking.findings import Drawing


def drawn(tmp_path: Path, *boxes: tuple[float, ...]) -> np.ndarray:
    path = tmp_path / "a.png"
    Image.new("RGB", (200, 100), (0, 60, 0)).save(path)
    found = draw_fault(Drawing(path, boxes[0], "", *boxes[1:]))
    assert found is not None
    picture = Image.open(io.BytesIO(base64.b64decode(found.base64))).convert("RGB")
    assert picture.size == found.size
    return np.asarray(picture).astype(int)


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """JPEG keeps colours about as they are."""
    return np.abs(picture - np.array(colour)).sum(axis=2) < 60


def test_a_box_inside_is_shown_with_what_is_round_it(tmp_path: Path) -> None:
    """A margin of 24 on each side of 20 by 20, and a pixel: 69 by 69, and four times as large."""
    picture = drawn(tmp_path, (60.0, 40.0, 80.0, 60.0))
    assert picture.shape[:2] == (69 * 4, 69 * 4)
    columns = np.flatnonzero(near(picture, ORANGE)[34 * 4])
    assert (columns[0], columns[-1]) == (24 * 4, 44 * 4 - 1)
    assert not near(picture, BLUE).any()


def test_a_box_that_leaves_its_picture_is_shown_beside_it(tmp_path: Path) -> None:
    """50 pixels to the left: 250 by 100, of which the fifth on the left is no picture; twice 400/250."""
    picture = drawn(tmp_path, (-50.0, 20.0, 60.0, 90.0))
    assert picture.shape[:2] == (160, 400)
    assert near(picture, BESIDE)[5, 5:75].all()
    assert not near(picture, BESIDE)[5, 90:].any()


def test_no_more_than_half_of_the_picture_is_shown_beside_it(tmp_path: Path) -> None:
    assert drawn(tmp_path, (1e6, 20.0, 2e6, 90.0)).shape[:2] == (133, 400)  # 300 by 100


def test_what_it_is_compared_with_is_dashed_in_blue(tmp_path: Path) -> None:
    picture = drawn(tmp_path, (20.0, 20.0, 80.0, 80.0), (100.0, 20.0, 160.0, 80.0))
    assert near(picture, ORANGE).any()
    assert near(picture, BLUE).any()


def test_a_picture_that_went(tmp_path: Path) -> None:
    assert draw_fault(Drawing(tmp_path / "absent.png", (0.0, 0.0, 9.0, 9.0), "cat")) is None
