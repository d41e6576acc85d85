"""Evaluation of a model: against one that knows the answers, on pictures that say which they are."""

import json
import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import frcnn.evaluation.run as run
from frcnn.config import load_preset, override_sections
from frcnn.data.convert import convert
from frcnn.data.dataset import Dataset, Example
from frcnn.errors import DataError, DiskError, UsageError
from frcnn.evaluation.run import evaluate, evaluate_model
from frcnn.model.detector import FasterRCNN, Found
from frcnn.structures import Detections, Losses, Target

NAMES = ("cat", "dog")
OBJECTS = (
    [((10.0, 10.0, 40.0, 30.0), 0, False)],
    [((5.0, 5.0, 25.0, 45.0), 1, False), ((30.0, 5.0, 50.0, 20.0), 0, True)],
    [],
    [((20.0, 20.0, 60.0, 40.0), 1, False), ((1.0, 1.0, 9.0, 9.0), 0, False)],
)


class Oracle(FasterRCNN):
    """Knows the answers by the red of the picture; its losses are drawn by the generator."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.config, self.class_names = load_preset("tiny").model, NAMES
        self.weight = nn.Parameter(torch.zeros(1))
        self.frozen = nn.BatchNorm2d(3)
        self.frozen.eval()
        self.ignored_seen = 0

    def find(self, images):
        assert not self.training
        assert not torch.is_grad_enabled()
        found = [self.found(int((image[0, 0, 0] * 255).round())) for image in images]
        return [Found(detections, detections.boxes.flip(0)) for detections in found]  # proposals: the worst first

    def forward(self, _, targets=None, generator=None):
        assert not self.training
        assert not torch.is_grad_enabled()
        self.ignored_seen += sum(int(target.ignored.sum()) for target in targets if target.ignored is not None)
        return Losses(*torch.rand(4, generator=generator))

    def found(self, number: int) -> Detections:
        rows = OBJECTS[number]
        threshold = self.config.head.score_threshold
        scores = torch.tensor([0.9 - 0.1 * i for i in range(len(rows))])
        keep = scores >= threshold
        boxes = torch.tensor([box for box, _, _ in rows]).reshape(-1, 4)
        class_ids = torch.tensor([class_id for _, class_id, _ in rows], dtype=torch.long)
        return Detections(boxes[keep], scores[keep], class_ids[keep], NAMES)


def truth(rows: list[tuple[tuple[float, ...], int, bool]]) -> Target:
    boxes: Tensor = torch.tensor([box for box, _, _ in rows]).reshape(-1, 4)
    class_ids = torch.tensor([class_id for _, class_id, _ in rows], dtype=torch.long)
    return Target(boxes, class_ids, torch.tensor([ignored for _, _, ignored in rows], dtype=torch.bool))


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Four pictures in VOC's layout, whose red is their number."""
    root = tmp_path / "VOC2007"
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for number, rows in enumerate(OBJECTS):
        Image.new("RGB", (64, 48), (number, 0, 0)).save(root / "JPEGImages" / f"{number}.png")
        objects = "".join(
            f"<object><name>{NAMES[class_id]}</name><difficult>{int(ignored)}</difficult><bndbox>"
            f"<xmin>{x1 + 1:.0f}</xmin><ymin>{y1 + 1:.0f}</ymin><xmax>{x2:.0f}</xmax><ymax>{y2:.0f}</ymax>"
            "</bndbox></object>"
            for (x1, y1, x2, y2), class_id, ignored in rows
        )
        xml = f"<annotation><filename>{number}.png</filename>{objects}</annotation>"
        (root / "Annotations" / f"{number}.xml").write_text(xml)
    (root / "ImageSets" / "Main" / "test.txt").write_text("\n".join(str(number) for number in range(len(OBJECTS))))
    return root


@pytest.fixture
def dataset(voc: Path) -> Dataset:
    return Dataset(
        tuple(
            Example(voc / "JPEGImages" / f"{i}.png", voc / "Annotations" / f"{i}.xml", (48, 64), truth(rows))
            for i, rows in enumerate(OBJECTS)
        ),
        NAMES,
    )


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_model_that_knows_scores_one(dataset: Dataset, batch_size: int) -> None:
    evaluation = evaluate_model(Oracle(), dataset, batch_size=batch_size)
    assert (evaluation.result.voc07_map, evaluation.result.voc_map) == (pytest.approx(1), pytest.approx(1))
    assert (evaluation.images, evaluation.objects) == (4, 4)
    assert [len(found) for found in evaluation.detections] == [1, 2, 0, 2]
    assert evaluation.seconds_per_image > 0


