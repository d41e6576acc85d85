"""Detections of another program: COCO's published example, by way of our reader."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frcnn import evaluate
from frcnn.data.pictures import ORIENTATION
from frcnn.errors import DataError

PUBLISHED = {
    "ap": 0.505,
    "ap50": 0.697,
    "ap75": 0.573,
    "ap_small": 0.586,
    "ap_medium": 0.519,
    "ap_large": 0.501,
    "ar1": 0.387,
    "ar10": 0.594,
    "ar100": 0.595,
    "ar_small": 0.640,
    "ar_medium": 0.566,
    "ar_large": 0.564,
}


def test_cocos_published_example(shared, tmp_path):
    """All twelve, to the three decimals that are published."""
    folder = shared / "data/metrics/coco_fakebbox100"
    results, truth = folder / "instances_val2014_fakebbox100_results.json", folder / "instances_val2014_100.json"
    evaluation = evaluate(results, truth, "val", tmp_path / "out")
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert {name: round(value, 3) for name, value in metrics["coco"].items()} == PUBLISHED
    assert (metrics["images"], metrics["score_threshold"], metrics["seconds_per_image"]) == (100, None, None)
    assert metrics["losses"] == {}
    assert len(evaluation.detections) == 100


@pytest.fixture
def truth(tmp_path):
    """One picture, which does not exist, with two objects."""
    objects = [
        {"id": i, "image_id": 9, "category_id": 3, "bbox": [20 * i, 0, 10, 10], "area": 100, "iscrowd": 0}
        for i in range(2)
    ]
    whole = {
        "images": [{"id": 9, "file_name": "absent.jpg", "height": 50, "width": 50}],
        "annotations": objects,
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
    }
    path = tmp_path / "instances_test.json"
    path.write_text(json.dumps(whole))
    return path


def write(tmp_path, **changes):
    path = tmp_path / "results.json"
    found = {"image_id": 9, "category_id": 3, "bbox": [0, 0, 10, 10], "score": 0.4} | changes
    path.write_text(json.dumps([found, {**found, "bbox": [20, 0, 10, 10], "score": 0.9}]))
    return path


def test_no_picture_is_needed(truth, tmp_path):
    assert evaluate(write(tmp_path), truth, out=tmp_path / "out").result.per_class["cat"].voc_ap == 1
    assert (tmp_path / "out" / "report.html").is_file()
    assert not (tmp_path / "out" / "errors").exists()


def test_a_picture_of_another_size_than_is_said_is_not_drawn(truth, tmp_path):
    """As a person sees it: one that lies on its side has its boxes elsewhere."""
    whole = json.loads(truth.read_text())
    upright = {"file_name": "upright.jpg", "height": 40, "width": 80}
    whole["images"] = [upright | {"id": 9}, upright | {"id": 10, "file_name": "turned.jpg"}]
    whole["annotations"] += [item | {"id": 7 + item["id"], "image_id": 10} for item in whole["annotations"]]
    truth.write_text(json.dumps(whole))
    picture = Image.new("RGB", (80, 40))
    picture.save(tmp_path / "upright.jpg")
    exif = picture.getexif()
    exif[ORIENTATION] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    evaluation = evaluate(write(tmp_path), truth, out=tmp_path / "out")
    assert evaluation.misfits == (tmp_path / "turned.jpg",)
    assert [path.name for path in (tmp_path / "out" / "errors").iterdir()] == ["TP_01_upright.jpg"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Pictures of another size than their annotations say, not drawn: 1 (turned.jpg)." in page
    assert 'alt="Detected: cat' in page
    assert page.count("<img") == 1
    assert evaluate(write(tmp_path), truth).misfits == ()  # nothing is drawn, and no file read


def test_a_threshold_leaves_out_what_is_below(truth, tmp_path):
    evaluation = evaluate(write(tmp_path), truth, score_threshold=0.5)
    assert evaluation.result.per_class["cat"].voc_ap == 0.5
    assert evaluation.score_threshold == 0.5


def test_what_scores_above_what_was_asked_for_counts(truth, tmp_path):
    """As a model's own threshold does; the point that is shown is the least that is left."""
    points = evaluate(write(tmp_path), truth, score_threshold=0.89).analysis.operating_points.all
    assert (points.best.threshold, points.best.recall) == (float(np.float32(0.9)), 0.5)
    assert (points.shown.threshold, points.shown.recall) == (float(np.float32(0.89)), 0.5)
    assert evaluate(write(tmp_path), truth, score_threshold=0.9).analysis.operating_points.all.best is None


def test_where_nothing_is_left_the_point_is_not_below_what_was_asked_for(truth, tmp_path):
    analysis = evaluate(write(tmp_path), truth, score_threshold=1.0).analysis
    assert analysis.operating_points.all.best is None
    assert analysis.operating_points.all.shown.threshold == 1.0
    assert analysis.errors.threshold == analysis.confusion.threshold == 1.0


def test_other_ids(truth, tmp_path):
    with pytest.raises(DataError, match=r"results\.json: entry 0: image_id 8 is not in the data set"):
        evaluate(write(tmp_path, image_id=8), truth)


def test_a_data_set_without_ids(voc_set, tmp_path):
    with pytest.raises(DataError, match="must be one data set in that format"):
        evaluate(write(tmp_path), voc_set)


def refused(results: Path, data: Path) -> str:
    with pytest.raises(DataError) as caught:
        evaluate(results, data)
    return str(caught.value)


def test_files_of_other_category_ids(truth, tmp_path):
    """Training goes by names; a number of a result file would be a cat to one file and a dog to the other."""
    other = json.loads(truth.read_text()) | {"categories": [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}]}
    (tmp_path / "instances_train.json").write_text(json.dumps(other))
    results = write(tmp_path).rename(tmp_path.parent / "found.json")
    assert refused(results, tmp_path) == (
        f"{tmp_path}: the category ids of its files (instances_test.json, instances_train.json) are not the same, so "
        f"that those of {results} may mean either: name the JSON file of the split as --data"
    )
    assert evaluate(results, truth).result.per_class["cat"].voc_ap == 1


def test_a_class_of_two_ids(truth, tmp_path):
    """Objects have the one, detections the other."""
    whole = json.loads(truth.read_text())
    whole["categories"].append({"id": 12, "name": "cat"})
    truth.write_text(json.dumps(whole))
    for identity in (3, 12):
        assert evaluate(write(tmp_path, category_id=identity), truth).result.per_class["cat"].voc_ap == 1


def test_files_of_one_split_with_the_same_image_ids(truth, tmp_path):
    """Of each file alone they are those of its own pictures."""
    truth.rename(tmp_path / "test_a.json")
    (tmp_path / "test_b.json").write_bytes((tmp_path / "test_a.json").read_bytes())
    results = write(tmp_path).rename(tmp_path.parent / "found.json")
    assert refused(results, tmp_path) == (
        f"{tmp_path / 'test_b.json'}: has an image of the id 9, and so has {tmp_path / 'test_a.json'}, so that "
        f"those of {results} may mean either: name one of the JSON files as --data"
    )
    assert evaluate(results, tmp_path / "test_a.json").result.per_class["cat"].voc_ap == 1
