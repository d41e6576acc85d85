"""Result files: read by hand, and every way in which one may be wrong named in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from frcnn.errors import DataError
from frcnn.evaluation.coco_results import read_coco_results

GOOD: dict[str, Any] = {"image_id": 42, "category_id": 18, "bbox": [10, 20.5, 30, 40], "score": 0.25}


def written(tmp_path: Path, *entries: Any) -> Path:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(list(entries)))
    return path


def test_the_file_as_arrays(tmp_path: Path) -> None:
    other = {"image_id": 7, "category_id": 1, "bbox": [0, 0, 0, 5], "score": 1, "segmentation": []}
    results = read_coco_results(written(tmp_path, GOOD, other))
    assert results.image_ids.tolist() == [42, 7]
    assert results.category_ids.tolist() == [18, 1]
    assert results.boxes.tolist() == [[10, 20.5, 40, 60.5], [0, 0, 0, 5]]
    assert results.scores.tolist() == [0.25, 1]


def test_no_detections_are_a_result_too(tmp_path: Path) -> None:
    results = read_coco_results(written(tmp_path))
    assert (results.boxes.shape, results.scores.shape) == ((0, 4), (0,))
    assert [len(found) for found in results.detections([1, 2], {5: 0}, ["cat"])] == [0, 0]
    assert results.detections([], {5: 0}, ["cat"]) == []


def test_detections_stand_by_picture_best_first(tmp_path: Path) -> None:
    rows = [(7, 9, 0.5), (3, 5, 0.25), (7, 5, 0.75), (7, 9, 0.75)]
    entries = [GOOD | {"image_id": image, "category_id": kind, "score": score} for image, kind, score in rows]
    found = read_coco_results(written(tmp_path, *entries)).detections([3, 4, 7], {5: 0, 9: 1}, ["cat", "dog"])
    assert [of_picture.scores.tolist() for of_picture in found] == [[0.25], [], [0.75, 0.75, 0.5]]
    assert [of_picture.class_ids.tolist() for of_picture in found] == [[0], [], [0, 1, 1]]
    assert found[0].boxes.tolist() == [[10, 20.5, 40, 60.5]]
    assert found[0].class_names == ("cat", "dog")


def test_pictures_and_categories_that_the_data_set_lacks_are_named(tmp_path: Path) -> None:
    results = read_coco_results(written(tmp_path, GOOD, GOOD | {"image_id": 43}))
    with pytest.raises(DataError, match=r"results\.json: entry 1: image_id 43 is not in the data set$"):
        results.detections([42], {18: 0}, ["cat"])
    with pytest.raises(DataError, match=r"results\.json: entry 0: category_id 18 is not in the data set$"):
        results.detections([42, 43], {17: 0}, ["cat"])


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ([], "must be an object with the keys image_id, category_id, bbox, score"),
        ({key: GOOD[key] for key in GOOD if key != "score"}, "has no score"),
        ({key: GOOD[key] for key in GOOD if key != "bbox"}, "has no bbox"),
        (GOOD | {"image_id": "42"}, 'image_id must be a whole number, not "42"'),
        (GOOD | {"image_id": True}, "image_id must be a whole number, not true"),
        (GOOD | {"image_id": 2**63}, "image_id must be a whole number, not 9223372036854775808"),
        (GOOD | {"category_id": 1.5}, "category_id must be a whole number, not 1.5"),
        (GOOD | {"bbox": [1, 2, 3]}, "bbox must be four numbers (x, y, width, height), not [1, 2, 3]"),
        (GOOD | {"bbox": [1, 2, 3, "4"]}, 'not [1, 2, 3, "4"]'),
        (GOOD | {"bbox": [1, 2, 3, float("nan")]}, "not [1, 2, 3, NaN]"),
        (GOOD | {"bbox": [1, 2, 3, 10**400]}, "not [1, 2, 3, 1000"),
        (GOOD | {"bbox": {"x": 1}}, "bbox must be four numbers"),
        (GOOD | {"bbox": [1, 2, 3, -4]}, "bbox has a negative width or height: [1, 2, 3, -4]"),
        (GOOD | {"score": None}, "score must be a number, not null"),
        (GOOD | {"score": float("inf")}, "score must be a number, not Infinity"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said_in_one_line(tmp_path: Path, entry: Any, complaint: str) -> None:
    with pytest.raises(DataError) as raised:
        read_coco_results(written(tmp_path, GOOD, entry))
    said = str(raised.value)
    assert said.startswith(f"{tmp_path / 'results.json'}: entry 1: ")
    assert complaint in said
    assert "\n" not in said
    assert len(said) < len(str(tmp_path)) + 200


@pytest.mark.parametrize(
    ("contents", "complaint"),
    [
        ("[{", "is no JSON"),
        ("", "is no JSON"),
        ("\x80", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"images": [], "annotations": []}', "holds a data set's annotations: a result file is a JSON list"),
        ('{"image_id": 1}', "holds no list: a result file is a JSON list"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, contents: str, complaint: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(contents.encode("latin-1"))
    with pytest.raises(DataError) as raised:
        read_coco_results(path)
    assert str(raised.value).startswith(f"{path}: {complaint}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.json: cannot be read \(No such file or directory\)"):
        read_coco_results(tmp_path / "absent.json")
