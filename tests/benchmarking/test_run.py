from functools import partial

import pytest

from frcnn.benchmarking import run
from frcnn.benchmarking.rows import Measurement, Row
from frcnn.errors import ModelFileError, UsageError


@pytest.fixture
def quick(monkeypatch):
    """Groups that measure nothing."""

    def group(name, setting, model=None):
        work = name if model is None else f"{name} of {model}"
        yield Measurement(work, lambda: [Row(name, work, 1.0, {"runs": float(setting.runs)})])

    monkeypatch.setattr(run, "GROUPS", {name: partial(group, name) for name in run.GROUPS})
    monkeypatch.setattr(run, "inference_measurements", partial(group, "inference"))


def test_all_groups_by_default_each_said_before_it_is_measured(quick):
    said = []
    report = run.benchmark(progress=said.append)
    assert said == [row.work for row in report.rows] == ["ops", "inference", "training", "data"]
    assert {row.peers["runs"] for row in report.rows} == {5.0}
    assert report.machine["device"] in ("cpu", report.machine["device"])


def test_some_groups_in_the_order_of_all(quick):
    assert [row.work for row in run.benchmark(only=["data", "ops"], runs=2, device="cpu").rows] == ["ops", "data"]


def test_a_model_means_its_inference(quick):
    rows = run.benchmark("tiny", only=["inference"], device="cpu").rows
    assert [row.work for row in rows] == ["inference of tiny"]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"only": ["speed"]}, UsageError, "--only speed: it is ops, inference, training, data"),
        ({"runs": 0}, UsageError, "runs must be at least 1"),
        ({"model": "tiny", "only": ["ops"]}, UsageError, "leave --only out"),
        ({"model": "absent.safetensors"}, ModelFileError, "absent.safetensors: there is no such model file"),
        ({"device": "abacus"}, UsageError, "abacus"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_measured(quick, arguments, error, says):
    said = []
    with pytest.raises(error, match=says):
        run.benchmark(**arguments, progress=said.append)
    assert said == []


def test_memory_belongs_to_training_and_tutorials_to_ops():
    setting = run.Setting()
    names = {group: [m.name for m in run.GROUPS[group](setting)] for group in run.GROUPS}
    assert [len(of_group) for of_group in names.values()] == [9, 2, 6, 2]
    assert sum("peak memory" in name for name in names["training"]) == 4
