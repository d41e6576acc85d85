"""The doctor as a whole: each fault that was planted is found in its place, and none is imagined."""

import json
from pathlib import Path

import pytest
from data_sets import name_of, skip_without, write_coco, write_coco_file, write_voc, write_yolo
from plants import COCO_PLANTS, LIST_PLANTS, VOC_PLANTS, YOLO_PLANTS, Fault, Plant, image_id_again, only, torn_json

from frcnn.data.checking.check import Report, check_dataset
from frcnn.errors import DataError


def faults(report: Report) -> list[Fault]:
    return [Fault(finding.severity, finding.kind, finding.file, finding.line) for finding in report.findings]


@pytest.mark.parametrize("write", [write_voc, write_coco, write_yolo])
def test_a_clean_set_has_no_fault(tmp_path: Path, write) -> None:
    report = check_dataset([write(tmp_path / "set")])
    assert report.findings == ()
    assert report.summary.pictures == {"train": 36, "val": 6, "test": 6}
    assert report.summary.objects == {"train": 108, "val": 18, "test": 18}
    assert report.summary.classes["square"] == {"train": 72, "val": 12, "test": 12}


@pytest.mark.parametrize("plant", [*VOC_PLANTS.values(), *LIST_PLANTS.values()], ids=[*VOC_PLANTS, *LIST_PLANTS])
def test_a_fault_that_was_planted_is_found_alone_and_in_its_place(tmp_path: Path, plant: Plant) -> None:
    root = write_voc(tmp_path / "set")
    expected = plant(root, name_of(7))
    report = check_dataset([root])
    assert only(faults(report)) == expected
    message = report.findings[0].message
    assert ": " in message or "?" in message  # what to do
    assert "\n" not in message


def test_a_set_of_no_pictures_is_not_healthy(tmp_path: Path) -> None:
    """Of any kind: lists that are empty, and lists of another name."""
    voc = write_voc(tmp_path / "voc", {"train": [0]})
    (voc / "ImageSets/Main/train.txt").write_text("")
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": [], "categories": []}')
    (tmp_path / "yolo/images").mkdir(parents=True)
    (tmp_path / "yolo/data.yaml").write_text("train: images\nnames: [dog]\n")
    for path, root in ((voc, voc), (tmp_path / "coco.json", tmp_path), (tmp_path / "yolo", tmp_path / "yolo")):
        assert faults(check_dataset([path])) == [Fault("error", "no picture", root, None)]
    (voc / "ImageSets/Main/train.txt").rename(voc / "ImageSets/Main/default.txt")
    assert faults(check_dataset([voc])) == [Fault("error", "no split", voc / "ImageSets/Main", None)]


