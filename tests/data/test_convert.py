"""From one format to another and back: nothing is lost that the format can hold."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from PIL import Image

from frcnn.data.checking.check import check_dataset
from frcnn.data.convert import convert
from frcnn.data.dataset import load_dataset, open_sets, training_splits
from frcnn.data.held_out import pictures_of, split_names
from frcnn.data.index import CROWD, DIFFICULT, Index
from frcnn.errors import DataError, UsageError

KINDS = ("voc", "coco", "yolo")


@pytest.fixture
def voc(make_voc):
    """Three splits, decimals, a difficult object, a box that leaves its picture by half a pixel, an empty picture."""
    return make_voc(
        {
            "000012": [("cat", (1, 1, 20, 30)), ("dog", (3.25, 4.5, 64, 48.5), True)],
            "000007": [],
            "000031": [("zebra", (10.1, 20.7, 33.3, 40.123))],
        },
        {"train": ["000012"], "val": ["000007"], "test": ["000031"]},
    )


def index_of(path) -> Index:
    (one,) = open_sets([path])
    return one.index


def contents(path):
    """What a set says of each picture, by the stem of its name: split, size, ids, and its objects in order."""
    sets = open_sets([path])
    (one,) = sets
    index, found = one.index, {}
    for split in split_names(sets):
        (numbers,) = pictures_of(sets, split)
        for number in numbers.tolist():
            rows = index.objects_of(number)
            stem = index.picture_names[number].rpartition("/")[2].rpartition(".")[0]
            found[split, stem] = (
                index.sizes[number].tolist(),
                [index.class_names[i] for i in index.class_ids[rows].tolist()],
                index.boxes[rows],
                (index.flags[rows] != 0).tolist(),
            )
    return found


def assert_same(first, second, flags: bool):
    """Boxes within a hundredth of a pixel, everything else as it was."""
    assert first.keys() == second.keys()
    for key, (size, names, boxes, ignored) in first.items():
        assert second[key][:2] == (size, names), key
        np.testing.assert_allclose(second[key][2], boxes, rtol=0, atol=0.01)
        assert second[key][3] == (ignored if flags else [False] * len(ignored))


@pytest.mark.parametrize(("through", "back"), list(itertools.product(KINDS, KINDS)))
def test_any_two_in_a_row(voc, tmp_path, through, back):
    """Classes stay in their order where the format has one."""
    convert([voc], tmp_path / "one", through)
    convert([tmp_path / "one"], tmp_path / "two", back)
    assert_same(contents(voc), contents(tmp_path / "two"), flags="yolo" not in (through, back))
    assert index_of(tmp_path / "two").kind == back
    assert index_of(tmp_path / "two").class_names == ("cat", "dog", "zebra")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VOC2007-part", "BCCD", "VOC2012-animals-400px"])
def test_real_sets_all_the_way_round(shared, tmp_path, name):
    """VOC, COCO, YOLO, VOC; BCCD without its two bad boxes."""
    source = shared / "data" / name
    for number, kind in enumerate(("coco", "yolo", "voc")):
        before = source if number == 0 else tmp_path / str(number - 1)
        convert([before], tmp_path / str(number), kind, bad_boxes="skip", pictures="link")
    start = contents(source)
    if name == "BCCD":
        (one,) = open_sets([source])
        assert int((one.index.faults != 0).sum()) == 2
        convert([source], tmp_path / "sound", "voc", bad_boxes="skip", pictures="link")
        start = contents(tmp_path / "sound")
    assert_same(start, contents(tmp_path / "0"), flags=True)
    assert_same(start, contents(tmp_path / "2"), flags=False)


def coco_set(tmp_path):
    """Ids of every kind that are no count, a crowd and a difficult object, an area that is not the box's."""
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    (root / "val2017").mkdir()
    Image.new("RGB", (64, 48)).save(root / "val2017/000000000139.jpg")
    objects = [
        {"id": 900, "image_id": 139, "category_id": 18, "bbox": [1.5, 2.25, 30.1, 20], "area": 77.5, "iscrowd": 0},
        {"id": 42, "image_id": 139, "category_id": 3, "bbox": [0, 0, 64, 48], "area": 9.0, "iscrowd": 1},
        {"id": 43, "image_id": 139, "category_id": 3, "bbox": [5, 5, 6, 7], "area": 42.0, "iscrowd": 0, "ignore": 1},
    ]
    whole = {
        "images": [{"id": 139, "file_name": "000000000139.jpg", "height": 48, "width": 64}],
        "annotations": objects,
        "categories": [{"id": 3, "name": "car"}, {"id": 18, "name": "dog"}],
    }
    (root / "annotations/instances_val2017.json").write_text(json.dumps(whole))
    return root


