"""Turned boxes lie where the turned pixels do."""

from pathlib import Path

import numpy as np
import pytest
from data_sets import picture
from PIL import Image
from plants import turn

from frcnn.data.checking.upright import store_upright, turn_boxes
from frcnn.data.pictures import TURNS, read_picture


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_pillow_turns_pixels(orientation: int) -> None:
    pixels = np.zeros((5, 9), np.uint8)
    pixels[1:3, 4:8] = 255
    image = Image.fromarray(pixels)
    turned = np.asarray(image if orientation == 1 else image.transpose(TURNS[orientation]))
    ((x1, y1, x2, y2),) = turn_boxes(np.array([[4.0, 1, 8, 3]]), orientation, (5, 9)).astype(int).tolist()
    assert turned.sum() == 255 * 8 == turned[y1:y2, x1:x2].sum()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_stored_upright_in_its_own_format(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1).save(source, exif=exif, icc_profile=b"a profile")
    store_upright(source, target)
    with Image.open(source) as old, Image.open(target) as new:
        assert old.format == new.format
        assert new.info["icc_profile"] == b"a profile"
        assert new.getexif().get(0x0112, 1) == 1
    difference = np.asarray(read_picture(source), int) - np.asarray(read_picture(target), int)
    assert np.abs(difference).max() <= 12  # JPEG, stored once more


def test_of_a_turned_jpeg(tmp_path: Path) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    picture(1).save(source)
    turn(source, 8)
    store_upright(source, target)
    assert read_picture(target).size == read_picture(source).size == (96, 128)
