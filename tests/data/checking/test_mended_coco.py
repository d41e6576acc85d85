"""A mended copy of a COCO set, by hand: boxes, sizes, ids and categories."""

import json
from pathlib import Path

import pytest
from data_sets import name_of, things, write_coco, write_coco_file
from mended_sets import boxes, mend
from plants import COCO_PLANTS, image_id_again, torn_json

from frcnn.data.checking.check import check_dataset
from frcnn.data.dataset import load_dataset
from frcnn.errors import DataError


def test_by_hand(tmp_path: Path) -> None:
    root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
    for number, plant in enumerate(("swapped", "outside", "fractions", "other size", "size turned", "no size")):
        COCO_PLANTS[plant](root, name_of(7 + number))
    mend(root, target)
    assert boxes(target, "train", name_of(7))[1] == [60, 50, 90, 70]
    assert boxes(target, "train", name_of(8))[1] == [90, 70, 128, 90]
    assert boxes(target, "train", name_of(9))[1] == [32, 48, 64, 60]
    assert boxes(target, "train", name_of(10)) == [[corner / 2 for corner in box] for _, box in things(10)]
    for number in (11, 12):
        assert boxes(target, "train", name_of(number)) == [[*map(float, box)] for _, box in things(number)]


def test_ids_are_told_apart(tmp_path: Path) -> None:
    root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
    COCO_PLANTS["annotation id again"](root, name_of(7))
    mend(root, target)
    items = json.loads((target / "annotations/instances_train2017.json").read_text())["annotations"]
    assert len({item["id"] for item in items}) == len(items) == 108


def test_pictures_of_one_id_are_left_out(tmp_path: Path) -> None:
    root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
    image_id_again(root, name_of(7))
    mend(root, target)
    names = {example.picture.stem for example in load_dataset([target], "train").examples}
    assert len(names) == 34
    assert names.isdisjoint({name_of(6), name_of(7)})


def test_space_round_a_category_goes(tmp_path: Path) -> None:
    root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
    path = root / "annotations/instances_train2017.json"
    path.write_text(path.read_text().replace('"circle"', '" circle "'))
    mend(root, target)
    written = json.loads((target / "annotations/instances_train2017.json").read_text())
    assert [category["name"] for category in written["categories"]] == ["circle", "square"]
    assert len(written["annotations"]) == 108


def test_categories_that_are_spelt_in_two_ways_become_one(tmp_path: Path) -> None:
    root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
    path = root / "annotations/instances_train2017.json"
    lists = json.loads(path.read_text())
    lists["categories"].append({"id": 30, "name": "Circle"})
    lists["annotations"][2]["category_id"] = 30
    write_coco_file(path, lists)
    (fault,) = check_dataset([root]).findings
    assert (fault.kind, fault.line) == ("misspelt class", 42)
    mend(root, target)
    written = json.loads((target / "annotations/instances_train2017.json").read_text())
    assert [category["name"] for category in written["categories"]] == ["circle", "square"]
    assert written["annotations"][2]["category_id"] == 10


def test_outlines_go_where_they_would_not_fit(tmp_path: Path) -> None:
    root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
    path = root / "annotations/instances_train2017.json"
    lists = json.loads(path.read_text())
    for item in lists["annotations"]:
        item["segmentation"] = [[1, 1, 9, 1, 9, 9]]
    write_coco_file(path, lists)
    COCO_PLANTS["other size"](root, name_of(7))
    COCO_PLANTS["outside"](root, name_of(8))
    mend(root, target)
    written = json.loads((target / "annotations/instances_train2017.json").read_text())["annotations"]
    without = [item for item in written if "segmentation" not in item]
    assert [item["image_id"] for item in without] == [1007] * 3
    assert all(item["area"] == item["bbox"][2] * item["bbox"][3] for item in without)


def test_a_torn_file_is_left_out(tmp_path: Path) -> None:
    root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
    torn_json(root, "")
    mend(root, target)
    assert check_dataset([target]).summary.pictures == {"val": 6, "test": 6}


def test_nothing_but_torn_files(tmp_path: Path) -> None:
    root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
    torn_json(root, "")
    with pytest.raises(DataError, match="cannot be mended"):
        mend(root / "annotations/instances_train2017.json", target)
    assert not target.exists()
