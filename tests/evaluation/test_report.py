"""The report: one page, whole, escaped, at every stage of a run."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

from frcnn.config import load_preset, to_toml
from frcnn.data.dataset import Dataset, Example
from frcnn.evaluation.average_precision import evaluate_detections
from frcnn.evaluation.report import LOSS_TITLES, duration, spread, write_report
from frcnn.evaluation.results import Evaluation
from frcnn.structures import Detections, Target

NAMES = ("cat", "<script>alert(1)</script>", "eel")


class Page(HTMLParser):
    """What a reader of the page needs to be told in a test."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with its configuration and a training of two epochs."""
    folder = tmp_path / "a <b>run</b>".replace("/", "")
    folder.mkdir()
    (folder / "config.toml").write_text(to_toml(load_preset("tiny")))
    write_log(folder, evaluations=2)
    return folder


def write_log(folder: Path, evaluations: int) -> None:
    losses = dict.fromkeys(LOSS_TITLES, 0.5)
    lines: list[dict[str, object]] = [{"event": "start", "step": 0, "time": 0}]
    for epoch in range(1, max(evaluations, 1) + 1):
        lines += [
            {"event": "step", "step": 10 * epoch, "epoch": epoch, "time": 60 * epoch, "lr": 0.01, **losses}
            | {"images_per_second": 8.0}
        ]
        if evaluations:
            lines.append({"event": "evaluation", "step": 10 * epoch, "epoch": epoch, "losses": losses})
            lines[-1] |= {"voc07_map": 0.25, "voc_map": None}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def evaluated(tmp_path: Path) -> tuple[Dataset, Evaluation]:
    """Three pictures: one object found, one missed, and nothing in the last."""
    boxes = torch.tensor([[4.0, 4.0, 30.0, 30.0]])
    one, none = torch.tensor([1]), torch.zeros(0, dtype=torch.long)
    targets = [Target(boxes, one), Target(boxes, one, torch.tensor([False])), Target(torch.zeros(0, 4), none)]
    nothing = Detections(torch.zeros(0, 4), torch.zeros(0), none, NAMES)
    found = (Detections(boxes, torch.tensor([0.9]), one, NAMES), nothing, nothing)
    examples = []
    for number, target in enumerate(targets):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (64, 48), (90, 120, 60)).save(path)
        examples.append(Example(path, tmp_path / f"{number}.xml", (48, 64), target))
    result = evaluate_detections(found, targets, NAMES)
    return Dataset(tuple(examples), NAMES), Evaluation(result, found, {"total": 1.0}, 0.05, 0.2)


def test_the_whole_story(run: Path, evaluated: tuple[Dataset, Evaluation]) -> None:
    path = write_report(run, *evaluated)
    assert path == run / "report.html"
    page = Page(path.read_text())
    for words in ("tiny", "2 min 0 s", "eel", "0.545", "200 ms", *LOSS_TITLES.values()):
        assert words in page.words
    assert len(page.all("img")) == 2
    assert len([svg for svg in page.all("svg") if svg.get("class") == "chart"]) == 7
    assert len([svg for svg in page.all("svg") if svg.get("class") == "curve"]) == 1
    assert "0.png · 1 of 1 found" in page.words
    assert "1.png · 0 of 1 found" in page.words


def test_nothing_comes_from_outside(run: Path, evaluated: tuple[Dataset, Evaluation]) -> None:
    text = write_report(run, *evaluated).read_text()
    assert not re.findall(r"https?://|url\(|@import", text)
    page = Page(text)
    assert not page.all("link")
    assert all("src" not in script for script in page.all("script"))
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert str(run.parent) not in text


def test_the_pictures_are_pictures(run: Path, evaluated: tuple[Dataset, Evaluation]) -> None:
    page = Page(write_report(run, *evaluated).read_text())
    for image in page.all("img"):
        data = base64.b64decode((image["src"] or "").partition(",")[2])
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.format == "JPEG"
            assert picture.size == (int(image["width"] or 0), int(image["height"] or 0)) == (256, 192)
    assert page.all("img")[0]["alt"] == f"Detected: {NAMES[1]} 0.90"


def test_names_are_escaped(run: Path, evaluated: tuple[Dataset, Evaluation]) -> None:
    text = write_report(run, *evaluated).read_text()
    assert "<script>alert" not in text
    assert "a <b>run" not in text
    assert len(Page(text).all("script")) == 1


@pytest.mark.parametrize("evaluations", [0, 1])
def test_a_run_with_no_evaluation_yet_or_a_single_one(run: Path, evaluations: int) -> None:
    write_log(run, evaluations)
    page = Page(write_report(run).read_text())
    assert "Not evaluated yet." in page.words
    assert LOSS_TITLES["total"] in page.words
    assert ("Validation mAP at IoU .5" in page.words) == bool(evaluations)


def test_an_empty_folder(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path).read_text())
    assert "This run has no training log yet." in page.words


def test_an_evaluation_without_objects_or_detections(run: Path, evaluated: tuple[Dataset, Evaluation]) -> None:
    dataset, evaluation = evaluated
    nothing, target = evaluation.detections[2], dataset.examples[2].target
    empty = Evaluation(evaluate_detections([nothing], [target], NAMES), (nothing,), {}, 0.05, 0.2)
    page = Page(write_report(run, Dataset(dataset.examples[2:], NAMES), empty).read_text())
    assert not page.all("img")
    assert "–" in page.words


def test_items_are_spread_evenly() -> None:
    assert spread(range(100), 4) == [12, 37, 62, 87]
    assert spread(range(3), 12) == [0, 1, 2]
    assert spread([], 12) == []


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (450.0, "7 min 30 s"), (7500.0, "2 h 5 min")]
)
def test_durations_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words
