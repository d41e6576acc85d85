"""The study of schedules: what it plans and leaves out, a file of results that a kill has torn, and its tables."""

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from scripts import load_script

from frcnn.config import load_preset, override
from frcnn.errors import FrcnnError

RUNNABLE = ("--data", "VOC2007", "--backbone", "none")


@pytest.fixture(scope="module")
def study() -> ModuleType:
    return load_script("schedules")


def asked(study: ModuleType, results: Path, *words: str) -> argparse.Namespace:
    return study.arguments(["--results", str(results), *RUNNABLE, *words])


def line_of(run, score: float | None = 0.5, **more) -> dict:
    """What a finished run leaves; `score` is every number in it."""
    recall = {"counts": [50, 100, 300, 1000, 2000], "thresholds": [0.5, 0.6, 0.7, 0.8, 0.9]}
    recall |= {"recall": [[score] * 5] * 5, "average_recall": [score] * 5}
    line = {"preset": run.preset, "schedule": run.schedule, "seed": run.seed, "epochs": run.epochs}
    if run.ablation:
        line |= {"ablation": run.ablation, "variant": run.variant}
    return line | {"voc07_map": score, "voc_map": score, "minutes": 9.0, "proposal_recall": recall} | more


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]


def test_seed_by_seed_and_cheap_ones_first(study, tmp_path) -> None:
    plan = study.planned(asked(study, tmp_path / "r", "--seeds", "4", "2", "--epochs", "7"))
    assert [(run.seed, run.schedule, run.preset) for run in plan] == [
        (seed, schedule, preset)
        for seed in (4, 2)
        for schedule in ("joint", "exact", "alternating")
        for preset in ("mobilenet_v2_c4", "mobilenet_v2_fpn")
    ]
    assert {run.epochs for run in plan} == {7}
    assert len({run.key for run in plan}) == len({run.folder for run in plan}) == len(plan)


def test_the_ablations_change_what_exists(study, tmp_path) -> None:
    others = study.planned(asked(study, tmp_path / "r", "--ablations", "--ablation-seed", "3"))
    plain = study.Run("mobilenet_v2_c4", "joint", 3, 6)
    assert [(run.ablation, run.variant) for run in others] == [
        *(("proposals", count) for count in ("50", "100", "300", "1000")),
        *(("anchors", shape) for shape in ("1x1", "1x3", "4x1")),
        *(("lambda", weight) for weight in ("0.1", "1", "10")),
    ]
    preset = load_preset("mobilenet_v2_c4")
    models = {run.variant: override(preset, run.changes).model for run in others if run.changes}
    assert (models["1x3"].anchors.sizes, models["1x3"].anchors.ratios) == (((128.0,),), (0.5, 1.0, 2.0))
    assert (models["4x1"].anchors.sizes, models["4x1"].anchors.ratios) == (((32.0, 64.0, 128.0, 256.0),), (1.0,))
    assert (models["10"].rpn.box_weight, models["10"].rpn.box_normaliser) == (10, "locations")
    trained = [run for run in others if run.changes]
    assert len({run.folder for run in trained} | {plain.folder}) == len(trained) + 1
    assert {run.folder for run in others if run.proposals} == {plain.folder}  # of the training as it is


def test_what_is_finished_is_left_out_and_what_fails_does_not_stop_the_others(study, tmp_path, monkeypatch) -> None:
    wanted = asked(study, tmp_path / "new" / "r.jsonl", "--schedules", "joint", "exact", "--seeds", "0", "1")
    plan = study.planned(wanted)
    study.append(wanted.results, line_of(plan[0]))
    study.append(wanted.results, line_of(plan[1]._replace(epochs=1)))  # another run
    study.append(wanted.results, line_of(plan[2]._replace(ablation="lambda", variant="1")))  # so is this
    begun: list = []

    def measured(run, _):
        begun.append(run)
        if run == plan[3]:
            raise FrcnnError("the loss is not finite")
        return line_of(run)

    monkeypatch.setattr(study, "measured", measured)
    assert study.work(wanted) == [f"{plan[3].folder}: the loss is not finite"]
    assert begun == plan[1:]
    begun.clear()
    study.work(wanted)
    assert begun == [plan[3]]


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ((), "start"),
        (("config.toml", "metrics.jsonl"), "start"),
        (("config.toml", "state/step_00000250.safetensors"), "resume"),
        (("config.toml", "step_2/state/step_00000250.safetensors"), "resume"),
        (("last.safetensors", "state/step_00000250.safetensors"), "nothing"),
    ],
)
def test_a_run_goes_on_from_where_it_stopped(study, tmp_path, monkeypatch, there, expected) -> None:
    wanted = asked(study, tmp_path / "r", "--runs", str(tmp_path / "runs"))
    run = study.Run("tiny", "exact", 5, 2, "lambda", "10", ("model.rpn.box_weight=10",))
    for name in there:
        (tmp_path / "runs" / run.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / run.folder / name).touch()
    calls: list[dict] = []

    def train(preset, data, folder, **settings):
        calls.append({"preset": preset, "data": data, **settings})
        return folder

    monkeypatch.setattr(study, "frcnn", SimpleNamespace(train=train))
    assert study.trained(run, wanted) == tmp_path / "runs" / run.folder
    if expected == "nothing":
        assert calls == []
        return
    (call,) = calls
    assert (call["preset"], call["data"]) == ("tiny", Path("VOC2007"))
    assert call["resume"] == (expected == "resume")  # of other settings than there it is refused
    assert (call["schedule"], call["precision"], call["backbone"]) == ("exact", "bfloat16", "none")
    settings = override(load_preset("tiny"), call["overrides"])
    assert (settings.train.epochs, settings.train.seed, settings.data.validation) == (2, 5, 0)
    assert settings.model.rpn.box_weight == 10


