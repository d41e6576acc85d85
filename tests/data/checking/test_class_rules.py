"""Classes of which a split has no object; misspelt ones are planted in test_check.py."""

from pathlib import Path

from data_sets import name_of, write_annotation, write_voc

from frcnn.data.checking.check import check_dataset

CIRCLE, SQUARE = ("circle", (10, 10, 60, 60)), ("square", (60, 20, 110, 80))


def told(*paths: Path) -> list[str]:
    findings = check_dataset([*paths]).findings
    assert {finding.kind for finding in findings} <= {"class without objects"}
    return [finding.message.partition(":")[0] for finding in findings]


def test_each_split_that_lacks_one(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0, 1], "val": [2], "test": [3]})
    write_annotation(root, name_of(2), [SQUARE])
    write_annotation(root, name_of(3), [])
    assert told(root) == ["1 class without an object in the split val", "2 classes without an object in the split test"]


def test_all_are_named_in_one_order(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0], "val": [1]})
    names = [f"kind {letter}" for letter in "onmlkjihgfedcba"]
    write_annotation(root, name_of(0), [(name, (10 + i, 10, 60 + i, 60)) for i, name in enumerate(names)])
    write_annotation(root, name_of(1), [])
    (finding,) = [f for f in check_dataset([root]).findings if f.kind == "class without objects"]
    assert "in the split val: kind a, kind b, kind c ...: " in finding.message
    assert finding.to_dict()["names"] == sorted(names)
    write_annotation(root, name_of(0), [(name, (10, 10, 60, 60)) for name in "edcba"])
    (finding,) = [f for f in check_dataset([root]).findings if f.kind == "class without objects"]
    assert "in the split val: a, b, c, d, e: " in finding.message


def test_what_is_learnt_is_one_whatever_its_splits_are_called(tmp_path: Path) -> None:
    first, second = write_voc(tmp_path / "a", {"train": [0]}), write_voc(tmp_path / "b", {"trainval": [1]})
    write_annotation(first, name_of(0), [CIRCLE])
    write_annotation(second, name_of(1), [SQUARE])
    assert told(first, second) == []
    write_annotation(second, name_of(1), [CIRCLE])
    third = write_voc(tmp_path / "c", {"val": [2]})
    assert told(first, second, third) == ["1 class without an object in the splits train and trainval"]


def test_a_class_of_no_split(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0], "val": [2]})
    write_annotation(root, "p09", [("star", (10, 10, 60, 60))])
    findings = check_dataset([root]).warnings
    assert "1 class without an object in any split: star: add some, or do not ask for it" in [
        f.message for f in findings
    ]


def test_objects_that_are_set_aside_are_no_examples(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0, 1], "test": [2]})
    for number in (0, 1, 2):
        write_annotation(root, name_of(number), [CIRCLE, SQUARE])
    for number in (1, 2):
        path = root / "Annotations" / f"{name_of(number)}.xml"
        path.write_text(path.read_text().replace("<name>circle", "<difficult>1</difficult><name>circle"))
    (finding,) = check_dataset([root]).findings  # train has a plain circle
    assert finding.message == (
        "1 class with none but difficult or crowd objects in the split test: circle: add others, or do not ask for it"
    )
    assert told(root) == ["1 class with none but difficult or crowd objects in the split test"]
