"""The report: one page, whole, escaped, at every stage of a run, in every language."""

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from judged import detections, target
from PIL import Image
from small_reports import NAMES, Page, an_evaluated

from frcnn.config import load_preset, to_toml
from frcnn.data.dataset import Dataset
from frcnn.errors import FrcnnError
from frcnn.evaluation.average_precision import evaluate_detections
from frcnn.evaluation.proposal_recall import ProposalRecall
from frcnn.evaluation.reporting.evaluated import Evaluated
from frcnn.evaluation.reporting.evaluation_values import ORDINARY_PICTURES, WORST_PICTURES
from frcnn.evaluation.reporting.report import run_of, write_report, write_results
from frcnn.evaluation.reporting.texts import texts
from frcnn.evaluation.reporting.training_values import LOSSES
from frcnn.evaluation.results import Evaluation
from frcnn.texts import LANGUAGES


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with its configuration and a training of two epochs."""
    folder = tmp_path / "a <b>run<b>"
    folder.mkdir()
    (folder / "config.toml").write_text(to_toml(load_preset("tiny")))
    write_log(folder, evaluations=2)
    return folder


def write_log(folder: Path, evaluations: int) -> None:
    losses = dict.fromkeys(LOSSES, 0.5)
    lines: list[dict[str, object]] = [{"event": "start", "step": 0, "time": 0}]
    for epoch in range(1, max(evaluations, 1) + 1):
        lines += [
            {"event": "step", "step": 10 * epoch, "epoch": epoch, "time": 60 * epoch, "lr": 0.01, **losses}
            | {"images_per_second": 8.0, "memory_mb": 2500.0}
        ]
        if evaluations:
            lines.append({"event": "evaluation", "step": 10 * epoch, "epoch": epoch, "losses": losses})
            lines[-1] |= {"voc07_map": 0.25, "voc_map": None}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def evaluated(tmp_path: Path) -> Evaluated:
    """One picture for each thing that can happen, with everything that an evaluation may hold."""
    whole = an_evaluated(tmp_path / "data")
    recall = ProposalRecall((50, 300), (0.5, 0.7), ((0.5, 0.75), (0.25, 0.5)), (0.3, 0.4), 6)
    return replace(whole, evaluation=replace(whole.evaluation, proposal_recall=recall, skipped_boxes=2))


def written(*arguments, **named) -> Page:
    return Page(write_report(*arguments, **named).read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_story(run: Path, evaluated: Evaluated, language) -> None:
    path = write_report(run, run, evaluated, language)
    assert path == run / "report.html"
    page, say = Page(path.read_text(encoding="utf-8")), texts(language)
    assert page.all("html") == [{"lang": language}]
    keys = ("heading.quality", "heading.errors", "heading.training", "heading.settings", "heading.pictures")
    keys += ("confusion.title", "confusion.background", "calibration.title", "quality.proposals", "chart.memory")
    for words in (*map(say, keys), *(say(f"loss.{name}") for name in LOSSES)):
        assert words in page.words
    for words in ("tiny", say("duration.minutes", minutes=2, seconds=0), "eel", "200 ms", "2.5 GB", "eel → cat 0.69"):
        assert words in page.words
    assert len(page.all("img")) == 8 + ORDINARY_PICTURES
    assert len([svg for svg in page.all("svg") if svg.get("class") == "chart"]) == 9
    assert len([svg for svg in page.all("svg") if svg.get("class") == "chart bars"]) == 1
    assert len([svg for svg in page.all("svg") if svg.get("class") == "curve"]) == 3
    assert len([table for table in page.all("table") if table["class"] == "sorted"]) == 3


def test_links_lead_to_places_in_the_page(run: Path, evaluated: Evaluated) -> None:
    page = written(run, run, evaluated)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert [link["href"] for link in page.all("a")] == [f"#{name}" for name in ids]
    assert len(set(ids)) == len(ids) == 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_comes_from_outside(run: Path, evaluated: Evaluated, language) -> None:
    text = write_report(run, run, evaluated, language).read_text(encoding="utf-8")
    assert not re.findall(r"[a-z]+://|url\(|@import", text)
    page = Page(text)
    addresses = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all((address or "").startswith(("#", "data:image/jpeg;base64,")) for address in addresses)
    assert not page.all("link")
    assert str(run.parent) not in text


def test_the_pictures_are_pictures(run: Path, evaluated: Evaluated) -> None:
    images = written(run, run, evaluated).all("img")
    for image in images:
        data = base64.b64decode((image["src"] or "").partition(",")[2])
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.format == "JPEG"
            assert picture.size == (int(image["width"] or 0), int(image["height"] or 0)) == (256, 192)
    assert images[0]["alt"] == "Detected: cat 0.84"


def test_pictures_are_few_however_many_there_are(run: Path, evaluated: Evaluated) -> None:
    dataset, evaluation = evaluated.dataset, evaluated.evaluation
    found = evaluation.detections * 20
    examples = tuple(dataset.examples) * 20
    result = evaluate_detections(found, [example.target for example in examples], NAMES)
    many = Evaluated(Dataset(examples, NAMES), replace(evaluation, detections=found, result=result), "test")
    assert len(written(run, run, many).all("img")) == 6 * WORST_PICTURES + ORDINARY_PICTURES


def test_names_are_escaped(run: Path, evaluated: Evaluated) -> None:
    text = write_report(run, run, evaluated).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "a <b>run" not in text
    page = Page(text)
    assert len(page.all("script")) == 1
    assert not page.all("b")[0]
    assert NAMES[1] in page.words


def test_the_same_run_gives_the_same_page(run: Path, evaluated: Evaluated) -> None:
    first = write_report(run, run, evaluated).read_bytes()
    fresh = Evaluated(evaluated.dataset, evaluated.evaluation, evaluated.split)
    assert write_report(run, run, fresh).read_bytes() == first


@pytest.mark.parametrize("evaluations", [0, 1])
def test_a_run_with_no_evaluation_yet_or_a_single_one(run: Path, evaluations: int) -> None:
    write_log(run, evaluations)
    page = written(run, run)
    assert "Not evaluated yet." in page.words
    assert "Loss, all four together" in page.words
    assert ("Validation mAP at IoU .5" in page.words) == bool(evaluations)


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "This run has no training log yet." in written(tmp_path, tmp_path).words


def test_a_run_whose_configuration_cannot_be_read_is_told_without(run: Path) -> None:
    (run / "config.toml").write_text("presett = 1")
    page = written(run, run)
    assert "What was trained" not in page.words
    assert "How the training went" in page.words


def test_an_evaluation_without_a_run(tmp_path: Path, evaluated: Evaluated) -> None:
    page = written(tmp_path, None, evaluated)
    assert f"Report: {tmp_path.name}" in page.words
    assert "Faster R-CNN · classes: 3 · split: test" in page.words
    assert not {"How the training went", "What was trained", "This run has no training log yet."} & set(page.words)


def test_an_evaluation_without_objects_or_detections(run: Path) -> None:
    nothing, truth = detections(names=NAMES), target()
    empty = Evaluation(evaluate_detections([nothing], [truth], NAMES), (nothing,), {}, 0.05, 0.2)
    example = replace(an_evaluated(run).dataset.examples[0], target=truth)
    page = written(run, run, Evaluated(Dataset((example,), NAMES), empty, "val"))
    assert not page.all("img")
    assert "–" in page.words


def test_very_many_classes_are_told_by_their_pairs(run: Path, evaluated: Evaluated) -> None:
    names = tuple(f"class {number}" for number in range(30))
    found = [replace(one, class_names=names) for one in evaluated.evaluation.detections]
    truth = [example.target for example in evaluated.dataset.examples]
    evaluation = Evaluation(evaluate_detections(found, truth, names), tuple(found), {}, 0.05, 0.2)
    page = written(run, run, Evaluated(Dataset(evaluated.dataset.examples, names), evaluation, "test"))
    assert "Most often confused" in page.words
    assert len([table for table in page.all("table") if table["class"] == "sorted"]) == 3  # without proposals
    assert len(page.all("details")) == 2


def test_a_table_of_very_many_classes_scrolls_and_cuts_long_names(run: Path, evaluated: Evaluated) -> None:
    """And that of the kinds of errors, which is short, does not."""
    names = tuple(f"class {number} {'x' * 60}" for number in range(30))
    found = [replace(one, class_names=names) for one in evaluated.evaluation.detections]
    truth = [example.target for example in evaluated.dataset.examples]
    evaluation = Evaluation(evaluate_detections(found, truth, names), tuple(found), {}, 0.05, 0.2)
    page = written(run, run, Evaluated(Dataset(evaluated.dataset.examples, names), evaluation, "test"))
    scrolling = [card["class"] for card in page.all("div") if "scroll" in (card.get("class") or "")]
    assert (scrolling[0], scrolling[1:].count("card scroll long")) == ("card scroll long", 0)
    titles = {name["title"] for name in page.all("span") if name.get("class") == "name" and "title" in name}
    assert titles >= set(names)
    few = written(run, run, evaluated)
    assert "card scroll long" not in [card.get("class") for card in few.all("div")]


def test_all_that_an_evaluation_leaves(tmp_path: Path, evaluated: Evaluated) -> None:
    write_results(tmp_path / "out", evaluated, language="ko")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"metrics.json", "per_class.csv", "errors", "report.html"}  # without an analysis no plots
    assert Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8")).all("html") == [{"lang": "ko"}]


def test_a_disk_that_refuses_is_named(run: Path) -> None:
    (run / "report.html").mkdir()
    with pytest.raises(FrcnnError, match=r"report\.html"):
        write_report(run, run)


def test_the_run_of_a_model(run: Path, tmp_path: Path) -> None:
    """A model file beside a run's configuration and log; not a name, nor a model in memory."""
    (run / "best.safetensors").write_text("")
    assert run_of(run / "best.safetensors") == run_of(str(run / "best.safetensors")) == run
    (tmp_path / "alone.safetensors").write_text("")
    for other in (tmp_path / "alone.safetensors", run / "absent.safetensors", "resnet50_fpn", object()):
        assert run_of(other) is None