def test_coco_keeps_its_ids_flags_and_areas(tmp_path):
    source = coco_set(tmp_path)
    convert([source], tmp_path / "again", "coco")
    before, after = index_of(source), index_of(tmp_path / "again")
    assert after.category_ids == before.category_ids == (3, 18)
    assert after.identities.tolist() == [139]
    assert after.object_identities.tolist() == [900, 42, 43]
    assert after.flags.tolist() == [0, CROWD, DIFFICULT]
    np.testing.assert_array_equal(after.areas, before.areas)
    np.testing.assert_allclose(after.boxes, before.boxes, atol=1e-4)  # four decimals are written


def test_files_that_number_classes_otherwise(tmp_path):
    """Theirs cannot all be kept: the new ones are counted, and the set can be read."""
    source = coco_set(tmp_path)
    part = source / "annotations/instances_val2017.json"
    other = json.loads(part.read_text()) | {"categories": [{"id": 3, "name": "dog"}, {"id": 18, "name": "cow"}]}
    (source / "annotations/instances_train2017.json").write_text(json.dumps(other))
    shutil.copytree(source / "val2017", source / "train2017")
    convert([source], tmp_path / "again", "coco")
    assert index_of(tmp_path / "again").category_ids == (1, 2, 3)
    names = {key[0]: objects[1] for key, objects in contents(tmp_path / "again").items()}
    assert names == {"train": ["cow", "dog", "dog"], "val": ["dog", "car", "car"], "trainval": names["trainval"]}


def test_a_crowd_becomes_difficult_in_voc(tmp_path):
    convert([coco_set(tmp_path)], tmp_path / "voc", "voc")
    assert index_of(tmp_path / "voc").flags.tolist() == [0, DIFFICULT, DIFFICULT]


def test_voc_numbers_become_ids(voc, tmp_path):
    convert([voc], tmp_path / "coco", "coco")
    index = index_of(tmp_path / "coco")
    stems = [index.picture_names[i].rpartition("/")[2] for i in range(3)]
    assert dict(zip(stems, index.identities.tolist(), strict=True)) == {
        "000012.jpg": 12,
        "000007.jpg": 7,
        "000031.jpg": 31,
    }
    assert sorted(index.object_identities.tolist()) == [1, 2, 3]


def test_pictures_of_one_name_get_others(make_voc, tmp_path):
    first = make_voc({"a": [("cat", (1, 1, 9, 9))]}, {"train": ["a"]}, name="VOC2007")
    second = make_voc({"A": [("dog", (1, 1, 9, 9))]}, {"train": ["A"]}, name="VOC2012")
    convert([first, second], tmp_path / "both", "yolo")
    assert sorted(path.name for path in (tmp_path / "both/images/train").iterdir()) == ["VOC2012_A.jpg", "a.jpg"]
    assert index_of(tmp_path / "both").class_names == ("cat", "dog")


def test_trainval_stays_trainval(make_voc, tmp_path):
    """Where train and val do not make it; who reads YOLO's file elsewhere finds a train and a val all the same."""
    root = make_voc({"a": [("cat", (1, 1, 9, 9))], "b": []}, {"trainval": ["a"], "test": ["b"]})
    for kind in KINDS:
        convert([root], tmp_path / kind, kind)
        assert sorted(index_of(tmp_path / kind).splits) == ["test", "trainval"]
    text = (tmp_path / "yolo/data.yaml").read_text()
    assert "train: images/trainval\nval: images/trainval\n" in text


