"""The results: the numbers' names, the files, the table."""

import csv
import io
import json
import math
from pathlib import Path

import pytest
import torch
from rich.console import Console

from frcnn.errors import FrcnnError
from frcnn.evaluation.average_precision import evaluate_detections
from frcnn.evaluation.results import Evaluation, ranked, write_evaluation
from frcnn.structures import Detections, Target

NAMES = ("cat", "dog", "eel, electric")


def an_evaluation(losses: dict[str, float] | None = None) -> Evaluation:
    """A cat found, of two dogs one, and no eel to find: a false one of it."""
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [40.0, 0.0, 50.0, 10.0]])
    found = Detections(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 2]), NAMES)
    truth = Target(boxes, torch.tensor([0, 1, 1]))
    return Evaluation(evaluate_detections([found], [truth], NAMES), (found,), losses or {}, 0.05, 0.25)


def test_metrics_have_the_names_and_values_of_the_contract() -> None:
    metrics = an_evaluation({"total": 1.5}).metrics_dict()
    assert metrics["voc07_map"] == pytest.approx((1 + 6 / 11) / 2)
    assert metrics["voc_map"] == pytest.approx((1 + 1 / 2) / 2)
    assert metrics["per_class"]["dog"] == {
        "voc07_ap": pytest.approx(6 / 11),
        "voc_ap": 0.5,
        "recall": 0.5,
        "objects": 2,
        "detections": 1,
    }
    assert metrics["per_class"]["eel, electric"]["voc07_ap"] is None
    assert metrics["losses"] == {"total": 1.5}
    assert (metrics["images"], metrics["objects"]) == (1, 3)
    assert (metrics["score_threshold"], metrics["seconds_per_image"]) == (0.05, 0.25)


def test_the_files_hold_the_same_numbers(tmp_path: Path) -> None:
    evaluation = an_evaluation({"total": 1.5})
    write_evaluation(tmp_path / "deep" / "evaluation", evaluation)
    folder = tmp_path / "deep" / "evaluation"
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.json", "per_class.csv"]
    assert json.loads((folder / "metrics.json").read_text()) == evaluation.metrics_dict()
    rows = list(csv.DictReader((folder / "per_class.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == list(NAMES)
    assert float(rows[1]["voc_ap"]) == 0.5
    assert rows[2]["voc_ap"] == ""


def test_a_loss_that_is_no_number_is_null(tmp_path: Path) -> None:
    write_evaluation(tmp_path, an_evaluation({"total": math.nan}))
    assert json.loads((tmp_path / "metrics.json").read_text())["losses"] == {"total": None}


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FrcnnError, match="file"):
        write_evaluation(tmp_path / "file" / "evaluation", an_evaluation())


def test_classes_stand_best_first_and_those_without_objects_last() -> None:
    assert [name for name, _ in ranked(an_evaluation().result)] == list(NAMES)


def test_the_table_shows_classes_means_and_losses() -> None:
    text = io.StringIO()
    Console(file=text, width=120).print(an_evaluation({"total": 1.5}).to_table())
    for part in ("cat", "eel, electric", "0.545", "0.773", "1.000", "-", "total 1.5000", "0.250 s", "above 0.05"):
        assert part in text.getvalue()


def test_names_are_no_markup() -> None:
    """A class may be called anything: rich would take [/x] for the end of something."""
    names = ("[/x]", "[bold]cat[/bold]")
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    found = Detections(boxes, torch.tensor([0.9]), torch.tensor([1]), names)
    result = evaluate_detections([found], [Target(boxes, torch.tensor([0]))], names)
    console = Console(file=io.StringIO(), width=120)
    console.print(Evaluation(result, (found,), {}, 0.05, 0.25, skipped_boxes=2).to_table())
    said = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert all(name in said for name in names)
    assert "1 objects (2 bad boxes left out)" in said
