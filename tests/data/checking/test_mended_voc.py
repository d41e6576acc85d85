"""A mended copy of a VOC set, by hand: boxes, pictures, splits and names; everything else stays as it was."""

from pathlib import Path

import numpy as np
import pytest
from data_sets import HEIGHT, WIDTH, name_of, things, write_annotation, write_voc
from mended_sets import boxes, contents, log, mend
from PIL import Image
from plants import VOC_PLANTS, plant_box, turn

from frcnn.data.checking.check import check_dataset
from frcnn.data.dataset import load_dataset
from frcnn.data.pictures import read_picture


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        ("no area", None),
        ("nan", None),
        ("swapped", [59, 19, 100, 40]),
        ("outside", [99, 39, 128, 70]),
        ("fractions", [12.8, 24, 64, 72]),
    ],
)
def test_boxes(tmp_path: Path, plant: str, expected: list[float] | None) -> None:
    """By hand: VOC's (100, 40, 60, 20) ends at 100 and 40 and begins at 60 and 20, half-open at 59 and 19."""
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    VOC_PLANTS[plant](root, name_of(7))
    mend(root, target)
    first, _, third = ([float(corner) for corner in box] for _, box in things(7))
    found = boxes(target, "train", name_of(7))
    np.testing.assert_allclose(found, [first, third] if expected is None else [first, expected, third], rtol=1e-6)


def test_another_layout(tmp_path: Path) -> None:
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    VOC_PLANTS["other layout"](root, name_of(7))
    mend(root, target)
    assert boxes(target, "train", name_of(7)) == [[60, 40, 80, 50], [80, 50, 92, 64], [30, 70, 48, 81]]


def test_a_class_that_may_be_meant_keeps_its_name(tmp_path: Path) -> None:
    """One letter for another (house, horse) may be no slip: it is told, and left."""
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    path = root / "Annotations/p07.xml"
    path.write_text(path.read_text().replace("<name>circle</name>", "<name>cirkle</name>"))
    (finding,) = check_dataset([root]).findings
    assert finding.message.endswith("misspelt: rename it, unless it is meant")
    mended = mend(root, target)
    assert [deed.what for deed in mended.left] == ["left as it is: is the class 'cirkle' meant, or 'circle'?"]
    assert "<name>cirkle</name>" in (target / "Annotations/p07.xml").read_text()


def test_corners_that_may_be_a_corner_and_a_size_are_left_out(tmp_path: Path) -> None:
    """(60, 50, 30, 20): swapped from 30, 20 to 60, 50, or 30 wide and 20 high from 60, 50 on."""
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    plant_box("error", "swapped corners", (60, 50, 30, 20))(root, name_of(7))
    mended = mend(root, target)
    (deed,) = mended.left
    assert deed.what.endswith("left out: is it (left, top, right, bottom) or (left, top, width, height)?")
    assert len(boxes(target, "train", name_of(7))) == 2


def test_a_whole_set_in_another_layout(tmp_path: Path) -> None:
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    for path in (root / "Annotations").iterdir():
        as_sizes = [(kind, (x1, y1, x2 - x1, y2 - y1)) for kind, (x1, y1, x2, y2) in things(int(path.stem[1:]))]
        write_annotation(root, path.stem, as_sizes)
    (fault,) = check_dataset([root]).errors
    assert (fault.kind, fault.file) == ("other layout", root)
    mend(root, target)
    assert boxes(target, "val", name_of(37)) == [[float(corner) for corner in box] for _, box in things(37)]


@pytest.mark.parametrize("orientation", range(5, 9))
def test_a_rotation_that_was_not_seen(tmp_path: Path, orientation: int) -> None:
    """The pixels under each box are those that the annotator saw, turned."""
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    path = root / "JPEGImages" / f"{name_of(7)}.jpg"
    marked = Image.new("RGB", (WIDTH, HEIGHT), "white")
    marked.paste("black", things(7)[0][1])
    marked.save(path, quality=95)
    turn(path, orientation)
    mend(root, target)
    picture = np.asarray(read_picture(target / "JPEGImages" / path.name).convert("L"))
    assert picture.shape == (WIDTH, HEIGHT)
    x1, y1, x2, y2 = map(int, boxes(target, "train", name_of(7))[0])
    assert picture[y1:y2, x1:x2].mean() < 10  # JPEG's noise at the edges
    outside = picture.copy()
    outside[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = 255
    assert outside.min() > 200
    with Image.open(target / "JPEGImages" / path.name) as image:
        assert image.getexif().get(0x0112, 1) == 1
    assert check_dataset([target]).findings == ()


def test_a_picture_that_was_made_smaller(tmp_path: Path) -> None:
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    VOC_PLANTS["smaller picture"](root, name_of(7))
    mend(root, target)
    assert boxes(target, "train", name_of(7)) == [[corner / 2 for corner in box] for _, box in things(7)]
    assert "<width>64</width>" in (target / "Annotations/p07.xml").read_text()


@pytest.mark.parametrize("plant", ["cmyk", "16 bit"])
def test_pictures_are_stored_as_rgb(tmp_path: Path, plant: str) -> None:
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    path = VOC_PLANTS[plant](root, name_of(7)).file
    mend(root, target)
    with Image.open(target / path.relative_to(root)) as image:
        assert image.mode == "RGB"
    old, new = (np.asarray(read_picture(file), float) for file in (path, target / path.relative_to(root)))
    assert np.abs(old - new).mean() < 3  # of 255: JPEG stored once more
    assert check_dataset([target]).findings == ()


def test_what_is_learnt_and_asked_is_only_asked(tmp_path: Path) -> None:
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    VOC_PLANTS["copy in test"](root, name_of(7))
    VOC_PLANTS["in test too"](root, name_of(8))
    mend(root, target)
    train, test = ((target / f"ImageSets/Main/{split}.txt").read_text().split() for split in ("train", "test"))
    assert "p07" not in train + test
    assert not (target / "Annotations/p07.xml").exists()
    assert "p42" in test
    assert "p08" in test
    assert "p08" not in train


def test_names_are_spelt_alike(tmp_path: Path) -> None:
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    VOC_PLANTS["misspelt"](root, name_of(7))
    mend(root, target)
    assert load_dataset([target], "train").class_names == ("circle", "square")


def test_what_cannot_be_decided_is_left_and_named(tmp_path: Path) -> None:
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    for number, plant in enumerate(("two classes", "wrong size", "gif", "alike")):
        VOC_PLANTS[plant](root, name_of(7 + number))
    mended = mend(root, target)
    assert {deed.kind for deed in mended.left} == {
        "two classes",
        "other size",
        "several frames",
        "alike pictures",
    }
    assert {row["done"] for row in log(target)} == {"no"}
    assert contents(target / "Annotations") == contents(root / "Annotations")
    assert contents(target / "JPEGImages") == contents(root / "JPEGImages")


def test_what_else_an_annotation_says_stays(tmp_path: Path) -> None:
    root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
    path = VOC_PLANTS["swapped"](root, name_of(7)).file
    path.write_text(path.read_text().replace("<name>circle", "<pose>Left</pose><difficult>1</difficult><name>circle"))
    mend(root, target)
    text = (target / "Annotations/p07.xml").read_text()
    assert "<pose>Left</pose><difficult>1</difficult><name>circle</name>" in text