def test_a_torn_line_is_passed_over_and_spoils_no_other(study, tmp_path) -> None:
    results, (one, other) = tmp_path / "r.jsonl", (study.Run("tiny", "joint", seed, 6) for seed in (0, 1))
    study.append(results, line_of(one))
    whole = results.read_bytes()
    results.write_bytes(whole + json.dumps(line_of(other)).encode()[:40])
    assert study.finished(results) == {one.key: line_of(one)}
    study.append(results, line_of(other))
    assert study.finished(results) == {one.key: line_of(one), other.key: line_of(other)}
    assert results.read_bytes().startswith(whole)


def test_no_results_yet(study, tmp_path) -> None:
    assert study.finished(tmp_path / "absent.jsonl") == {}


def test_minutes_are_summed_over_starts_and_steps(study, tmp_path) -> None:
    for step, times in (("step_1", (0, 60)), ("step_2", (500, 590))):
        (tmp_path / step).mkdir()
        events = zip(("start", "step"), times, strict=True)
        lines = [json.dumps({"event": event, "step": 0, "time": time}) for event, time in events]
        (tmp_path / step / "metrics.jsonl").write_text("\n".join(lines))
    assert study.minutes(tmp_path) == 2.5


def test_the_summary_s_numbers(study, tmp_path) -> None:
    """Means .5, deviations .1; and one seed of three."""
    wanted = asked(study, tmp_path / "r", "--presets", "tiny", "--schedules", "joint", "exact", "alternating")
    joint = [study.Run("tiny", "joint", seed, 6) for seed in range(3)]
    lines = [line_of(run, score) for run, score in zip(joint, (0.4, 0.5, 0.6), strict=True)]
    lines += [line_of(study.Run("tiny", "exact", 1, 6), 0.25, minutes=12.34)]
    lines += [line_of(study.Run("tiny", "exact", 2, 5), 0.9)]  # of other epochs: of another study
    lines += [line_of(joint[0]._replace(schedule="exact", ablation="lambda", variant="1"), 0.9)]
    schedules, recall = study.summary({study.key_of(line): line for line in lines}, wanted).split("\n\n")[:2]
    spread = "0.500 ± 0.100"
    assert rows(schedules)[2:] == [
        ["tiny", "joint", "3", spread, spread, "9.0 ± 0.0", *[spread] * 5],
        ["tiny", "exact", "1 of 3", "0.250", "0.250", "12.3", *["0.250"] * 5],
        ["tiny", "alternating", "0 of 3", *["–"] * 8],
    ]
    assert rows(schedules)[0][6:] == [f"AR at {count}" for count in (50, 100, 300, 1000, 2000)]
    assert rows(recall)[2] == ["tiny", "joint", "0.5", *[spread] * 5]
    ious = ("0.5", "0.6", "0.7", "0.8", "0.9")
    assert [row[1:3] for row in rows(recall)[2:]] == [[name, iou] for name in ("joint", "exact") for iou in ious]


def test_recall_stands_under_its_count_and_beside_its_iou(study) -> None:
    line = {
        "proposal_recall": {
            "counts": [50, 300],
            "thresholds": [0.5, 0.55, 0.7],
            "recall": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]],
            "average_recall": [0.7, 0.8],
        }
    }
    assert study.recall(line, 0.7, 50) == 0.5
    assert study.average_recall(line, 300) == 0.8


def test_ablations_have_a_table_once_there_are_some(study, tmp_path) -> None:
    wanted = asked(study, tmp_path / "r")
    plain, fifty = study.Run("mobilenet_v2_c4", "joint", 0, 6), study.ablations(wanted)[0]
    lines = {plain.key: line_of(plain, 0.4)}
    assert "ablation" not in study.summary(lines, wanted)
    table = study.summary(lines | {fifty.key: line_of(fifty, 0.3)}, wanted).split("\n\n")[2]
    assert rows(table)[2:4] == [["proposals", "50", "0.300", "0.300", "0.300"], ["proposals", "100", "–", "–", "–"]]


def test_a_set_without_objects_has_no_mean(study) -> None:
    assert study.spread([None, None]) == "–"
    assert study.spread([None, 0.25]) == "0.250"


def test_data_and_backbone_may_be_left_out_for_the_summary_alone(study, tmp_path, capsys) -> None:
    assert study.arguments(["--results", "r", "--summary"]).summary
    with pytest.raises(SystemExit):
        study.arguments(["--results", "r"])
    assert "--data and --backbone" in capsys.readouterr().err


def test_no_commit_where_there_is_no_checkout(study, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert sys.modules["results_file"].commit(tmp_path) is None  # the study has loaded it
