import json
from pathlib import Path

import pytest
from PIL import Image
from small_reports import Page

from frcnn.config import load_preset, to_toml
from frcnn.weights.build import build
from frcnn.weights.model_file import save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    save_model(build("tiny", ["cat", "dog"]), path)
    return path


@pytest.fixture
def two(make_voc) -> tuple[Path, Path]:
    pictures = {"a": [("cat", (1, 1, 20, 30))], "b": [("dog", (5, 5, 40, 40)), ("cat", (10, 10, 30, 30), True)]}
    splits = {"test": ["a", "b"], "val": ["a"]}
    return make_voc(pictures, splits, name="one"), make_voc(pictures, splits, name="two")


def test_a_table_for_people(run, model, two):
    outcome = run("evaluate", model, "--data", two[0])
    assert (outcome.status, outcome.error) == (0, "")
    for word in ("cat", "dog", "VOC07", "COCO", "AP50", "mean"):
        assert word in outcome.out


def test_json_is_what_metrics_json_holds(run, model, two, tmp_path):
    outcome = run("evaluate", model, "--data", *two, "--out", tmp_path / "evaluation", "--json", "--score", 0.3)
    assert (outcome.status, outcome.error) == (0, "")
    metrics = json.loads(outcome.out)
    assert metrics == json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert (metrics["images"], metrics["objects"], metrics["score_threshold"]) == (4, 4, 0.3)
    assert (tmp_path / "evaluation" / "per_class.csv").read_text().count("\n") == 3
    assert {"coco", "operating_points", "confusion", "calibration", "errors"} < set(metrics)
    assert all((tmp_path / "evaluation" / name).is_file() for name in ("pr_curves.png", "confusion.png"))


def test_another_split(run, model, two):
    assert json.loads(run("evaluate", model, "--data", two[0], "--split", "val", "--json").out)["images"] == 1


def test_a_bad_box_is_refused_unless_it_may_be_left_out(run, model, make_voc):
    """The refusal names the option that leaves it out."""
    root = make_voc({"a": [("cat", (1, 1, 20, 30)), ("dog", (30, 5, 9, 40))]}, {"test": ["a"]})
    refused = run("evaluate", model, "--data", root)
    assert refused.status == 1
    assert "a.xml" in refused.error
    assert "--bad-boxes skip" in refused.error
    skipped = run("evaluate", model, "--data", root, "--bad-boxes", "skip", "--json")
    metrics = json.loads(skipped.out)
    assert (skipped.status, metrics["objects"], metrics["skipped_boxes"]) == (0, 1, 1)


def test_a_file_above_the_results_is_found_before_the_work(run, model, tmp_path):
    (tmp_path / "file").write_text("")
    refused = run("evaluate", model, "--data", tmp_path / "absent", "--out", tmp_path / "file" / "results")
    assert (refused.status, f"{tmp_path / 'file'}: is a file" in refused.error) == (2, True)


def test_a_report_in_the_language_asked_for(run, model, two, tmp_path):
    """Alone, and with the training's curves where the model lies in a run."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "best.safetensors").write_bytes(model.read_bytes())
    (folder / "config.toml").write_text(to_toml(load_preset("tiny")))
    steps = [{"event": "step", "step": step, "epoch": 1, "time": step, "lr": 0.01, "total": 0.5} for step in (1, 2)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    outcome = run("evaluate", folder / "best.safetensors", "--data", two[0], "--out", folder / "evaluation")
    assert f"Look at {folder / 'evaluation' / 'report.html'}" in outcome.out
    page = Page((folder / "evaluation" / "report.html").read_text(encoding="utf-8"))
    assert {"Report: run", "Loss, all four together", "How good it is"} <= set(page.words)
    run("evaluate", model, "--data", two[0], "--out", tmp_path / "alone", "--lang", "ko")
    page = Page((tmp_path / "alone" / "report.html").read_text(encoding="utf-8"))
    assert page.all("html") == [{"lang": "ko"}]
    assert {"보고서: alone", "성능"} <= set(page.words)
    assert "학습 과정" not in page.words


def test_a_language_that_is_not_there_is_wrong_usage(run, model, two):
    refused = run("evaluate", model, "--data", two[0], "--lang", "de")
    assert refused.status == 2
    assert "'de'" in refused.error


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_pictures_that_are_not_drawn_are_told_of(run, tmp_path, more):
    names = [f"{letter}.jpg" for letter in "abcd"]
    for name in names:
        Image.new("RGB", (40, 80)).save(tmp_path / name)
    truth = {
        "images": [{"id": i, "file_name": name, "height": 40, "width": 80} for i, name in enumerate(names)],
        "annotations": [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "test.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text("[]")
    data = ("--data", tmp_path / "test.json", "--out", tmp_path / "out")
    outcome = run("evaluate", tmp_path / "found.json", *data, *more)
    assert outcome.status == 0
    assert outcome.error == (
        "frcnn: 4 pictures (a.jpg, b.jpg, c.jpg ...) are not of the size that their annotations say, and not drawn: "
        "frcnn data check tells such pictures\n"
    )


def test_letters_that_pictures_lack_are_told_of_once(run, make_voc, tmp_path, without_fonts):
    save_model(build("tiny", ["고양이"]), tmp_path / "model.safetensors")
    data = ("--data", make_voc({"a": [("고양이", (1, 1, 20, 30))]}, {"test": ["a"]}))
    assert run("evaluate", tmp_path / "model.safetensors", *data).error == ""
    outcome = run("evaluate", tmp_path / "model.safetensors", *data, "--out", tmp_path / "out")
    assert outcome.error.startswith("frcnn: no font was found for 고, 양, 이: ")
    assert outcome.error.count("\n") == 1
