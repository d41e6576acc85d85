"""What COCO's files say, with lines; the faults are planted in test_check.py."""

import json
import math
from pathlib import Path

import pytest
from data_sets import write_coco
from mended_sets import mend
from plants import edit_item

from frcnn.data.checking.coco_statements import take_down_coco, whole_number
from frcnn.data.checking.statements import SetSaid
from frcnn.data.coco import recognise_coco
from frcnn.data.index import CROWD


def said(root: Path) -> SetSaid:
    found = recognise_coco(root)
    assert found is not None
    return take_down_coco(found)


def test_everything_with_its_line(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "set")
    edit_item(root, "annotations", 4, iscrowd=1)
    of_train = said(root / "annotations/instances_train2017.json")
    assert of_train.findings == ()
    assert of_train.class_names == ("circle", "square")
    assert (of_train.pictures[1].path.name, of_train.pictures[1].line) == ("p01.jpg", 3)
    assert (of_train.pictures[1].size, of_train.pictures[1].identity) == ((96, 128), 1001)
    assert of_train.objects.line[:3].tolist() == [40, 41, 42]
    assert of_train.objects.identity[:5].tolist() == [0, 1, 2, 3, 4]
    assert of_train.objects.numbers[0].tolist() == [10, 8, 40, 32]
    assert of_train.objects.flags[3:6].tolist() == [0, CROWD, 0]
    assert of_train.object_name(4) == "annotation 4 (square, p01.jpg)"


def test_pictures_that_no_list_names(tmp_path: Path) -> None:
    """But for what a Mac leaves beside each."""
    root = write_coco(tmp_path / "set")
    for name in ("._p00.jpg", "other.jpg"):
        (root / "train2017" / name).touch()
    (finding,) = said(root).findings
    assert finding.message == "1 picture in no list of images (other.jpg): list, or take out"


def test_any_other_object_is_no_set(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": 1}')
    (finding,) = said(path).findings
    assert (finding.kind, finding.file, finding.line) == ("unreadable annotation", path, None)
    assert finding.message == "has no list 'images', which a data set needs: add it, or name another file"


@pytest.mark.parametrize("name", ["images", "categories"])
def test_an_id_that_is_no_number_is_told_as_it_is(tmp_path: Path, name: str) -> None:
    root = write_coco(tmp_path / "set")
    path, line = edit_item(root, name, 1, id="img1")
    finding = said(path).findings[0]
    assert (finding.line, finding.severity) == (line, "error")
    what = {"images": "image", "categories": "category"}[name]
    assert finding.message == f"{what} 2 in the list has the id 'img1', which is no whole number: mend it"


def test_a_missing_picture_is_missing_alone(tmp_path: Path) -> None:
    """The first of the list: the others are found all the same."""
    root = write_coco(tmp_path / "set")
    (root / "train2017/p00.jpg").unlink()
    pictures = said(root / "annotations/instances_train2017.json").pictures
    assert [picture.path for picture in pictures if not picture.is_there] == [root / "train2017/p00.jpg"]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (None, "null"),
        ([1, 2, 3], "[1, 2, 3]"),
        ([1, "2", 3, 4], '[1, "2", 3, 4]'),
        ([1, 2, math.nan, 4], "[1, 2, NaN, 4]"),
    ],
)
def test_a_box_that_is_none_is_told_as_it_stands_in_the_file(tmp_path: Path, box: object, expected: str) -> None:
    root = write_coco(tmp_path / "set")
    path, _ = edit_item(root, "annotations", 1, bbox=box)
    assert said(path).written_box(1) == expected
    assert said(path).written_box(0) == "(10, 8, 40, 32)"


def test_a_box_that_is_not_there(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "set")
    path = root / "annotations/instances_train2017.json"
    path.write_text(path.read_text().replace('"bbox"', '"box"', 1))
    assert said(path).written_box(0) == "(there is no bbox)"


def test_lists_in_any_order_and_in_one_line(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "set")
    path = root / "annotations/instances_train2017.json"
    lists = json.loads(path.read_text())
    path.write_text(json.dumps({"info": {}, **dict(reversed(lists.items()))}))
    of_train = said(path)
    assert of_train.findings == ()
    assert len(of_train.objects) == 108
    assert set(of_train.objects.line.tolist()) == {1}


@pytest.mark.parametrize(
    ("list_name", "changes", "kind"),
    [
        ("images", {"id": None}, "unreadable picture entry"),
        ("images", {"file_name": ""}, "unreadable picture entry"),
        ("annotations", {"id": "x"}, "unreadable object"),
        ("categories", {"name": None}, "unreadable category"),
        ("categories", {"name": " "}, "unreadable category"),
        ("categories", {"name": "\udce9b"}, "unreadable category"),
        ("categories", {"id": 10.5}, "unreadable category"),
    ],
)
def test_an_item_that_cannot_be_read(tmp_path: Path, list_name: str, changes: dict, kind: str) -> None:
    root = write_coco(tmp_path / "set")
    path, line = edit_item(root, list_name, 1, **changes)
    first = next(finding for finding in said(path).findings if finding.severity == "error")
    assert (first.kind, first.file, first.line) == (kind, path, line)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (" ", "the name ' ', which is blank, so that its objects have no class: mend it"),
        (7, "the name 7, which is no text, so that its objects have no class: mend it"),
        ("a\rb", "the name 'a\\rb', which holds the end of a line, so that its objects have no class: mend it"),
        (None, "no name: give it one, or take it out"),
    ],
)
def test_a_name_that_cannot_be_one_is_told_once(tmp_path: Path, name: object, told: str) -> None:
    """Not of each of its objects again."""
    root = write_coco(tmp_path / "set")
    path, line = edit_item(root, "categories", 1, name=name)
    of_train = said(path)
    (finding,) = of_train.findings
    assert (finding.line, finding.message) == (line, f"category 2 in the list has {told}")
    assert of_train.class_names == ("circle",)
    assert len(of_train.objects) > 0
    assert mend(path, tmp_path / "copy").errors == ()


def test_a_category_of_two_names(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "set")
    path, line = edit_item(root, "categories", 1, id=10)
    of_train = said(path)
    assert [(finding.kind, finding.line) for finding in of_train.findings if finding.kind == "duplicate id"] == [
        ("duplicate id", line)
    ]
    assert len(of_train.objects) == 0  # 10 means two classes, 20 none


@pytest.mark.parametrize(
    ("value", "number"), [(3, 3), (3.0, 3), (True, None), ("3", None), (3.5, None), (None, None), (2**63, None)]
)
def test_whole_numbers(value: object, number: int | None) -> None:
    assert whole_number(value) == number
