"""An index on the disk: used while nothing has changed, and not a moment longer."""

import json
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frcnn.data.coco import recognise_coco
from frcnn.data.index import Index, as_arrays, as_facts
from frcnn.data.index_file import cache_folder, index_path, open_index
from frcnn.data.voc import VocSet, recognise_voc
from frcnn.data.yolo import YoloSet, recognise_yolo


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FRCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "indices"


@pytest.fixture
def root(make_voc) -> Path:
    root = make_voc({"a": [("cat", (1, 1, 20, 30))], "b": []}, {"train": ["a"], "val": ["b"]})
    settle(root)
    return root


def settle(root: Path) -> None:
    """As if it had lain there for an hour."""
    for path in root.rglob("*"):
        os.utime(path, (time.time() - 3600,) * 2)


def opened(root: Path) -> VocSet:
    found = recognise_voc(root)
    assert found is not None
    return found


@pytest.fixture
def reads(monkeypatch) -> list[VocSet]:
    """How often annotations were read."""
    counted: list[VocSet] = []
    read = VocSet.read
    monkeypatch.setattr(VocSet, "read", lambda self: counted.append(self) or read(self))
    return counted


def test_the_second_time_it_is_not_read(root, cache, reads):
    first, second = open_index(opened(root)), open_index(opened(root))
    assert len(reads) == 1
    assert as_facts(first) == as_facts(second)
    for name, values in as_arrays(opened(root).read()).items():
        np.testing.assert_array_equal(as_arrays(second)[name], values)
    assert [path.suffix for path in cache.iterdir()] == [".index"]


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "Annotations/a.xml").write_text((root / "Annotations/b.xml").read_text()),
        lambda root: (root / "Annotations/c.xml").write_text("<annotation/>"),
        lambda root: (root / "JPEGImages/b.jpg").unlink(),
        lambda root: (root / "JPEGImages/a.jpg").rename(root / "JPEGImages/a.jpeg"),
        lambda root: os.utime(root / "Annotations/a.xml", (1, 1)),
        lambda root: (root / "ImageSets/Main/val.txt").write_text("a\n"),
        lambda root: (root / "ImageSets/Main/test.txt").write_text("a\n"),
    ],
)
def test_any_change_makes_it_anew(root, reads, change):
    open_index(opened(root))
    change(root)
    kept = open_index(opened(root))
    assert len(reads) == 2
    for name, values in as_arrays(opened(root).read()).items():
        np.testing.assert_array_equal(as_arrays(kept)[name], values)


def test_image_sets_that_are_taken_away_make_it_anew(root, reads):
    """As a message advises; an empty folder of lists is not the same as none."""
    for file in (root / "ImageSets/Main").iterdir():
        file.unlink()
    settle(root)
    assert not open_index(opened(root)).splits
    (root / "ImageSets/Main").rmdir()
    open_index(opened(root))
    (root / "ImageSets").rmdir()
    assert list(open_index(opened(root)).splits) == ["trainval"]
    assert len(reads) == 3


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ({}, {"labels/train/a.txt": "1 0.25 0.25 0.5 0.5\n"}),
        ({}, {"labels/train/b.txt": "1 0.5 0.5 0.5 0.5\n"}),
        ({"labels/train/b.txt": ""}, {"images/train/a.jpg": None}),
        ({"images/train/c/a.txt": ""}, {"images/train/c/a.jpg": ""}),
        ({}, {"classes.txt": "dog\ncat\n"}),
        ({"classes.txt": "dog\ncat\n"}, {"classes.txt": "horse\nsheep\n"}),
        ({"labels/classes.txt": "dog\ncat\n"}, {"labels/classes.txt": "horse\nsheep\n"}),
        ({"labels/obj.names": "dog\ncat\n"}, {"labels/obj.names": None}),
        ({"data.yaml": "train: images\nnames: [dog, cat]\n"}, {"data.yaml": "train: images\nnames: [horse, cat]\n"}),
        (
            {"data.yaml": "train: list.txt\nnames: [dog, cat]\n", "list.txt": "images/train/a.jpg\n"},
            {"list.txt": "images/train/b.jpg\n"},
        ),
        (
            {"data.yaml": "train: list.txt\nnames: [dog, cat]\n", "list.txt": "images/train/a.jpg\n"},
            {"labels/train/a.txt": "1 0.25 0.25 0.5 0.5\n"},
        ),
    ],
)
def test_any_change_of_a_yolo_set_makes_it_anew(tmp_path, before, change):
    root = tmp_path / "set"
    put(
        root, {"images/train/a.jpg": "", "images/train/b.jpg": "", "labels/train/a.txt": "1 0.5 0.5 0.5 0.5\n"} | before
    )
    for name in ("a", "b"):
        Image.new("RGB", (64, 48)).save(root / f"images/train/{name}.jpg")
    settle(root)
    before_it = open_index(opened_yolo(root))
    assert index_path(opened_yolo(root)).is_file()
    put(root, change)
    kept, right = open_index(opened_yolo(root)), opened_yolo(root).read()
    assert contents(kept) == contents(right) != contents(before_it)


