"""What YOLO's files say, with lines; the faults are planted in test_check.py."""

from pathlib import Path

import pytest
from data_sets import name_of, write_yolo

from frcnn.data.checking.statements import SetSaid
from frcnn.data.checking.yolo_statements import take_down_yolo
from frcnn.data.yolo import recognise_yolo


def said(root: Path) -> SetSaid:
    found = recognise_yolo(root)
    assert found is not None
    return take_down_yolo(found)


def test_everything_with_its_line(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "set")
    label = root / "labels/train/p02.txt"
    label.write_text("\n1 0.5 0.25 0.5 0.125 0.9\n\n0 0.1 0.2 0.3 0.2 0.3 0.6\n")
    of_set = said(root)
    assert of_set.findings == ()
    rows = of_set.objects.picture == 2
    assert of_set.objects.line[rows].tolist() == [2, 4]
    assert of_set.objects.class_id[rows].tolist() == [1, 0]
    assert of_set.objects.numbers[rows][0].tolist() == [0.5, 0.25, 0.5, 0.125]
    assert of_set.objects.numbers[rows][1].tolist() == pytest.approx([0.2, 0.4, 0.2, 0.4])


def test_what_is_hidden_has_no_faults(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "set")
    for folder, suffix in (("images", ".jpg"), ("labels", ".txt")):
        copies = root / folder / "train/.ipynb_checkpoints"
        copies.mkdir()
        (copies / f"p02-checkpoint{suffix}").write_bytes((root / folder / f"train/p02{suffix}").read_bytes())
    (root / "labels/train/.ipynb_checkpoints/p03-checkpoint.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    assert said(root).findings == ()


def test_points_of_a_pose_are_passed_over(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "set")
    with (root / "data.yaml").open("a") as file:
        file.write("kpt_shape: [1, 2]\n")
    (root / "labels/train/p02.txt").write_text("1 0.5 0.25 0.5 0.125 0.9 0.9\n")
    of_set = said(root)
    assert of_set.findings == ()
    (row,) = of_set.objects.rows_of(2)
    assert of_set.objects.numbers[row].tolist() == [0.5, 0.25, 0.5, 0.125]


def test_what_is_no_number_is_told_as_it_stands_in_the_file(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "set")
    (root / "labels/train/p02.txt").write_text("1 0.5  nan 0.5 1e999\n")
    of_set = said(root)
    (row,) = of_set.objects.rows_of(2)
    assert of_set.written_box(int(row)) == "0.5  nan 0.5 1e999"


def test_a_list_of_pictures(tmp_path: Path) -> None:
    """A picture that a list names and that is missing has the list's line; what no list names is counted."""
    root = write_yolo(tmp_path / "set")
    (root / "train.txt").write_text("images/train/p00.jpg\n\nimages/train/absent.jpg\n")
    text = (root / "data.yaml").read_text().replace("train: images/train", "train: train.txt")
    (root / "data.yaml").write_text(text)
    of_set = said(root)
    assert [finding.kind for finding in of_set.findings] == ["annotation in no split"]
    assert of_set.findings[0].message.startswith("35 annotations in no split (p01.txt, ")
    absent = next(picture for picture in of_set.pictures if not picture.is_there)
    assert (absent.path.name, absent.line) == ("absent.jpg", 3)


def test_notes_beside_the_labels_are_no_labels(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "set")
    (root / "labels/train/README.txt").write_text("made by hand\n")
    (root / "labels/train/classes.txt").write_text("circle\nsquare\n")
    (root / "labels/train/empty.txt").touch()
    assert said(root).findings == ()


def test_without_names_any_number_is_a_class(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "set")
    (root / "data.yaml").unlink()
    (root / "labels/train" / f"{name_of(1)}.txt").write_text("17 0.5 0.5 0.2 0.2\n")
    of_set = said(root)
    assert of_set.findings == ()
    assert set(of_set.class_names) == {"0", "1", "17"}
