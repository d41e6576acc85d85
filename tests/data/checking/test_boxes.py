"""How boxes are meant: faults that have changed places, and layouts that are seen in many boxes together."""

import json
from pathlib import Path

import numpy as np
import pytest
from data_sets import things, write_annotation, write_coco, write_coco_file, write_voc
from plants import set_box

from frcnn.data.box_faults import NO_AREA, OUTSIDE, SOUND
from frcnn.data.checking.boxes import TANGLED, find_faults, untangled
from frcnn.data.checking.check import check_dataset

SIZES = np.array([[96, 128]])


@pytest.mark.parametrize(
    ("box", "first", "fault"),
    [
        ((99, 9, 50, 40), 1.0, TANGLED),
        ((50, 39, 99, 10), 1.0, TANGLED),
        ((49, 9, 50, 40), 1.0, NO_AREA),  # VOC's xmin = xmax
        ((50, 9, 50, 40), 0.0, NO_AREA),
        ((99, 9, 50, 10), 1.0, NO_AREA),  # mended, it would have none either
        ((200, 9, 50, 40), 1.0, TANGLED),
        ((20, 9, 200, 40), 1.0, OUTSIDE),
        ((20, 9, 50, 40), 1.0, SOUND),
    ],
)
def test_faults(box, first: float, fault: int) -> None:
    corners = np.array([box], float)
    assert find_faults(corners, SIZES, np.array([first]), first).tolist() == [fault]


def test_untangled_in_the_numbers_of_the_file() -> None:
    """VOC's (100, 40, 60, 20) is (60, 20, 100, 40)."""
    half_open = np.array([[99.0, 39, 60, 20]])
    assert untangled(half_open, np.array([1.0])).tolist() == [[59, 19, 100, 40]]
    assert untangled(np.array([[9.0, 2, 3, 4]]), np.array([0.0])).tolist() == [[3, 2, 9, 4]]


def kinds(root: Path) -> list[str]:
    return [finding.kind for finding in check_dataset([root]).errors]


def test_swapped_corners_are_no_other_layout(tmp_path: Path) -> None:
    """Even where all boxes of a file are swapped: as sizes they would leave the picture."""
    root = write_voc(tmp_path / "set")
    for number in range(3):
        x1, y1, x2, y2 = things(20)[number][1]
        set_box(root / "Annotations/p20.xml", number, (x2, y2, x1 + 1, y1 + 1))
    assert kinds(root) == ["swapped corners"] * 3


def test_two_broken_boxes_are_no_other_layout(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set")
    write_annotation(root, "p20", [("square", (60, 40, 10, 10)), ("circle", (70, 40, 10, 10))])
    assert kinds(root) == ["swapped corners"] * 2


def test_a_set_of_whose_boxes_many_leave_their_pictures_is_in_its_own_layout(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set")
    for number in range(30):
        write_annotation(root, f"p{number:02d}", [("square", (60, 40, 140 + number, 90)), ("circle", (70, 40, 90, 70))])
    assert set(kinds(root)) == {"outside"}


def test_one_file_of_many_boxes_in_another_layout(tmp_path: Path) -> None:
    """Of a file of many boxes a few may fit in no layout."""
    root = write_coco(tmp_path / "set")
    path = root / "annotations/instances_train2017.json"
    lists = json.loads(path.read_text())
    for item in lists["annotations"]:
        x, y, width, height = item["bbox"]
        item["bbox"] = [x, y, x + width, y + height]
    lists["annotations"][40]["bbox"] = [60, 40, 300, 50]
    write_coco_file(path, lists)
    other, outside = check_dataset([root]).errors
    assert (other.kind, other.file, other.line) == ("other layout", path, 40)
    assert "its boxes (108 boxes) are (left, top, right, bottom)" in other.message
    assert outside.kind == "outside"


@pytest.mark.parametrize(
    ("box", "doubt"),
    [((60, 40, 20, 30), "; or is it (left, top, width, height)?"), ((100, 60, 60, 40), "swap its corners")],
)
def test_a_single_box_may_have_been_meant_otherwise(tmp_path: Path, box, doubt: str) -> None:
    """Of 128x96 pixels: 60 and 20 more are inside, 100 and 60 more are not."""
    root = write_voc(tmp_path / "set")
    set_box(root / "Annotations/p20.xml", 1, box)
    (fault,) = check_dataset([root]).errors
    assert fault.kind == "swapped corners"
    assert fault.message.endswith(doubt)
