import json

import pytest

from frcnn.benchmarking import run as library
from frcnn.benchmarking.rows import Measurement, Row


@pytest.fixture
def quick(monkeypatch):
    """One group is measured at once."""
    row = Row("ops", "NMS", 0.002, {"torchvision": 0.1})
    monkeypatch.setattr(library, "GROUPS", {"ops": lambda setting: iter([Measurement("NMS", lambda: [row])])})


def test_a_table_and_what_is_going_on(run, quick):
    outcome = run("benchmark", "--only", "ops")
    assert outcome.status == 0
    assert outcome.error == "measuring: NMS\n"
    assert "50.00" in outcome.out


def test_json_on_standard_output_and_in_a_file(run, quick, tmp_path):
    outcome = run("benchmark", "--json", "--out", tmp_path / "new" / "speed.json", "--runs", 1)
    assert outcome.status == 0
    assert json.loads(outcome.out) == json.loads((tmp_path / "new" / "speed.json").read_text())
    assert json.loads(outcome.out)["rows"][0]["ratios"] == {"torchvision": 50.0}


def test_markdown(run, quick):
    assert run("benchmark", "--markdown").out.startswith("| work | frcnn |")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--only speed", "--only speed: it is ops"),
        ("--only ,", "--only: names no group; it is ops"),
        ("--only ops,speed", "--only speed: it is ops"),
        ("--json --markdown", "--json and --markdown: one of them"),
        ("--runs 0", "--runs"),
        ("tiny --only ops", "leave --only out"),
        ("--out .", "is no place for a file"),
        ("--device abacus", "abacus"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(run, quick, arguments, says):
    outcome = run("benchmark", *arguments.split())
    assert outcome.status == 2
    assert outcome.out == ""
    assert says in outcome.error
    assert outcome.error.count("\n") == 1


def test_a_model_that_is_not_there(run, quick):
    outcome = run("benchmark", "absent.safetensors")
    assert outcome.status == 1
    assert outcome.error.count("\n") == 1
