"""What lies at a path, found out by looking."""

import json

import pytest
from PIL import Image

from frcnn.data.coco import CocoSet
from frcnn.data.recognise import find_sources
from frcnn.data.voc import VocSet
from frcnn.data.yolo import YoloSet
from frcnn.errors import DataError


def refused(path) -> str:
    with pytest.raises(DataError) as caught:
        find_sources(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def coco(folder):
    (folder / "annotations").mkdir(parents=True)
    (folder / "annotations/instances_val.json").write_text(json.dumps({"images": [], "annotations": []}))


def yolo(folder):
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "images/a.png")
    (folder / "labels/a.txt").touch()


@pytest.mark.parametrize("above", ["VOCdevkit", "."])
def test_years_are_found_below(make_voc, tmp_path, above):
    for name in ("VOCdevkit/VOC2012", "VOCdevkit/VOC2007", "VOCdevkit/.hidden"):
        make_voc({"a": []}, {"train": ["a"]}, name=name)
    assert [found.root.name for found in find_sources(tmp_path / above)] == ["VOC2007", "VOC2012"]


def test_sets_of_all_kinds_below_one_folder(make_voc, tmp_path):
    make_voc({"a": []}, name="c")
    coco(tmp_path / "a")
    yolo(tmp_path / "b")
    assert [type(found) for found in find_sources(tmp_path)] == [CocoSet, YoloSet, VocSet]


def test_files_that_are_named(tmp_path):
    coco(tmp_path / "a")
    yolo(tmp_path / "b")
    (tmp_path / "b/data.yaml").write_text("train: images\nnames: [dog]\n")
    (found,) = find_sources(tmp_path / "a/annotations/instances_val.json")
    assert (type(found), found.root) == (CocoSet, tmp_path / "a")
    (found,) = find_sources(tmp_path / "b/data.yaml")
    assert (type(found), found.root) == (YoloSet, tmp_path / "b")


def test_what_is_no_set(tmp_path):
    assert f"{tmp_path / 'absent'}: does not exist" in refused(tmp_path / "absent")
    assert f"{tmp_path}: is no data set that is known here" in refused(tmp_path)
    (tmp_path / "photo.jpg").touch()
    assert "is no data set that is known here" in refused(tmp_path / "photo.jpg")
