"""COCO's figures: the published ones of a real result file, by hand, and the classes one by one as all at once."""

import json
import logging
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from faster_coco_eval import COCO, COCOeval_faster
from judged import BOX, FAR, NAMES, detections, random_case, target

from frcnn.evaluation.coco import CocoFigures, coco_figures
from frcnn.evaluation.coco_results import read_coco_results
from frcnn.structures import Detections, Target

TWELVE = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100", "ar_small", "ar_medium",
    "ar_large",
)  # fmt: skip
PUBLISHED = (0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564)
WIDE = (0.0, 0.0, 100.0, 10.0)


def read_truth(path: Path) -> tuple[list[int], list[int], list[Target], list[np.ndarray]]:
    """Of a COCO annotation file: image ids, category ids, objects and their areas."""
    truth = json.loads(path.read_text())
    image_ids = sorted(image["id"] for image in truth["images"])  # COCO's order, which decides between equal scores
    category_ids = sorted(category["id"] for category in truth["categories"])
    targets, areas = [], []
    for image_id in image_ids:
        rows = [row for row in truth["annotations"] if row["image_id"] == image_id]
        boxes = torch.tensor([row["bbox"] for row in rows], dtype=torch.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]  # in float32 one overlap would fall below .95
        class_ids = torch.tensor([category_ids.index(row["category_id"]) for row in rows], dtype=torch.long)
        targets.append(Target(boxes.float(), class_ids, torch.tensor([row["iscrowd"] == 1 for row in rows])))
        areas.append(np.array([row["area"] for row in rows], dtype=np.float64))
    return image_ids, category_ids, targets, areas


def test_the_published_figures_of_a_result_file(shared: Path) -> None:
    folder = shared / "data" / "metrics" / "coco_fakebbox100"
    image_ids, category_ids, targets, areas = read_truth(folder / "instances_val2014_100.json")
    names = [str(category_id) for category_id in category_ids]
    results = read_coco_results(folder / "instances_val2014_fakebbox100_results.json")
    classes_by_id = {category_id: number for number, category_id in enumerate(category_ids)}
    figures = coco_figures(results.detections(image_ids, classes_by_id, names), targets, names, areas).as_dict()
    assert tuple(figures) == TWELVE
    assert tuple(round(value, 3) for value in figures.values() if value is not None) == PUBLISHED


def test_one_object_found_is_one_throughout_and_other_sizes_are_not_defined() -> None:
    figures = coco_figures([detections((BOX, 0.9, 1))], [target((BOX, 1, False))], NAMES)
    medium_and_large = ("ap_medium", "ap_large", "ar_medium", "ar_large")
    assert figures.as_dict() == {name: None if name in medium_and_large else 1.0 for name in TWELVE}
    assert figures.per_class["dog"].as_dict() == figures.as_dict()
    assert set(figures.per_class["cat"].as_dict().values()) == {None}


def test_an_overlap_of_62_hundredths_is_right_at_three_of_ten_thresholds() -> None:
    found = detections(((0.0, 0.0, 62.0, 10.0), 0.9, 0))
    figures = coco_figures([found], [target((WIDE, 0, False))], NAMES)
    assert (figures.ap, figures.ap50, figures.ap75) == (pytest.approx(0.3), 1, 0)
    assert figures.ar100 == pytest.approx(0.3)


def test_recall_of_one_detection_is_of_each_picture_and_class() -> None:
    found = detections((BOX, 0.9, 0), (FAR, 0.8, 0), (WIDE, 0.7, 1))
    figures = coco_figures([found], [target((BOX, 0, False), (FAR, 0, False), (WIDE, 1, False))], NAMES)
    assert (figures.ar1, figures.ar10) == ((0.5 + 1) / 2, 1)


def test_what_lies_in_a_crowd_is_neither_right_nor_wrong() -> None:
    """However small its part of the crowd, and however many there are."""
    crowd = (40.0, 40.0, 90.0, 90.0)
    found = detections((FAR, 0.95, 0), ((70.0, 70.0, 80.0, 80.0), 0.92, 0), (BOX, 0.9, 0))
    assert coco_figures([found], [target((BOX, 0, False), (crowd, 0, True))], NAMES).ap == 1
    assert coco_figures([found], [target((BOX, 0, False))], NAMES).ap == pytest.approx(1 / 3)


def test_a_class_with_nothing_but_crowds_is_not_defined() -> None:
    figures = coco_figures([detections((BOX, 0.9, 0))], [target((BOX, 0, True))], NAMES)
    assert set(figures.as_dict().values()) == {None}


