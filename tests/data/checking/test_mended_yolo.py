"""A mended copy of a YOLO set, by hand: lines, and the YAML file."""

from pathlib import Path

import pytest
import yaml
from data_sets import name_of, write_voc, write_yolo
from mended_sets import boxes, log, mend
from plants import YOLO_PLANTS, plant_label

from frcnn.data.checking.check import check_dataset
from frcnn.data.convert import convert
from frcnn.data.dataset import load_dataset
from frcnn.errors import DataError


def test_by_hand(tmp_path: Path) -> None:
    root, target = write_yolo(tmp_path / "set"), tmp_path / "copy"
    for number, plant in enumerate(("pixels", "outside", "swapped", "four numbers")):
        YOLO_PLANTS[plant](root, name_of(7 + number))
    mend(root, target)
    tolerance = 1e-4  # pixels: fractions are written with six digits in the old files
    assert boxes(target, "train", name_of(7))[1] == pytest.approx([48, 40, 80, 56], abs=tolerance)
    assert boxes(target, "train", name_of(8))[1] == pytest.approx([89.6, 38.4, 128, 57.6], abs=tolerance)
    assert boxes(target, "train", name_of(9))[1] == pytest.approx([51.2, 38.4, 76.8, 57.6], abs=tolerance)
    assert len(boxes(target, "train", name_of(10))) == 2


def test_a_box_that_could_be_mended_in_two_ways_is_left_out(tmp_path: Path) -> None:
    """As centre and size it leaves its picture, as corners it does not: clipped it would be half of nobody's box."""
    root, target = write_yolo(tmp_path / "set"), tmp_path / "copy"
    plant_label("error", "outside", "0 0.6 0.6 0.9 0.95")(root, name_of(7))
    assert "; or is it (left, top, right, bottom)?" in check_dataset([root]).errors[0].message
    mended = mend(root, target)
    assert len(boxes(target, "train", name_of(7))) == 2
    (row,) = log(target)
    assert (row["kind"], row["line"], row["done"]) == ("outside", "2", "no")
    assert row["what"].endswith("left out: is it (centre x, centre y, width, height) or (left, top, right, bottom)?")
    assert len(mended.left) == 1


def test_the_copy_does_not_speak_of_the_original(tmp_path: Path) -> None:
    root, target = write_yolo(tmp_path / "set"), tmp_path / "copy"
    mend(root, target)
    content = yaml.safe_load((target / "data.yaml").read_text())
    assert content == {
        "train": "images/train",
        "val": "images/val",
        "test": "images/test",
        "names": content["names"],
    }


def test_pictures_beside_the_folder_of_the_yaml(tmp_path: Path) -> None:
    root, target = write_yolo(tmp_path / "set"), tmp_path / "copy"
    (root / "config").mkdir()
    content = yaml.safe_load((root / "data.yaml").read_text())
    del content["path"]
    places = {split: f"../images/{split}" for split in ("train", "val", "test")}
    (root / "config/data.yaml").write_text(yaml.safe_dump(content | places))
    (root / "data.yaml").unlink()
    mend(root / "config/data.yaml", target)
    assert len(load_dataset([target / "config/data.yaml"], "train")) == 36


def test_a_folder_that_is_two_splits(tmp_path: Path) -> None:
    """What is validated on is not learnt: `val` keeps the folder, of `train` nothing is left but its list."""
    root, target = write_yolo(tmp_path / "set"), tmp_path / "copy"
    content = yaml.safe_load((root / "data.yaml").read_text())
    (root / "data.yaml").write_text(yaml.safe_dump(content | {"train": ["images/train", "images/val"]}))
    assert {fault.kind for fault in check_dataset([root]).errors} == {"in two splits"}
    mend(root, target)
    assert check_dataset([target]).errors == []
    assert [len(load_dataset([target], split)) for split in ("train", "val")] == [36, 6]


def test_a_val_that_is_test(tmp_path: Path) -> None:
    """What is asked last keeps its folder; of `val` nothing is left but its list."""
    root, target = write_yolo(tmp_path / "set"), tmp_path / "copy"
    content = yaml.safe_load((root / "data.yaml").read_text())
    (root / "data.yaml").write_text(yaml.safe_dump(content | {"val": content["test"]}))
    assert {fault.kind for fault in check_dataset([root]).errors} == {"in two splits"}
    assert mend(root, target).errors == ()
    content = yaml.safe_load((target / "data.yaml").read_text())
    assert (content["val"], content["test"]) == ("val.txt", "images/test")
    assert (target / "val.txt").read_text() == ""
    assert len(load_dataset([target], "test")) == 6


def test_a_val_that_is_train_cannot_be_mended(tmp_path: Path) -> None:
    """What is asked is taken out of what is learnt, so that nothing would be learnt."""
    root = write_yolo(tmp_path / "set")
    content = yaml.safe_load((root / "data.yaml").read_text())
    (root / "data.yaml").write_text(yaml.safe_dump(content | {"val": content["train"]}))
    with pytest.raises(DataError) as caught:
        mend(root, tmp_path / "copy")
    assert str(caught.value) == (
        f"{root}: cannot be mended: all pictures of train are in val or test as well, so that none would be left to "
        "learn: give these others, or take val out, so that a part is held out"
    )
    assert not (tmp_path / "copy").exists()