def test_all_faults_at_once(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set")
    expected = [plant(root, name_of(2 + number)) for number, plant in enumerate(VOC_PLANTS.values())]
    assert len(expected) >= 20
    assert sorted(faults(check_dataset([root])), key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("plant", COCO_PLANTS.values(), ids=COCO_PLANTS)
def test_in_coco(tmp_path: Path, plant: Plant) -> None:
    root = write_coco(tmp_path / "set")
    expected = plant(root, name_of(7))
    assert only(faults(check_dataset([root]))) == expected


@pytest.mark.parametrize("plant", YOLO_PLANTS.values(), ids=YOLO_PLANTS)
def test_in_yolo(tmp_path: Path, plant: Plant) -> None:
    root = write_yolo(tmp_path / "set")
    expected = plant(root, name_of(7))
    assert only(faults(check_dataset([root]))) == expected


@pytest.mark.parametrize(("write", "plants"), [(write_coco, COCO_PLANTS), (write_yolo, YOLO_PLANTS)])
def test_all_faults_at_once_in_the_other_formats(tmp_path: Path, write, plants: dict[str, Plant]) -> None:
    root = write(tmp_path / "set")
    expected = [plant(root, name_of(2 + number)) for number, plant in enumerate(plants.values())]
    assert sorted(faults(check_dataset([root])), key=str) == sorted(expected, key=str)


def test_of_a_torn_json_nothing_else_is_told(tmp_path: Path) -> None:
    """What of it could be read, says nothing about the rest."""
    root = write_coco(tmp_path / "set")
    expected = torn_json(root, "")
    report = check_dataset([root])
    assert faults(report) == [expected]
    assert report.summary.pictures == {"val": 6, "test": 6}


def test_two_images_of_one_id(tmp_path: Path) -> None:
    """Of neither is known what is in it, so nothing is told of their objects; those of the id that is gone are lost."""
    root = write_coco(tmp_path / "set")
    expected = image_id_again(root, name_of(7))
    found = faults(check_dataset([root]))
    assert expected in found
    assert [fault.kind for fault in found].count("unknown picture") == 3
    assert len(found) == 4


def test_two_images_of_one_file(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "set")
    path = root / "annotations/instances_train2017.json"
    lists = json.loads(path.read_text())
    lists["images"].append(lists["images"][3] | {"id": 5})
    write_coco_file(path, lists)
    assert only(faults(check_dataset([root]))) == Fault("warning", "listed twice", path, 2 + 36)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_annotations_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    root = write_voc(tmp_path / "set")
    expected = VOC_PLANTS["no area"](root, name_of(7))
    text = expected.file.read_text().replace("p07.jpg", "pé07.jpg")
    name = encoding.removesuffix("-sig")
    expected.file.write_text(f"<?xml version='1.0' encoding='{name}'?>{text}", encoding=encoding)
    assert only(faults(check_dataset([root]))) == expected


def test_an_encoding_that_nobody_knows(tmp_path: Path) -> None:
    """Korean files are read, though the parser alone does not know what they name."""
    root = write_voc(tmp_path / "set")
    path = root / "Annotations/p06.xml"
    path.write_text(f"<?xml version='1.0' encoding='euc-kr'?><!--사진-->{path.read_text()}", encoding="euc-kr")
    assert faults(check_dataset([root])) == []
    path = root / "Annotations/p07.xml"
    path.write_text(f"<?xml version='1.0' encoding='klingon'?>{path.read_text()}")
    assert only(faults(check_dataset([root]))) == Fault("error", "unreadable annotation", path, 1)


def test_sets_are_checked_together(tmp_path: Path) -> None:
    """What is learnt from one must not be asked in the other."""
    first, second = write_voc(tmp_path / "a"), write_coco(tmp_path / "b")
    report = check_dataset([first, second])
    leaks = [finding for finding in report.errors if finding.kind == "picture in two splits"]
    assert leaks == []  # they are in the same splits
    assert {finding.kind for finding in report.warnings} == {"duplicate picture"}
    assert report.summary.pictures == {"train": 72, "val": 12, "test": 12}


def test_a_set_that_is_named_twice_is_checked_once(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set")
    assert check_dataset([root, root / "..", root]).findings == ()


def test_as_json(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set")
    expected = VOC_PLANTS["no area"](root, name_of(7))
    told = json.loads(json.dumps(check_dataset([root]).to_dict()))
    assert set(told) == {"errors", "warnings", "summary"}
    (error,) = told["errors"]
    assert set(error) == {"file", "line", "kind", "message"}
    assert (error["file"], error["line"], error["kind"]) == (str(expected.file), expected.line, "no area")
    assert "(30, 40, 30, 70)" in error["message"]


def test_what_cannot_be_read_at_all_is_an_error_too(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "set")
    for text in ("train: [\n", "train: images/train\ntrain: images/val\nnames: [circle, square]\n"):
        (root / "data.yaml").write_text(text)
        finding = check_dataset([root]).errors[0]
        assert (finding.kind, finding.file, finding.line) == ("unreadable data set", root / "data.yaml", 2)


@pytest.mark.parametrize("names", ["circle\ncircle\nsquare\n", "circle\n\nsquare\n", "circle\na\x00\nsquare\n"])
def test_a_list_of_names_that_mean_no_number(tmp_path: Path, names: str) -> None:
    root = write_yolo(tmp_path / "set")
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text(names)
    expected = Fault("error", "unreadable data set", root / "classes.txt", 2)
    assert expected in faults(check_dataset([root]))


def test_no_such_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        check_dataset([tmp_path / "absent"])


@pytest.mark.slow
class TestRealData:
    """What others have annotated, and what is known of it."""

    def test_two_bad_boxes_in_the_blood_smears(self, shared: Path) -> None:
        """And two shots of one smear, of which one is learnt and one asked."""
        report = check_dataset([skip_without(shared / "data/BCCD")])
        assert [(fault.severity, fault.kind, fault.file.name, fault.line) for fault in report.findings] == [
            ("error", "no area", "BloodImage_00338.xml", 163),
            ("error", "no area", "BloodImage_00343.xml", 55),
            ("warning", "alike pictures", "BloodImage_00038.jpg", None),
        ]

    def test_nothing_in_part_of_voc2007(self, shared: Path) -> None:
        assert check_dataset([skip_without(shared / "data/VOC2007-part")]).findings == ()

    def test_classes_without_objects_in_the_animals_of_voc2012(self, shared: Path) -> None:
        report = check_dataset([skip_without(shared / "data/VOC2012-animals-400px")])
        assert not report.errors
        assert [fault.message.partition(": add")[0] for fault in report.findings] == [
            "1 class without an object in the split train: train",
            "1 class with none but difficult or crowd objects in the split train: bus",
        ]

    def test_no_picture_of_one_is_in_the_other(self, shared: Path) -> None:
        paths = [skip_without(shared / "data" / name) for name in ("VOC2012-animals-400px", "VOC2007-part")]
        assert [fault.kind for fault in check_dataset(paths).findings] == ["class without objects"]  # in val