def test_areas_that_are_given_decide_the_size() -> None:
    truths = [target((BOX, 0, False))]
    figures = coco_figures([detections((BOX, 0.9, 0))], truths, NAMES, [np.array([9216.0 + 1])])
    assert (figures.ap_small, figures.ap_large) == (None, 1)
    sizes = figures.per_class["cat"].by_size
    assert [(sizes[size].objects, sizes[size].ap50, sizes[size].recall50) for size in sizes] == [
        (0, None, None),
        (0, None, None),
        (1, 1, 1),
    ]


def test_sizes_of_a_class_by_hand() -> None:
    """A small one found, a small one missed, a medium one found with an overlap of .6, an ignored one not told."""
    medium = (100.0, 0.0, 150.0, 50.0)
    found = detections((BOX, 0.9, 0), ((100.0, 0.0, 150.0, 30.0), 0.8, 0))
    truth = target((BOX, 0, False), (FAR, 0, False), (medium, 0, False), (WIDE, 0, True))
    of_class = coco_figures([found], [truth], NAMES).per_class["cat"]
    small = of_class.by_size["small"]
    assert (small.objects, small.recall50) == (2, 0.5)
    assert small.ap50 == pytest.approx(51 / 101)  # precision is 1 at the recalls 0, .01, ..., .5
    assert of_class.by_size["medium"].as_dict() == {"objects": 1, "ap50": pytest.approx(1), "recall50": 1}
    assert of_class.ap_medium == pytest.approx(0.3)  # .5, .55 and .6


def test_nothing_found_is_zero_and_nothing_at_all_is_not_defined() -> None:
    assert coco_figures([detections()], [target((BOX, 0, False))], NAMES).ap == 0
    assert set(coco_figures([], [], NAMES).as_dict().values()) == {None}


def test_what_is_no_number_is_wrong_and_comes_last() -> None:
    found = detections((FAR, math.nan, 0), (BOX, 0.1, 0))
    assert coco_figures([found], [target((BOX, 0, False))], NAMES).ap == 1
    bad = detections(((math.nan, 0.0, 5.0, 5.0), 0.9, 0), ((-math.inf, 0.0, math.inf, 5.0), 0.9, 0), (BOX, 0.8, 0))
    assert coco_figures([bad], [target((BOX, 0, False))], NAMES).ap == pytest.approx(1 / 3)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="1 pictures"):
        coco_figures([detections()], [], NAMES)


def test_the_library_says_nothing(capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        coco_figures([detections((BOX, 0.9, 0))], [target((BOX, 0, False))], NAMES)
    assert tuple(capsys.readouterr()) == ("", "")
    assert caplog.records == []


def all_at_once(found: list[Detections], truths: list[Target]) -> list[float]:
    """The library's own summary, with every class in one go."""

    def rows(boxes: torch.Tensor, class_ids: torch.Tensor, picture: int) -> list[dict]:
        return [
            {"image_id": picture, "category_id": class_id + 1, "bbox": [x, y, right - x, bottom - y]}
            | {"area": (right - x) * (bottom - y)}
            for (x, y, right, bottom), class_id in zip(boxes.tolist(), class_ids.tolist(), strict=True)
        ]

    objects, results = [], []
    for picture, (detected, truth) in enumerate(zip(found, truths, strict=True), start=1):
        assert truth.ignored is not None
        crowds = truth.ignored.int().tolist()
        for row, crowd in zip(rows(truth.boxes, truth.class_ids, picture), crowds, strict=True):
            objects.append(row | {"id": len(objects) + 1, "iscrowd": crowd})
        scores = detected.scores.tolist()
        for row, score in zip(rows(detected.boxes, detected.class_ids, picture), scores, strict=True):
            results.append(row | {"id": len(results) + 1, "score": score})
    kinds = {
        "categories": [{"id": number} for number in (1, 2, 3)],
        "images": [{"id": i + 1} for i in range(len(found))],
    }
    evaluation = COCOeval_faster(
        COCO(kinds | {"annotations": objects}), COCO(kinds | {"annotations": results}), iouType="bbox"
    )
    evaluation.run()
    return list(evaluation.stats)


@pytest.mark.parametrize("seed", range(20))
def test_classes_one_by_one_are_as_all_at_once(seed: int) -> None:
    found, truths = random_case(random.Random(seed))
    figures: CocoFigures = coco_figures(found, truths, NAMES)
    got = [-1.0 if value is None else value for value in figures.as_dict().values()]
    assert got == pytest.approx(all_at_once(found, truths), abs=1e-12)