def test_train_and_val_that_are_but_other_names_of_trainval(tmp_path: Path) -> None:
    """As our own writer has it for programs that know no trainval."""
    root, target = tmp_path / "set", tmp_path / "copy"
    convert([write_voc(tmp_path / "voc", {"trainval": range(6), "test": [6, 7]})], root, "yolo")
    (root / "images/trainval/p06.jpg").write_bytes((root / "images/test/p06.jpg").read_bytes())
    assert {fault.kind for fault in check_dataset([root]).errors} == {"picture in two splits"}
    mend(root, target)
    content = yaml.safe_load((target / "data.yaml").read_text())
    assert content["train"] == content["val"] == content["trainval"] == "images/trainval"
    assert check_dataset([target]).errors == []
    assert [len(load_dataset([target], split)) for split in ("trainval", "test")] == [6, 2]


def test_a_list_of_trainval_has_its_other_names_too(tmp_path: Path) -> None:
    root, target = tmp_path / "set", tmp_path / "copy"
    convert([write_voc(tmp_path / "voc", {"trainval": range(6), "test": [6, 7]})], root, "yolo")
    path = root / "data.yaml"
    path.write_text(path.read_text().replace("test: images/test", "test:\n- images/test\n- list.txt"))
    (root / "list.txt").write_text("images/trainval/p00.jpg\n")
    assert {fault.kind for fault in check_dataset([root]).errors} == {"in two splits"}
    mend(root, target)
    content = yaml.safe_load((target / "data.yaml").read_text())
    assert content["train"] == content["val"] == content["trainval"] == "trainval.txt"
    assert check_dataset([target]).errors == []
    assert [len(load_dataset([target], split)) for split in ("trainval", "test")] == [5, 3]


def test_a_val_that_is_but_another_name_of_train(tmp_path: Path) -> None:
    """As our own writer says it: it is no split of its own, in the copy neither."""
    root, target = tmp_path / "set", tmp_path / "copy"
    convert([write_voc(tmp_path / "voc", {"train": range(6), "test": [6, 7]})], root, "yolo")
    (root / "images/train/p06.jpg").write_bytes((root / "images/test/p06.jpg").read_bytes())
    mend(root, target)
    content = yaml.safe_load((target / "data.yaml").read_text())
    assert content["train"] == content["val"] == "images/train"
    assert check_dataset([target]).errors == []
    assert [len(load_dataset([target], split)) for split in ("train", "test")] == [6, 2]


def write_poses(root: Path, lines: str) -> Path:
    """What other programs want of a set of poses; `lines` are those of one picture."""
    write_yolo(root)
    with (root / "data.yaml").open("a") as file:
        file.write("nc: 2\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\nversion: 1.10\nlicense: '0x10'\nday: 2024-02-31\n")
    (root / "labels/train" / f"{name_of(7)}.txt").write_text(lines)
    return root


def test_what_others_ask_of_the_yaml_file_stays_as_it_is_written(tmp_path: Path) -> None:
    """Numbers are numbers and text is text; and a date that is none stops nobody who does not ask for it."""
    root, target = write_poses(tmp_path / "set", "0 0.5 0.5 0.2 0.2\n"), tmp_path / "copy"
    mend(root, target)
    before, after = ((folder / "data.yaml").read_text().split("nc: 2\n")[1] for folder in (root, target))
    assert after == before


def test_keypoints_follow_a_box_that_is_clipped(tmp_path: Path) -> None:
    points = "0.91 0.5 2 0.99 0.6 1"
    lines = f"1 0.5 0.5 0.2 0.2 {points}\n0 0.9 0.5 0.4 0.2 {points}\n"
    root, target = write_poses(tmp_path / "set", lines), tmp_path / "copy"
    assert mend(root, target).errors == ()
    text = (target / "labels/train" / f"{name_of(7)}.txt").read_text()
    assert text == f"1 0.5 0.5 0.2 0.2 {points}\n0 0.85 0.5 0.3 0.2 {points}\n"


def test_keypoints_in_pixels_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    root, target = write_poses(tmp_path / "set", "0 64 48 32 16 60 48 2 70 48 2\n"), tmp_path / "copy"
    mend(root, target)
    assert len((target / "labels/train" / f"{name_of(7)}.txt").read_text().split()) == 5
    assert [row["what"] for row in log(target)] == [
        "the object (circle), the box (64, 48, 32, 16): converted, without its keypoints"
    ]


def test_names_stay_as_they_are_written(tmp_path: Path) -> None:
    """To YAML 1.1 they would be False and True; others want `nc` to be a number."""
    root, target = write_yolo(tmp_path / "set"), tmp_path / "copy"
    (root / "data.yaml").rename(root / "mine.yaml")
    places = "".join(f"{split}: images/{split}\n" for split in ("train", "val", "test"))
    (root / "mine.yaml").write_text(f"{places}nc: 2\nnames: [no, yes]\n")
    mend(root, target)
    assert load_dataset([target], "train").class_names == ("no", "yes")
    content = yaml.safe_load((target / "mine.yaml").read_text())
    assert (content["names"], content["nc"]) == ({0: "no", 1: "yes"}, 2)


def test_below_folders_called_images(tmp_path: Path) -> None:
    """Text files that lie beside their pictures do so in the copy too."""
    root, target = write_yolo(tmp_path / "images/set"), tmp_path / "images/copy"
    for picture in list(root.rglob("*.jpg")):
        picture.rename(root / picture.name)
    for label in list(root.rglob("p*.txt")):
        label.rename(root / label.name)
    for name in ("images/train", "images/val", "images/test", "images"):
        (root / name).rmdir()
    (root / "data.yaml").unlink()
    assert check_dataset([root]).errors == []
    mend(root, target)
    assert check_dataset([target]).findings == check_dataset([root]).findings
    assert (target / f"{name_of(3)}.txt").read_text() == (root / f"{name_of(3)}.txt").read_text()