def put(root: Path, texts: dict[str, str | None]) -> None:
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).unlink(missing_ok=True)
        if text is not None:
            (root / name).write_text(text)


def opened_yolo(root: Path) -> YoloSet:
    found = recognise_yolo(root)
    assert found is not None
    return found


def contents(index: Index) -> tuple[object, dict[str, bytes]]:
    return as_facts(index), {name: values.tobytes() for name, values in as_arrays(index).items()}


def test_it_can_be_made_anew_without_a_change(root, reads):
    open_index(opened(root))
    open_index(opened(root), anew=True)
    assert len(reads) == 2


def test_what_was_written_a_moment_ago_is_not_kept(make_voc, cache):
    """It may be written once more within the grain of the clock, with the same size: that would not be noticed."""
    open_index(opened(make_voc({"a": []}, {"train": ["a"]})))
    assert not cache.exists() or not list(cache.iterdir())


@pytest.mark.parametrize("content", [b"", b"no index", b"PK\x03\x04"])
def test_a_broken_file_is_made_anew(root, reads, content):
    open_index(opened(root))
    index_path(opened(root)).write_bytes(content)
    assert len(open_index(opened(root))) == 2
    open_index(opened(root))
    assert len(reads) == 2


def test_a_cut_file_is_made_anew(root, reads):
    open_index(opened(root))
    path = index_path(opened(root))
    path.write_bytes(path.read_bytes()[:-200])
    assert len(open_index(opened(root))) == 2
    assert len(reads) == 2


@pytest.mark.parametrize("what", ["boxes", "sizes", "first_object", "picture_names.text"])
def test_a_bit_that_turned_in_an_array_is_found(root, reads, what):
    """In its first number, and in its last."""
    open_index(opened(root))
    path = index_path(opened(root))
    whole, right = path.read_bytes(), as_arrays(opened(root).read())
    content = right[what].tobytes()
    reads.clear()
    for place in (whole.index(content), whole.index(content) + len(content) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        kept = as_arrays(open_index(opened(root)))
        for name, values in right.items():
            np.testing.assert_array_equal(kept[name], values)
    assert len(reads) == 2


@pytest.mark.parametrize("what", [b"cat", b"boxes", b"splits.train", b"class_names"])
def test_a_bit_that_turned_in_what_arrays_are_called_is_found(root, reads, what):
    open_index(opened(root))
    path = index_path(opened(root))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(what, bytes([what[0] ^ 1]) + what[1:]))
    reads.clear()
    index = open_index(opened(root))
    assert (len(reads), index.class_names, list(index.splits)) == (1, ("cat",), ["train", "val", "trainval"])


def test_without_a_place_for_it_it_is_read_each_time(root, tmp_path, monkeypatch, reads):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FRCNN_CACHE", str(tmp_path / "file"))
    for times in (1, 2):
        assert len(open_index(opened(root))) == 2
        assert len(reads) == times


def test_a_full_disk_leaves_nothing_there(root, cache, reads):
    """As a limit to the size of files does, which stops the writing in its middle all the same."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        assert len(open_index(opened(root))) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(cache.iterdir()) == []
    open_index(opened(root))
    assert (len(reads), len(list(cache.iterdir()))) == (2, 1)


def test_the_place(monkeypatch, tmp_path):
    monkeypatch.delenv("FRCNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "frcnn" / "indices"


def test_it_is_one_set_by_whatever_path(root, reads, monkeypatch):
    monkeypatch.chdir(root.parent)
    open_index(opened(root))
    open_index(opened(Path(root.name)))
    assert len(reads) == 1


def test_it_travels_to_other_processes(root):
    """Where processes are spawned, not forked."""
    open_index(opened(root))
    index = open_index(opened(root))
    again = pickle.loads(pickle.dumps(index))
    for name, values in as_arrays(index).items():
        np.testing.assert_array_equal(as_arrays(again)[name], values)


def test_pictures_that_move_make_it_anew(tmp_path):
    """Of COCO's files: their folder is found by looking, and no file changes."""
    image = {"id": 1, "file_name": "a.jpg", "height": 8, "width": 8}
    path = tmp_path / "set/annotations/instances_train.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"images": [image], "annotations": [], "categories": []}))
    (tmp_path / "set/a.jpg").touch()
    settle(tmp_path / "set")
    source = recognise_coco(tmp_path / "set")
    assert source is not None
    for place in ("a.jpg", "train/a.jpg", "images/train/a.jpg"):
        (tmp_path / "set" / place).parent.mkdir(parents=True, exist_ok=True)
        next((tmp_path / "set").rglob("a.jpg")).rename(tmp_path / "set" / place)
        assert open_index(source).picture_names[0] == place
        assert open_index(source).picture_names[0] == place
