import os
import subprocess
import sys
from importlib.metadata import version

import pytest

VERBS = ["demo", "train", "evaluate", "predict", "benchmark", "presets", "data sample"]


def test_version(run):
    assert run("--version") == (0, f"frcnn {version('frcnn')}\n", "")


def test_alone_it_shows_what_it_can_do(run):
    outcome = run()
    assert outcome.status == 0
    for verb in VERBS:
        assert verb.split()[0] in outcome.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(run, verb):
    outcome = run(*verb.split(), "--help")
    assert outcome.status == 0
    assert f"Example: frcnn {verb}" in outcome.out
    assert "╭" not in outcome.out


def test_data_has_help_with_an_example(run):
    outcome = run("data", "--help")
    assert outcome.status == 0
    assert "Example: frcnn data sample" in outcome.out


def test_help_does_not_wait_for_torch():
    code = "import sys, frcnn.cli; print([name for name in ('torch', 'numpy', 'PIL') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)]
)
def test_threads_wait_a_little_unless_the_user_says_how(run, monkeypatch, given, spins):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    run("--version")
    assert os.environ.get("GOMP_SPINCOUNT") == spins
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)


def test_it_is_also_a_module():
    done = subprocess.run([sys.executable, "-m", "frcnn", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("frcnn ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("detect", "No such command 'detect'"),
        ("--bogus", "No such option: --bogus"),
        ("train", "Missing argument 'PRESET'"),
        ("train tiny", "Missing option '--data'"),
        ("train tiny --data a --bogus", "No such option: --bogus"),
        ("train tiny --data a --precision half", "'half' is not one of 'float32', 'bfloat16'"),
        ("evaluate m --data a --split all", "'all' is not one of"),
        ("evaluate m --data a --score 3", "--score"),
        ("predict", "Missing argument 'MODEL'"),
        ("predict m", "Missing argument 'SOURCE...'"),
        ("presets tiny", "unexpected extra argument"),
        ("data", "Missing command"),
        ("data sample", "Missing argument 'DIR'"),
        ("data sample x --seed y", "--seed"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(run, arguments, says):
    outcome = run(*arguments.split())
    assert outcome.status == 2
    assert outcome.out == ""
    assert says in outcome.error
    assert outcome.error.startswith("frcnn: ")
    assert outcome.error.count("\n") == 1
    assert "--help" in outcome.error
    assert "│" not in outcome.error


def test_wrong_usage_names_the_help_of_its_verb(run):
    assert "(see frcnn train --help)" in run("train").error