def test_recall_of_the_proposals_comes_with_the_detections(dataset: Dataset) -> None:
    """By the first proposal alone one of the four objects that count, the second of its picture, is not reached."""
    model = Oracle()
    model.config = override_sections(model.config, {"rpn": {"after_nms_test": 1}})
    first = evaluate_model(model, dataset).proposal_recall
    assert (first.counts, first.average_recall, first.objects) == ((1,), (0.5,), 4)
    every = evaluate_model(Oracle(), dataset).proposal_recall
    assert every.counts[-1] == Oracle().config.rpn.after_nms_test
    assert every.average_recall[-1] == 1


def test_the_mode_of_every_layer_is_left_as_it_was(dataset: Dataset) -> None:
    model = Oracle()
    evaluate_model(model, dataset)
    assert model.training
    assert not model.frozen.training


def test_losses_come_from_the_whole_targets_and_the_same_seed_gives_the_same(dataset: Dataset) -> None:
    model = Oracle()
    first = evaluate_model(model, dataset)
    assert model.ignored_seen == 1
    assert set(first.losses) == {"rpn_objectness", "rpn_box", "head_class", "head_box", "total"}
    torch.rand(5)
    assert evaluate_model(model, dataset).losses == first.losses
    assert evaluate_model(model, dataset, seed=1).losses != first.losses


def test_losses_can_be_left_out(dataset: Dataset) -> None:
    assert evaluate_model(Oracle(), dataset, with_losses=False).losses == {}


def test_progress_is_told_after_each_batch(dataset: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    evaluate_model(Oracle(), dataset, batch_size=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 4), (4, 4)]


def test_classes_that_differ_are_refused(dataset: Dataset) -> None:
    with pytest.raises(DataError, match="class names"):
        evaluate_model(Oracle(), Dataset(dataset.examples, ("dog", "cat")))


def test_evaluate_reads_the_data_and_writes_the_results(voc: Path, tmp_path: Path) -> None:
    evaluation = evaluate(Oracle(), voc, out=tmp_path / "results", workers=0)
    metrics = json.loads((tmp_path / "results" / "metrics.json").read_text())
    assert metrics == evaluation.metrics_dict()
    assert metrics["voc07_map"] == metrics["coco"]["ap"] == pytest.approx(1)
    assert (tmp_path / "results" / "confusion.png").is_file()
    assert (tmp_path / "results" / "report.html").is_file()
    assert [path.name for path in (tmp_path / "results" / "errors").iterdir()]


def test_sizes_are_those_of_the_outlines_where_the_data_set_says_them(voc: Path, tmp_path: Path) -> None:
    """The boxes are all small to COCO; 2,000 square pixels are medium."""
    convert([voc], tmp_path / "coco", "coco")
    assert evaluate(Oracle(), tmp_path / "coco", workers=0).metrics_dict()["coco"]["ap_medium"] is None
    part = tmp_path / "coco/annotations/instances_test.json"
    content = json.loads(part.read_text())
    for item in content["annotations"]:
        item["area"] = 2000
    part.write_text(json.dumps(content))
    figures = evaluate(Oracle(), tmp_path / "coco", workers=0).metrics_dict()["coco"]
    assert (figures["ap_small"], figures["ap_medium"]) == (None, pytest.approx(1))


def test_what_training_does_not_need_is_not_computed(dataset: Dataset) -> None:
    assert evaluate_model(Oracle(), dataset).analysis is None


def test_evaluate_opens_a_model_by_its_name(voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(run, "open_model", lambda path: opened.append(path) or Oracle())
    assert evaluate("best.safetensors", str(voc), workers=0).result.voc_map == pytest.approx(1)
    assert opened == ["best.safetensors"]


def test_a_score_threshold_replaces_the_models_for_this_once(voc: Path) -> None:
    model = Oracle()
    evaluation = evaluate(model, [voc], workers=0, score_threshold=0.85)
    assert evaluation.score_threshold == 0.85
    assert [len(found) for found in evaluation.detections] == [1, 1, 0, 1]
    assert model.config.head.score_threshold != 0.85


def test_a_file_in_the_place_of_the_folder_is_wrong_usage(voc: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        evaluate(Oracle(), voc, out=tmp_path / "file", workers=0)


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda place, _: place != tmp_path)  # nothing is read-only to root
    with pytest.raises(DiskError, match=r"results: cannot be written, as .* is read-only: name another folder"):
        evaluate(Oracle(), tmp_path / "absent", out=tmp_path / "results", workers=0)


def test_a_split_that_is_not_there_leaves_no_folder(voc: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        evaluate(Oracle(), voc, split="val", out=tmp_path / "results", workers=0)
    assert not (tmp_path / "results").exists()
