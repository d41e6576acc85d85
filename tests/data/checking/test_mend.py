"""Mended copies: without errors, with everything else as it was, and the originals as they were."""

import csv
import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from data_sets import (
    COCO_PLANTS,
    HEIGHT,
    LIST_PLANTS,
    VOC_PLANTS,
    WIDTH,
    YOLO_PLANTS,
    Plant,
    image_id_again,
    name_of,
    skip_without,
    things,
    torn_json,
    turn,
    write_annotation,
    write_coco,
    write_coco_file,
    write_voc,
    write_yolo,
)
from PIL import Image

from frcnn.data.checking.check import check_dataset, examine_paths
from frcnn.data.checking.mend import Mended, mend_dataset, refuse_target
from frcnn.data.dataset import load_dataset
from frcnn.data.pictures import read_picture
from frcnn.errors import DataError, UsageError


def mend(root: Path, target: Path) -> Mended:
    return mend_dataset(*examine_paths([root]), target)


def contents(folder: Path) -> dict[str, str]:
    """A digest of each file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def boxes(root: Path, split: str, name: str) -> list[list[float]]:
    """As training reads them."""
    examples = load_dataset([root], split).examples
    return next(example for example in examples if example.picture.stem == name).target.boxes.tolist()


def log(folder: Path) -> list[dict[str, str]]:
    with (folder / "mended.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


SETS = [(write_voc, VOC_PLANTS | LIST_PLANTS), (write_coco, COCO_PLANTS), (write_yolo, YOLO_PLANTS)]


@pytest.mark.parametrize(("write", "plants"), SETS, ids=["voc", "coco", "yolo"])
class TestEveryFormat:
    def test_after_all_faults_at_once_the_copy_has_no_error(self, tmp_path: Path, write, plants: dict[str, Plant]):
        root, target = write(tmp_path / "set"), tmp_path / "copy"
        faults = [plant(root, name_of(2 + number)) for number, plant in enumerate(plants.values())]
        before = contents(root)
        mended = mend(root, target)
        assert contents(root) == before
        assert mended.errors == ()
        assert check_dataset([target]).errors == []
        for split in ("train", "val", "test"):
            assert len(load_dataset([target], split)) > 0  # training takes it
        told = {(row["kind"], row["file"]) for row in log(target)}
        for fault in faults:
            if fault.severity == "error":
                assert fault.kind in {kind for kind, _ in told}

    def test_a_clean_set_is_copied_as_it_is(self, tmp_path: Path, write, plants: dict[str, Plant]):  # noqa: ARG002
        root, target = write(tmp_path / "set"), tmp_path / "copy"
        (root / "LICENSE").write_text("mine")
        mended = mend(root, target)
        assert mended.deeds == ()
        assert log(target) == []
        copied = contents(target)
        del copied["mended.csv"]
        assert copied.keys() == contents(root).keys()
        written_anew = {name for name, digest in contents(root).items() if copied[name] != digest}
        assert all(name.endswith((".json", ".yaml")) for name in written_anew)
        for split in ("train", "val", "test"):
            old, new = load_dataset([root], split), load_dataset([target], split)
            assert old.class_names == new.class_names
            pairs = [*zip(old.examples, new.examples, strict=True)]
            assert all((a.picture.name, a.size) == (b.picture.name, b.size) for a, b in pairs)
            assert all(a.target.boxes.tolist() == b.target.boxes.tolist() for a, b in pairs)
            assert all(a.target.class_ids.tolist() == b.target.class_ids.tolist() for a, b in pairs)


class TestVoc:
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
    def test_boxes(self, tmp_path: Path, plant: str, expected: list[float] | None) -> None:
        """By hand: VOC's (100, 40, 60, 20) ends at 100 and 40 and begins at 60 and 20, half-open at 59 and 19."""
        root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
        VOC_PLANTS[plant](root, name_of(7))
        mend(root, target)
        first, _, third = ([float(corner) for corner in box] for _, box in things(7))
        found = boxes(target, "train", name_of(7))
        np.testing.assert_allclose(found, [first, third] if expected is None else [first, expected, third], rtol=1e-6)

    def test_another_layout(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
        VOC_PLANTS["other layout"](root, name_of(7))
        mend(root, target)
        assert boxes(target, "train", name_of(7)) == [[60, 40, 80, 50], [80, 50, 92, 64], [30, 70, 48, 81]]

    def test_a_whole_set_in_another_layout(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
        for path in (root / "Annotations").iterdir():
            as_sizes = [(kind, (x1, y1, x2 - x1, y2 - y1)) for kind, (x1, y1, x2, y2) in things(int(path.stem[1:]))]
            write_annotation(root, path.stem, as_sizes)
        (fault,) = check_dataset([root]).errors
        assert (fault.kind, fault.file) == ("other layout", root)
        mend(root, target)
        assert boxes(target, "val", name_of(37)) == [[float(corner) for corner in box] for _, box in things(37)]

    @pytest.mark.parametrize("orientation", range(5, 9))
    def test_a_rotation_that_was_not_seen(self, tmp_path: Path, orientation: int) -> None:
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

    def test_a_picture_that_was_made_smaller(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
        VOC_PLANTS["smaller picture"](root, name_of(7))
        mend(root, target)
        assert boxes(target, "train", name_of(7)) == [[corner / 2 for corner in box] for _, box in things(7)]
        assert "<width>64</width>" in (target / "Annotations/p07.xml").read_text()

    @pytest.mark.parametrize("plant", ["cmyk", "16 bit"])
    def test_pictures_are_stored_as_rgb(self, tmp_path: Path, plant: str) -> None:
        root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
        path = VOC_PLANTS[plant](root, name_of(7)).file
        mend(root, target)
        with Image.open(target / path.relative_to(root)) as image:
            assert image.mode == "RGB"
        old, new = (np.asarray(read_picture(file), float) for file in (path, target / path.relative_to(root)))
        assert np.abs(old - new).mean() < 3  # of 255: JPEG stored once more
        assert check_dataset([target]).findings == ()

    def test_what_is_learnt_and_asked_is_only_asked(self, tmp_path: Path) -> None:
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

    def test_names_are_spelt_alike(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
        VOC_PLANTS["misspelt"](root, name_of(7))
        mend(root, target)
        assert load_dataset([target], "train").class_names == ("circle", "square")

    def test_what_cannot_be_decided_is_left_and_named(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
        for number, plant in enumerate(("two classes", "wrong size", "gif", "alike")):
            VOC_PLANTS[plant](root, name_of(7 + number))
        mended = mend(root, target)
        assert {deed.kind for deed in mended.left} == {
            "two classes",
            "other size",
            "several frames",
            "duplicate picture",
        }
        assert {row["done"] for row in log(target)} == {"no"}
        assert contents(target / "Annotations") == contents(root / "Annotations")
        assert contents(target / "JPEGImages") == contents(root / "JPEGImages")

    def test_what_else_an_annotation_says_stays(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
        path = VOC_PLANTS["swapped"](root, name_of(7)).file
        path.write_text(
            path.read_text().replace("<name>circle", "<pose>Left</pose><difficult>1</difficult><name>circle")
        )
        mend(root, target)
        text = (target / "Annotations/p07.xml").read_text()
        assert "<pose>Left</pose><difficult>1</difficult><name>circle</name>" in text


class TestCoco:
    def test_by_hand(self, tmp_path: Path) -> None:
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

    def test_ids_are_told_apart(self, tmp_path: Path) -> None:
        root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
        COCO_PLANTS["annotation id again"](root, name_of(7))
        mend(root, target)
        items = json.loads((target / "annotations/instances_train2017.json").read_text())["annotations"]
        assert len({item["id"] for item in items}) == len(items) == 108

    def test_pictures_of_one_id_are_left_out(self, tmp_path: Path) -> None:
        root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
        image_id_again(root, name_of(7))
        mend(root, target)
        names = {example.picture.stem for example in load_dataset([target], "train").examples}
        assert len(names) == 34
        assert names.isdisjoint({name_of(6), name_of(7)})

    def test_categories_that_are_spelt_in_two_ways_become_one(self, tmp_path: Path) -> None:
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

    def test_outlines_go_where_they_would_not_fit(self, tmp_path: Path) -> None:
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

    def test_a_torn_file_is_left_out(self, tmp_path: Path) -> None:
        root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
        torn_json(root, "")
        mend(root, target)
        assert check_dataset([target]).summary.pictures == {"val": 6, "test": 6}

    def test_nothing_but_torn_files(self, tmp_path: Path) -> None:
        root, target = write_coco(tmp_path / "set"), tmp_path / "copy"
        torn_json(root, "")
        with pytest.raises(DataError, match="cannot be mended"):
            mend(root / "annotations/instances_train2017.json", target)
        assert not target.exists()


class TestYolo:
    def test_by_hand(self, tmp_path: Path) -> None:
        root, target = write_yolo(tmp_path / "set"), tmp_path / "copy"
        for number, plant in enumerate(("pixels", "outside", "swapped", "four numbers")):
            YOLO_PLANTS[plant](root, name_of(7 + number))
        mend(root, target)
        tolerance = 1e-4  # pixels: fractions are written with six digits in the old files
        assert boxes(target, "train", name_of(7))[1] == pytest.approx([48, 40, 80, 56], abs=tolerance)
        assert boxes(target, "train", name_of(8))[1] == pytest.approx([89.6, 38.4, 128, 57.6], abs=tolerance)
        assert boxes(target, "train", name_of(9))[1] == pytest.approx([51.2, 38.4, 76.8, 57.6], abs=tolerance)
        assert len(boxes(target, "train", name_of(10))) == 2

    def test_the_copy_does_not_speak_of_the_original(self, tmp_path: Path) -> None:
        root, target = write_yolo(tmp_path / "set"), tmp_path / "copy"
        mend(root, target)
        content = yaml.safe_load((target / "data.yaml").read_text())
        assert content == {
            "train": "images/train",
            "val": "images/val",
            "test": "images/test",
            "names": content["names"],
        }

    def test_pictures_beside_the_folder_of_the_yaml(self, tmp_path: Path) -> None:
        root, target = write_yolo(tmp_path / "set"), tmp_path / "copy"
        (root / "config").mkdir()
        content = yaml.safe_load((root / "data.yaml").read_text())
        del content["path"]
        places = {split: f"../images/{split}" for split in ("train", "val", "test")}
        (root / "config/data.yaml").write_text(yaml.safe_dump(content | places))
        (root / "data.yaml").unlink()
        mend(root / "config/data.yaml", target)
        assert len(load_dataset([target / "config/data.yaml"], "train")) == 36

    def test_a_folder_that_is_two_splits(self, tmp_path: Path) -> None:
        """What is validated on is not learnt: `val` keeps the folder, of `train` nothing is left but its list."""
        root, target = write_yolo(tmp_path / "set"), tmp_path / "copy"
        content = yaml.safe_load((root / "data.yaml").read_text())
        (root / "data.yaml").write_text(yaml.safe_dump(content | {"train": ["images/train", "images/val"]}))
        assert {fault.kind for fault in check_dataset([root]).errors} == {"in two splits"}
        mend(root, target)
        assert check_dataset([target]).errors == []
        assert [len(load_dataset([target], split)) for split in ("train", "val")] == [36, 6]


class TestFolders:
    def test_several_sets_go_beside_one_another(self, tmp_path: Path) -> None:
        first, second = write_voc(tmp_path / "a/VOC"), write_voc(tmp_path / "b/VOC", {"train": [50, 51]})
        target = tmp_path / "copy"
        mend_dataset(*examine_paths([first, second]), target)
        assert sorted(path.name for path in target.iterdir()) == ["VOC", "VOC_2", "mended.csv"]
        assert len(load_dataset([target], "train")) == 36 + 2

    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set", {"train": [0, 1]}), tmp_path / "copy"
        target.mkdir()
        (target / "mine.txt").touch()
        with pytest.raises(UsageError, match="is there already and not empty"):
            refuse_target([root], target)
        with pytest.raises(UsageError, match="is there already and not empty"):
            mend(root, target)

    @pytest.mark.parametrize("below", [".", "mended", "JPEGImages/mended"])
    def test_not_into_the_original(self, tmp_path: Path, below: str) -> None:
        root = write_voc(tmp_path / "set", {"train": [0, 1]})
        with pytest.raises(UsageError):
            refuse_target([root], root / below)

    def test_not_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="is a file"):
            refuse_target([tmp_path / "set"], tmp_path / "file/copy")

    def test_an_empty_folder_will_do(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set", {"train": [0, 1]}), tmp_path / "copy"
        target.mkdir()
        refuse_target([root], target)
        mend(root, target)
        assert len(load_dataset([target], "train")) == 2

    def test_a_set_that_cannot_be_read(self, tmp_path: Path) -> None:
        root = write_yolo(tmp_path / "set")
        (root / "data.yaml").write_text("train: [\n")
        with pytest.raises(DataError, match="nothing can be mended before"):
            mend(root, tmp_path / "copy")

    @pytest.mark.slow
    def test_a_kill_leaves_no_copy_that_looks_whole(self, tmp_path: Path) -> None:
        root, target = write_voc(tmp_path / "set"), tmp_path / "copy"
        process = subprocess.run([sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(root), str(target)], check=False)
        assert process.returncode == -signal.SIGKILL
        (left,) = tmp_path.glob(".copy.*")
        assert 0 < len([*left.glob("copy/JPEGImages/*")]) < 48
        assert not target.exists()


KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
from frcnn.data.checking.check import examine_paths
from frcnn.data.checking.mend import mend_dataset

def progress(done, of):
    if done == 20:
        os.kill(os.getpid(), signal.SIGKILL)

root, target = map(Path, sys.argv[1:])
mend_dataset(*examine_paths([root]), target, progress)
"""


@pytest.mark.slow
def test_the_blood_smears(shared: Path, tmp_path: Path) -> None:
    root, target = skip_without(shared / "data/BCCD"), tmp_path / "copy"
    mended = mend(root, target)
    assert mended.errors == ()
    assert [(row["kind"], row["line"]) for row in log(target) if row["done"] == "yes"] == [
        ("no area", "163"),
        ("no area", "55"),
    ]
    assert contents(target / "JPEGImages") == contents(root / "JPEGImages")
    assert (target / "LICENSE").is_file()