@pytest.mark.parametrize("pictures", ["copy", "link"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_two_splits_stays_in_both(make_voc, tmp_path, kind, pictures):
    """Whatever one thinks of it: `data check` tells of it, and a figure on `test` is one of the same pictures."""
    root = make_voc(
        {name: [("cat", (1, 1, 9, 9))] for name in "abcd"},
        {"train": ["a", "b"], "val": ["b"], "test": ["c", "a", "d"], "trainval": ["b", "d"]},
    )
    converted = convert([root], tmp_path / kind, kind, pictures=pictures)
    assert (converted.pictures, converted.objects) == (4, 4)
    index = index_of(tmp_path / kind)
    stems = {
        split: sorted(
            index.picture_names[number].rpartition("/")[2].removesuffix(".jpg") for number in numbers.tolist()
        )
        for split, numbers in index.splits.items()
    }
    assert stems == {"train": ["a", "b"], "val": ["b"], "test": ["a", "c", "d"], "trainval": ["d"]}


@pytest.mark.parametrize(("kind", "parted"), [("voc", 0), ("coco", 3), ("yolo", 3)])
def test_pictures_of_several_splits_are_counted_where_each_gets_a_file(make_voc, tmp_path, kind, parted):
    """Then no rule tells any more that what is asked is not to be learnt; VOC's lists name one file."""
    root = make_voc(
        {name: [("cat", (1, 1, 9, 9))] for name in "abcdef"},
        {"train": ["a", "b", "c", "d"], "val": ["d", "e"], "trainval": ["a", "d", "e"], "test": ["a", "b", "f"]},
    )
    converted = convert([root], tmp_path / kind, kind)
    assert converted.parted == parted
    told = (
        ", 3 pictures in several splits with a file in each: take them out of all but one (frcnn data check names them)"
    )
    assert converted.describe() == f"{tmp_path / kind}: 6 pictures, 6 objects{told if parted else ''}"


def test_a_file_that_is_in_several_of_cocos(tmp_path):
    """Each has an entry of its own, and so a file in the new set, in VOC's layout too."""
    source = coco_set(tmp_path)
    part = source / "annotations/instances_val2017.json"
    other = json.loads(part.read_text())
    other["images"][0]["file_name"] = "../val2017/000000000139.jpg"
    (source / "annotations/instances_train2017.json").write_text(json.dumps(other))
    (source / "train2017").mkdir()
    for kind in KINDS:
        assert convert([source], tmp_path / f"to_{kind}", kind).parted == 1


@pytest.mark.parametrize("others", [{}, {"test": ["b"]}, {"trainval": ["b"]}])
def test_train_stays_train(make_voc, tmp_path, others):
    """Without a val; who reads YOLO's file elsewhere finds one all the same, and here a part can be held out."""
    root = make_voc({name: [("cat", (1, 1, 9, 9))] for name in "abc"}, {"train": ["a", "c"]} | others)
    convert([root], tmp_path / "yolo", "yolo")
    assert "train: images/train\nval: images/train\n" in (tmp_path / "yolo/data.yaml").read_text()
    convert([tmp_path / "yolo"], tmp_path / "voc", "voc")
    for kind in ("yolo", "voc"):
        assert sorted(index_of(tmp_path / kind).splits) == sorted({"train": [], **others})
        assert check_dataset([tmp_path / kind]).errors == []
        assert [len(part) for part in training_splits([tmp_path / kind], 0.5, 0) if part is not None] == [
            len(part) for part in training_splits([root], 0.5, 0) if part is not None
        ]


def test_a_val_that_is_train_stays_one(make_voc, tmp_path):
    """As many a YAML has it."""
    root = make_voc({"a": [("cat", (1, 1, 9, 9))]}, {"train": ["a"]})
    convert([root], tmp_path / "yolo", "yolo")
    path = tmp_path / "yolo/data.yaml"
    path.write_text(path.read_text().replace("val_is_train: true\n", ""))
    convert([tmp_path / "yolo"], tmp_path / "coco", "coco")
    assert sorted(index_of(tmp_path / "coco").splits) == ["train", "val"]


def test_a_val_that_is_chosen_later_is_one(make_voc, tmp_path):
    """Whatever the file said of it when it was train."""
    root = make_voc({name: [("cat", (1, 1, 9, 9))] for name in "ab"}, {"train": ["a"], "test": ["b"]})
    convert([root], tmp_path / "yolo", "yolo")
    path = tmp_path / "yolo/data.yaml"
    path.write_text(path.read_text().replace("val: images/train", "val: images/test"))
    assert sorted(index_of(tmp_path / "yolo").splits) == ["test", "train", "val"]


def test_what_is_lost_is_said(voc, tmp_path):
    converted = convert([voc], tmp_path / "yolo", "yolo")
    assert (converted.pictures, converted.objects, converted.lost_flags) == (3, 3, 1)
    assert converted.describe() == (
        f"{tmp_path / 'yolo'}: 3 pictures, 3 objects, 1 of them no longer marked as difficult or crowds"
    )


def test_annotations_that_no_list_names_are_counted(make_voc, tmp_path):
    names = {name: [("cat", (1, 1, 9, 9))] for name in "abcd"}
    root = make_voc(names, {"train": ["a", "c"]})
    converted = convert([root], tmp_path / "coco", "coco")
    assert converted.describe() == f"{tmp_path / 'coco'}: 2 pictures, 2 objects, 2 annotations in no split left out"
    assert convert([tmp_path / "coco"], tmp_path / "voc", "voc").unlisted == 0
    assert convert([make_voc(names, name="other")], tmp_path / "all", "coco").unlisted == 0


def test_pictures_are_copies_unless_links_are_asked_for(voc, tmp_path):
    convert([voc], tmp_path / "copies", "coco")
    convert([voc], tmp_path / "links", "coco", pictures="link")
    original = voc / "JPEGImages/000012.jpg"
    assert (tmp_path / "copies/train/000012.jpg").read_bytes() == original.read_bytes()
    assert not (tmp_path / "copies/train/000012.jpg").samefile(original)
    assert (tmp_path / "links/train/000012.jpg").samefile(original)


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_look_the_same_become_two(tmp_path, kind):
    """A list that names both forms of an accented letter would name one picture twice."""
    source = coco_set(tmp_path)
    part = source / "annotations/instances_val2017.json"
    content = json.loads(part.read_text())
    (image,) = content["images"]
    names = [unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD")]
    for name in names:
        Image.new("RGB", (64, 48)).save(source / "val2017" / name)
    content["images"] = [
        image | {"id": number, "file_name": name} for name, number in zip(names, (139, 140), strict=True)
    ]
    part.write_text(json.dumps(content))
    convert([source], tmp_path / "new", kind)
    index = index_of(tmp_path / "new")
    assert sorted(np.diff(index.first_object).tolist()) == [0, 3]
    assert len({unicodedata.normalize("NFC", index.picture_names[number]) for number in (0, 1)}) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "expected"),
    [("a .jpg", "a.jpg"), ("._a.jpg", "_a.jpg"), ("a.x", "a.jpg"), ("a\nb.PNG", "a b.PNG"), (" .jpg", "picture.jpg")],
)
def test_names_that_a_format_cannot_hold_become_others(tmp_path, kind, name, expected):
    source = coco_set(tmp_path)
    (source / "val2017/000000000139.jpg").rename(source / "val2017" / name)
    part = source / "annotations/instances_val2017.json"
    part.write_text(part.read_text().replace('"000000000139.jpg"', json.dumps(name)))
    convert([source], tmp_path / "new", kind)
    (example,) = load_dataset([tmp_path / "new"], "val").examples
    assert (example.picture.name, len(example.target.boxes)) == (expected, 3)


class TestRefusals:
    @pytest.mark.parametrize("size", [[0.6, 5], [5, 1]])
    def test_boxes_that_voc_cannot_hold(self, tmp_path, size):
        """Its corners name the last pixel: from a pixel on they are the same, and its readers see no area."""
        source = coco_set(tmp_path)
        part = source / "annotations/instances_val2017.json"
        part.write_text(part.read_text().replace("[5, 5, 6, 7]", json.dumps([5, 5, *size])))
        message = r"of object 3 \(car\) is not wider and higher than a pixel, as VOC's format needs it: mend it"
        with pytest.raises(DataError, match=message):
            convert([source], tmp_path / "voc", "voc")
        converted = convert([source], tmp_path / "voc", "voc", bad_boxes="skip")
        assert (converted.objects, converted.skipped_boxes) == (2, 1)
        assert len(load_dataset([tmp_path / "voc"], "val").examples[0].target.boxes) == 2
        assert convert([source], tmp_path / "yolo", "yolo").objects == 3

    def test_bad_boxes_are_refused_or_left_out(self, make_voc, tmp_path):
        root = make_voc({"a": [("cat", (9, 1, 5, 9)), ("dog", (1, 1, 5, 5))]}, {"train": ["a"]})
        with pytest.raises(DataError, match=r"object 1 \(cat\) has no area"):
            convert([root], tmp_path / "out", "coco")
        assert not (tmp_path / "out").exists()
        converted = convert([root], tmp_path / "out", "coco", bad_boxes="skip")
        assert (converted.objects, converted.skipped_boxes) == (1, 1)
        assert index_of(tmp_path / "out").class_names == ("cat", "dog")

    def test_a_folder_in_use(self, voc, tmp_path):
        (tmp_path / "used").mkdir()
        (tmp_path / "used/mine.txt").touch()
        with pytest.raises(UsageError, match="used: is there already and not empty"):
            convert([voc], tmp_path / "used", "coco")
        with pytest.raises(UsageError, match="is a file"):
            convert([voc], tmp_path / "used/mine.txt", "coco")
        assert [path.name for path in (tmp_path / "used").iterdir()] == ["mine.txt"]

    def test_a_folder_in_the_data_set(self, voc, tmp_path):
        """There it would be found as a second one; pictures may lie elsewhere than the file that is named."""
        with pytest.raises(UsageError, match=f"x: lies in {voc}, which is not to be touched: name a folder elsewhere"):
            convert([voc], voc / "x", "coco")
        root = coco_set(tmp_path)
        with pytest.raises(UsageError, match="x: lies in "):
            convert([root / "annotations/instances_val2017.json"], root / "val2017/x", "voc")
        assert not list(tmp_path.rglob("x*"))

    def test_no_picture(self, make_voc, tmp_path):
        root = make_voc({"a": [("cat", (1, 1, 9, 9))]}, {"default": ["a"]}, name="cvat")
        with pytest.raises(DataError, match=r"there is no picture in any split; there is none: .* but default\.txt"):
            convert([root], tmp_path / "out", "coco")
        path = tmp_path / "empty/train.json"
        path.parent.mkdir()
        path.write_text('{"images": [], "annotations": [], "categories": []}')
        with pytest.raises(DataError, match=r"there is no picture in any split; there is train \(empty\)"):
            convert([path], tmp_path / "out", "voc")
        assert not (tmp_path / "out").exists()

    def test_a_missing_picture(self, voc, tmp_path):
        (voc / "JPEGImages/000007.jpg").unlink()
        with pytest.raises(DataError, match=r"000007\.jpg is missing"):
            convert([voc], tmp_path / "out", "yolo")
        assert not list(tmp_path.glob(".out*"))


def test_a_kill_leaves_nothing_that_looks_whole(voc, tmp_path):
    """What it leaves aside is cleared by the next one."""
    script = (
        "import os, sys, pathlib\n"
        "import frcnn.data.convert as c\n"
        "c._bring = lambda *a: os.kill(os.getpid(), 9)\n"
        "c.convert([pathlib.Path(sys.argv[1])], pathlib.Path(sys.argv[2]), 'coco')\n"
    )
    command = [sys.executable, "-c", script, str(voc), str(tmp_path / "out")]
    assert subprocess.run(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}).returncode == -9
    assert not (tmp_path / "out").exists()
    convert([voc], tmp_path / "out", "coco")
    assert len(index_of(tmp_path / "out")) == 3
    assert not list(tmp_path.glob(".out*"))
