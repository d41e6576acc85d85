"""What ends a training that was begun at the command line: one line, an honest status, and nothing lost."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frcnn.data.sample import write_sample
from frcnn.evaluation.history import read_metrics
from frcnn.training.checkpoint import newest_state

pytestmark = [
    pytest.mark.slow,  # each run imports torch
    pytest.mark.skipif(sys.platform != "linux", reason="finds children in /proc"),
]

SETTINGS = (
    "model.input.short_side=64",
    "model.input.long_side=96",
    "data.workers=2",
    "train.batch_size=2",
    "train.log_every=1",
    "train.checkpoint_every=1000",
)
LONG = (*SETTINGS, "train.steps=1000")
SHORT = (*SETTINGS, "train.steps=12")
LIMIT = 120  # seconds after which a run hangs
STOPPED = "Go on with the same command and --resume."
Begin = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("drawn") / "data", 24)


@pytest.fixture
def begin(data: Path) -> Iterator[Begin]:
    """`frcnn train`, which resumes where no settings are given; what is left of it ends with the test."""
    begun: list[subprocess.Popen[str]] = []

    def command(out: Path, *settings: str) -> subprocess.Popen[str]:
        words = ("--set", *settings) if settings else ("--resume",)
        begun.append(
            subprocess.Popen(
                [sys.executable, "-m", "frcnn", "train", "tiny", "--data", data, "--out", out, *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        )
        return begun[-1]

    yield command
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status, what was said, and what was complained of."""
    said, complaints = process.communicate(timeout=LIMIT)
    return process.returncode, said, complaints


def steps(out: Path) -> list[int]:
    return [line["step"] for line in read_metrics(out / "metrics.jsonl") if line["event"] == "step"]


def wait_until(seen: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT
    while not seen():
        assert time.monotonic() < limit
        time.sleep(0.005)


def wait_for_step(out: Path, step: int) -> None:
    wait_until(lambda: step in steps(out))


def children(process: subprocess.Popen[str]) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.mark.parametrize("whom", ["the process", "all processes"])
def test_sigterm_keeps_what_was_learnt(tmp_path, begin, whom) -> None:
    """`kill` and docker send it to the one, slurm to all."""
    whole, out = tmp_path / "whole", tmp_path / "run"
    assert ended(begin(whole, *SHORT))[0] == 0
    process = begin(out, *SHORT)
    wait_for_step(out, 4)
    (os.kill if whom == "the process" else os.killpg)(process.pid, signal.SIGTERM)
    status, said, complaints = ended(process)
    assert (status, complaints) == (143, "frcnn: terminated\n")
    assert f"Stopped after step {steps(out)[-1]}. {STOPPED}" in said
    assert ended(begin(out))[0] == 0
    assert (out / "last.safetensors").read_bytes() == (whole / "last.safetensors").read_bytes()
    assert steps(out) == list(range(1, 13))


@pytest.mark.skipif(shutil.which("setsid") is None, reason="setsid is not installed")
def test_a_closed_terminal_keeps_what_was_learnt(data, tmp_path) -> None:
    """As at the end of an ssh session: nothing can be said any more, to anybody."""
    out = tmp_path / "run"
    ours, theirs = pty.openpty()
    command = ("-m", "frcnn", "train", "tiny", "--data", data, "--out", out, "--set", *LONG)
    process = subprocess.Popen(
        ["env", "--default-signal=HUP", "setsid", "--ctty", sys.executable, *command],  # nohup would have it ignored
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    os.close(theirs)
    try:
        limit = time.monotonic() + LIMIT
        while 4 not in steps(out):
            assert time.monotonic() < limit
            if select.select([ours], [], [], 0.01)[0]:
                os.read(ours, 1 << 16)
        os.close(ours)
        process.wait(LIMIT)
    finally:
        process.kill()
        process.wait()
    left = newest_state(out / "state")
    assert left is not None
    assert left.name == f"step_{steps(out)[-1]:08d}.safetensors"


def test_a_loading_process_that_is_killed(tmp_path, begin) -> None:
    """As the system does where memory ends."""
    out = tmp_path / "run"
    process = begin(out, *LONG)
    wait_for_step(out, 3)
    os.kill(children(process)[0], signal.SIGKILL)
    status, said, complaints = ended(process)
    assert status == 1
    assert complaints.startswith("frcnn: a process that loads pictures was killed, most likely because memory")
    assert complaints.count("\n") == 1
    newest = newest_state(out / "state")
    assert newest is not None
    assert f"Stopped after step {int(newest.stem[5:])}. {STOPPED}" in said


def test_a_folder_in_which_another_training_is_under_way_is_left_alone(tmp_path, begin) -> None:
    """Also one that was begun at the same time, when there was no state yet; the death of the first sets it free."""
    out = tmp_path / "run"
    first, second = begin(out, *LONG), begin(out, *LONG)
    wait_until(lambda: first.poll() is not None or second.poll() is not None)
    refused, going_on = (first, second) if first.poll() is not None else (second, first)
    status, _, complaints = ended(refused)
    assert (status, complaints.count("\n")) == (2, 1)
    assert complaints.startswith(f"frcnn: {out}: another training is under way there")
    wait_for_step(out, 3)
    os.kill(going_on.pid, signal.SIGKILL)  # the processes that load its pictures live a little longer
    going_on.wait()
    resumed = begin(out)
    wait_until(lambda: read_metrics(out / "metrics.jsonl")[-1]["event"] == "resume")
    resumed.send_signal(signal.SIGINT)
    assert ended(resumed)[0] == 130
    going_on.communicate()


@pytest.mark.parametrize("library", ["_multiarray_umath", "libtorch_cpu", "torchvision"])
def test_ctrl_c_while_it_imports(tmp_path, begin, library) -> None:
    """numpy, torch or torchvision, of which half an import is worse than none."""
    process = begin(tmp_path / "run", *LONG)
    wait_until(lambda: library in Path(f"/proc/{process.pid}/maps").read_text())
    os.killpg(process.pid, signal.SIGINT)
    assert ended(process) == (130, "", "frcnn: interrupted\n")
    assert not (tmp_path / "run").exists()
