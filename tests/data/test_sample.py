"""The sample data set: whole or absent, the same for the same seed, and readable as VOC."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import frcnn.data.sample as sample
from frcnn.data.dataset import load_dataset, training_splits
from frcnn.data.sample import PICTURES, annotation_xml, write_sample
from frcnn.data.scenes import SHAPES, Thing
from frcnn.data.voc import read_annotation
from frcnn.errors import FrcnnError, UsageError


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    write_sample(tmp_path / "a", 6, seed=3)
    write_sample(tmp_path / "b", 6, seed=3)
    write_sample(tmp_path / "c", 6, seed=4)
    first, second, other = (contents(tmp_path / name) for name in "abc")
    assert first == second
    assert first.keys() == other.keys()
    assert first["JPEGImages/000001.jpg"] != other["JPEGImages/000001.jpg"]


def test_a_picture_does_not_depend_on_how_many_there_are(tmp_path):
    write_sample(tmp_path / "few", 3)
    write_sample(tmp_path / "more", 5)
    few, more = contents(tmp_path / "few"), contents(tmp_path / "more")
    assert all(few[name] == more[name] for name in few if not name.startswith("ImageSets"))


def test_it_is_a_voc_set_with_three_splits(tmp_path):
    assert write_sample(tmp_path / "new" / "set", 40) == tmp_path / "new" / "set"
    counts = {split: len(load_dataset([tmp_path], split)) for split in ("train", "val", "test", "trainval")}
    assert counts == {"train": 33, "val": 2, "test": 5, "trainval": 35}
    train, val = training_splits([tmp_path / "new" / "set"], 0.1, seed=0)
    assert val is not None
    tested = load_dataset([tmp_path], "test")
    used = {example.picture for example in (*train.examples, *val.examples, *tested.examples)}
    assert len(used) == 40
    assert set(train.class_names) <= set(SHAPES)


def test_what_was_drawn_is_what_is_read(tmp_path):
    """By law: reading undoes writing, the half-open boxes included."""
    write_sample(tmp_path / "set", 8, seed=1)
    for split in ("train", "val", "test"):
        for example in load_dataset([tmp_path / "set"], split, class_names=list(SHAPES)).examples:
            number = int(example.picture.stem) - 1
            image, things = sample.draw_scene(np.random.default_rng([1, number]))
            assert example.size == (image.height, image.width)
            assert example.target.boxes.tolist() == [list(thing.box) for thing in things]
            assert [list(SHAPES)[i] for i in example.target.class_ids] == [thing.name for thing in things]
            assert example.target.ignored.tolist() == [thing.difficult for thing in things]


def test_an_annotation_by_hand(tmp_path):
    """Row 2: written results add the 1 back."""
    thing = Thing("disc", (0, 4, 10, 20), difficult=True, truncated=False)
    path = tmp_path / "a.xml"
    path.write_text(annotation_xml("a.jpg", Image.new("RGB", (30, 40)), [thing]))
    annotation = read_annotation(path)
    assert annotation.picture_name == "a.jpg"
    (found,) = annotation.objects
    assert (found.name, found.corners, found.difficult) == ("disc", (1, 5, 10, 20), True)


def test_an_empty_folder_may_be_filled(tmp_path):
    write_sample(tmp_path, 3)
    assert (tmp_path / "ImageSets" / "Main" / "test.txt").read_text() == "000003\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Annotations", "ImageSets", "JPEGImages"]


def test_what_is_there_stays(tmp_path):
    (tmp_path / "photo.jpg").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        write_sample(tmp_path, 3)
    with pytest.raises(UsageError, match=r"photo\.jpg"):
        write_sample(tmp_path / "photo.jpg", 3)
    assert contents(tmp_path) == {"photo.jpg": b"mine"}


@pytest.mark.parametrize("stopped_by", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_nothing_partial_is_left(tmp_path, monkeypatch, stopped_by):
    def fail(*_):
        raise stopped_by

    monkeypatch.setattr(sample, "annotation_xml", fail)
    with pytest.raises((KeyboardInterrupt, FrcnnError)):
        write_sample(tmp_path / "set", 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("options", "named"), [({"pictures": 2}, "2 pictures"), ({"seed": -1}, "seed")])
def test_wrong_usage_makes_no_folder(tmp_path, options, named):
    with pytest.raises(UsageError, match=named):
        write_sample(tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


def test_the_folder_has_ordinary_permissions(tmp_path):
    (tmp_path / "other").mkdir()
    write_sample(tmp_path / "set", 3)
    assert (tmp_path / "set").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_there_is_enough_to_learn_from():
    assert PICTURES == 1200
    assert {split: len(ids) for split, ids in sample._splits([str(i) for i in range(PICTURES)]).items()} == {
        "train": 1000,
        "val": 60,
        "test": 140,
        "trainval": 1060,
    }
