"""The results: the numbers' names, the files, the table."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from rich.console import Console

from frcnn.errors import FrcnnError
from frcnn.evaluation.analysis import analyse
from frcnn.evaluation.average_precision import evaluate_detections
from frcnn.evaluation.proposal_recall import ProposalRecall
from frcnn.evaluation.results import Evaluation, ranked, write_evaluation
from frcnn.structures import Detections, Target

NAMES = ("cat", "dog", "eel, electric")


def an_evaluation(losses: dict[str, float] | None = None, analysed: bool = False) -> Evaluation:
    """A cat found, of two dogs one, and no eel to find: a false one of it."""
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [40.0, 0.0, 50.0, 10.0]])
    found = Detections(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 2]), NAMES)
    truth = Target(boxes, torch.tensor([0, 1, 1]))
    analysis = analyse([found], [truth], NAMES) if analysed else None
    result = evaluate_detections([found], [truth], NAMES)
    return Evaluation(result, (found,), losses or {}, 0.05, 0.25, analysis=analysis)


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


def test_an_analysis_adds_to_the_metrics_and_changes_none() -> None:
    plain, analysed = an_evaluation().metrics_dict(), an_evaluation(analysed=True).metrics_dict()
    assert list(analysed["coco"]) == [
        "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100", "ar_small", "ar_medium",
        "ar_large",
    ]  # fmt: skip
    assert set(analysed) - set(plain) == {"coco", "operating_points", "confusion", "calibration", "errors"}
    assert {name: analysed[name] for name in plain if name != "per_class"} == {
        name: value for name, value in plain.items() if name != "per_class"
    }
    assert analysed["per_class"]["dog"].items() > plain["per_class"]["dog"].items()
    assert analysed["per_class"]["dog"]["best_threshold"] == pytest.approx(0.8)


def test_recall_of_proposals_is_told_where_it_is_known() -> None:
    known = ProposalRecall((50,), (0.5,), ((0.75,),), (0.5,), 3)
    evaluation = replace(an_evaluation(), proposal_recall=known)
    assert evaluation.metrics_dict()["proposal_recall"] == known.as_dict()
    assert "proposal_recall" not in an_evaluation().metrics_dict()
    assert "recall of 50 proposals: 0.750 at IoU 0.5; average from .5 to .9 0.500" in evaluation._lines()


def test_the_files_hold_the_same_numbers(tmp_path: Path) -> None:
    evaluation = an_evaluation({"total": 1.5}, analysed=True)
    write_evaluation(tmp_path / "deep" / "evaluation", evaluation)
    folder = tmp_path / "deep" / "evaluation"
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion.png",
        "metrics.json",
        "per_class.csv",
        "pr_curves.png",
    ]
    assert json.loads((folder / "metrics.json").read_text()) == evaluation.metrics_dict()
    rows = list(csv.DictReader((folder / "per_class.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == list(NAMES)
    assert list(rows[0])[:7] == ["class", "voc07_ap", "voc_ap", "recall", "objects", "detections", "ap"]
    assert float(rows[1]["voc_ap"]) == 0.5
    assert float(rows[1]["best_threshold"]) == pytest.approx(0.8)
    assert (rows[2]["voc_ap"], rows[2]["ap"], rows[2]["shown_f1"]) == ("", "", "")
    for name in ("confusion.png", "pr_curves.png"):
        with Image.open(folder / name) as picture:
            assert (picture.format, picture.mode) == ("PNG", "RGB")


def test_without_an_analysis_there_are_no_pictures(tmp_path: Path) -> None:
    write_evaluation(tmp_path, an_evaluation())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "per_class.csv"]


def test_the_table_fits_a_console_of_100_columns() -> None:
    """Each heading and each number whole, and what the analysis says below."""
    text = io.StringIO()
    Console(file=text, width=100).print(an_evaluation({"total": 1.5}, analysed=True).to_table())
    said = text.getvalue()
    assert max(map(len, said.splitlines())) <= 100
    assert "…" not in said
    for part in ("VOC07", "COCO", "AP50", "score", "detections", "eel, electric", "0.800", "best F1", "2 right"):
        assert part in said


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
    assert "COCO" not in text.getvalue()
    for part in (
        "VOC07",
        "cat",
        "eel, electric",
        "0.545",
        "0.773",
        "1.000",
        "-",
        "total 1.5000",
        "0.250 s",
        "scored above 0.05",
    ):
        assert part in text.getvalue()


def test_names_are_no_markup_and_no_orders() -> None:
    """A class may be called anything: rich would take [/x] for the end of something, a terminal obey what escapes."""
    names = ("[/x]", "[bold]cat[/bold]\x1b[2J")
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    found = Detections(boxes, torch.tensor([0.9]), torch.tensor([1]), names)
    result = evaluate_detections([found], [Target(boxes, torch.tensor([0]))], names)
    console = Console(file=io.StringIO(), width=120)
    console.print(Evaluation(result, (found,), {}, 0.05, 0.25, skipped_boxes=2).to_table())
    said = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert all(name.replace("\x1b", r"\x1b") in said for name in names)
    assert "\x1b" not in said
    assert "1 objects (2 bad boxes left out)" in said


def test_a_class_is_no_formula(tmp_path: Path) -> None:
    names = ("=1+1", "cat")
    found = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), names)
    result = evaluate_detections([found], [Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))], names)
    write_evaluation(tmp_path, Evaluation(result, (found,), {}, 0.05, 0.25))
    rows = csv.reader((tmp_path / "per_class.csv").read_text().splitlines())
    assert [row[0] for row in rows] == ["class", "'=1+1", "cat"]
