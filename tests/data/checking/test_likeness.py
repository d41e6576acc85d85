"""Pictures that are the same: stored otherwise, but not with other things in them."""

import io

import numpy as np
import pytest
from data_sets import picture
from PIL import Image

from frcnn.data.checking.likeness import find_likest


def thumbnail(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BILINEAR))


def stored(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


@pytest.fixture
def pictures() -> list[Image.Image]:
    return [picture(number).resize((320, 240)) for number in range(8)]


def likest(images: list[Image.Image], groups: list[int], among: str):
    return find_likest(np.stack([thumbnail(image) for image in images]), np.array(groups), among=among)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: stored(image, 10),
        lambda image: image.resize((100, 90)),
        lambda image: image.resize((700, 500), Image.Resampling.BICUBIC),
        lambda image: image.point(lambda value: value * 0.8 + 20),  # a little retouched
    ],
)
def test_the_same_picture(pictures: list[Image.Image], change) -> None:
    found = likest([*pictures, change(pictures[3])], [0] * 9, "earlier")
    assert found.partner.tolist() == [-1] * 8 + [3]
    assert found.same.tolist() == [False] * 8 + [True]


def test_a_thing_that_moved_makes_another_picture_of_one_scene(pictures: list[Image.Image]) -> None:
    moved = pictures[3].copy()
    moved.paste((255, 255, 255), (100, 100, 120, 120))
    found = likest([*pictures, moved], [0] * 9, "earlier")
    assert (found.partner[8], found.same[8]) == (3, False)


def test_only_among_those_that_may_be_compared(pictures: list[Image.Image]) -> None:
    images = [pictures[0], pictures[1], pictures[0], pictures[0], pictures[1]]
    assert likest(images, [0, 0, 0, 1, 2], "earlier").partner.tolist() == [-1, -1, 0, -1, -1]
    assert likest(images, [0, 0, 0, 1, 2], "higher").partner.tolist() == [3, 4, 3, -1, -1]


def test_empty_sheets_are_not_compared() -> None:
    """All are alike; by their bytes they are the same or not."""
    sheets = [Image.new("L", (320, 240), 250), Image.new("L", (320, 240), 250)]
    assert likest(sheets, [0, 0], "earlier").partner.tolist() == [-1, -1]


def test_more_than_are_compared_at_a_time() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1100, 32, 32)).astype(np.uint8)
    images[[700, 1099]] = images[[3, 600]]
    found = find_likest(images, np.zeros(1100, int), among="earlier")
    assert np.flatnonzero(found.partner >= 0).tolist() == [700, 1099]
    assert found.partner[[700, 1099]].tolist() == [3, 600]


def test_none() -> None:
    assert len(find_likest(np.zeros((0, 32, 32), np.uint8), np.zeros(0, int), among="earlier").partner) == 0
