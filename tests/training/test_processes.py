"""Processes that train together, as torchrun starts them: the numbers of one process, and one fate."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from frcnn.data.dataset import training_splits
from frcnn.data.order import training_order
from frcnn.data.sample import write_sample
from frcnn.evaluation.history import read_metrics
from frcnn.training.begin import train
from frcnn.training.checkpoint import newest_state, read_progress

pytestmark = pytest.mark.slow  # each process imports torch

SMALL = (
    "model.input.short_side=64",
    "model.input.long_side=96",
    "data.workers=1",
    "train.warmup_steps=5",
    "train.log_every=1",
    "train.checkpoint_every=3",
    "train.precision=float32",
)
LIMIT = 120  # seconds after which a run hangs


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("drawn") / "data", 24)


def torchrun(data: Path, out: Path, *settings: str, restarts: int = 0) -> subprocess.Popen[str]:
    """Two processes that train together, or go on where no settings are given."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", f"--max-restarts={restarts}")
    words = ("--set", *SMALL, *settings) if settings else ("--resume",)
    request = ("-m", "frcnn", "train", "tiny", "--data", data, "--out", out, *words)
    return subprocess.Popen(
        [sys.executable, *launcher, *request],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


@pytest.fixture
def begin() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`torchrun`; what is left of its processes ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def begun(*words, **options) -> subprocess.Popen[str]:
        started.append(torchrun(*words, **options))
        return started[-1]

    yield begun
    for process in started:
        if process.poll() is None:
            process.terminate()  # torchrun ends its processes; killed, it would leave them
            process.communicate(timeout=LIMIT)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and all that was said."""
    said, _ = process.communicate(timeout=LIMIT)
    return process.returncode, said


def rank(process: subprocess.Popen[str], number: int) -> int:
    """The process id of one of those that torchrun has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    wanted = f"RANK={number}".encode()
    return next(int(c) for c in children if wanted in Path(f"/proc/{c}/environ").read_bytes().split(b"\0"))


def wait_until(seen: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT
    while not seen():
        assert time.monotonic() < limit
        time.sleep(0.01)


def wait_for_step(out: Path, step: int) -> None:
    wait_until(lambda: any(line["step"] >= step for line in losses(out)))


def starts(out: Path) -> int:
    """The first one is one too."""
    return sum(line["event"] in ("start", "resume") for line in read_metrics(out / "metrics.jsonl"))


MOMENTARY = ("event", "time", "images_per_second", "memory_mb")


def losses(out: Path) -> list[dict[str, float]]:
    """Of every step, and what else must be the same."""
    told = [line for line in read_metrics(out / "metrics.jsonl") if line["event"] == "step"]
    return [{key: line[key] for key in line if key not in MOMENTARY} for line in told]


DOUBLE = ("train.precision=float64", "model.head.dropout=0")


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        (("train.batch_size=5", "train.steps=20"), 20),  # shares of three and two
        (("train.batch_size=5", "train.steps=8", "train.accumulate=2"), 8),  # pieces of three and two
        (("train.batch_size=1", "train.steps=8"), 8),  # the second process has a stand-in
        (("train.batch_size=3", "train.steps=2", "train.schedule=alternating", "train.ema_decay=0.9"), 8),
    ],
    ids=["uneven", "accumulated", "stand-in", "alternating"],
)
def test_two_processes_have_the_losses_of_one(data, tmp_path, begin, settings, steps) -> None:
    """In float64, where rounding cannot turn one choice between proposals into another."""
    process = begin(data, tmp_path / "two", *settings, *DOUBLE)
    console = Console(file=io.StringIO())
    train("tiny", data, tmp_path / "one", overrides=(*SMALL, *settings, *DOUBLE), console=console)
    status, said = ended(process)
    assert status == 0, said
    assert "2 processes" in said
    assert ("1 of 2 processes have a picture in each step" in said) is ("train.batch_size=1" in settings)
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == len(two) == steps
    for of_one, of_two in zip(one, two, strict=True):
        assert of_two == pytest.approx(of_one, rel=1e-9, abs=1e-9)  # sums in another order: 1e-11 is measured


SINGLE = ("train.batch_size=4", "train.steps=20", "train.optimizer=sgd", "train.lr=0.0005", "model.head.dropout=0")


def test_in_single_precision_they_part_by_rounding(data, tmp_path, begin) -> None:
    """Small steps, so that no choice between nearly equal scores is turned: then rounding is all there is."""
    process = begin(data, tmp_path / "two", *SINGLE)
    train("tiny", data, tmp_path / "one", overrides=(*SMALL, *SINGLE), console=Console(file=io.StringIO()))
    status, said = ended(process)
    assert status == 0, said
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == len(two) == 20
    for of_one, of_two in zip(one, two, strict=True):
        for name in ("rpn_objectness", "rpn_box", "head_class", "head_box"):
            assert of_two[name] == pytest.approx(of_one[name], abs=1e-4)  # 3e-6 is measured
    assert one[-1]["total"] < 0.7 * one[0]["total"]  # it does learn


FEW = ("train.batch_size=3", "train.steps=12", "train.ema_decay=0.9")


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The last weights of two processes that nobody disturbs."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    with torchrun(data, out, *FEW) as process:
        status, said = ended(process)
    assert status == 0, said
    return (out / "last.safetensors").read_bytes()


def test_a_picture_that_only_one_process_loads_ends_both_and_costs_no_step(tmp_path, begin, undisturbed) -> None:
    """It is named; what the first process had begun of the step is taken back: once mended, nothing has happened."""
    data, out = write_sample(tmp_path / "data", 24), tmp_path / "run"
    learnt, _ = training_splits([data], 0.1, 0)
    batches = list(enumerate(training_order(learnt, 3, 0, 0, group_by_aspect=True)))
    done, batch = next((number, batch) for number, batch in batches[3:] if len(batch) > 1)
    broken = learnt.examples[batch[1]].picture  # every other one is the second process's
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-500])
    process = begin(data, out, *FEW, "train.checkpoint_every=1000")
    wait_for_step(out, done)
    start = time.monotonic()
    status, said = ended(process)
    assert time.monotonic() - start < 30  # processes that wait for one another would do so for hours
    assert status == 1
    assert f"frcnn: {broken}: cannot be read as a picture" in said
    assert "unexpected" not in said
    assert said.count("frcnn: process 1 of 2: ") >= 1  # the first process's, and at its end in torchrun's report
    assert f"Stopped after step {done}. Go on with the same command and --resume." in said
    broken.write_bytes(whole)
    status, said = ended(begin(data, out))
    assert status == 0, said
    assert f"Resuming after step {done}" in said
    assert (out / "last.safetensors").read_bytes() == undisturbed


def test_a_process_that_is_killed_is_started_again_and_nothing_is_lost(data, tmp_path, begin, undisturbed) -> None:
    """First the one that only computes, then the one that writes as well."""
    out = tmp_path / "run"
    process = begin(data, out, *FEW, restarts=2)
    wait_for_step(out, 4)
    os.kill(rank(process, 1), signal.SIGKILL)
    wait_until(lambda: starts(out) == 2)
    wait_for_step(out, 8)
    os.kill(rank(process, 0), signal.SIGKILL)
    status, said = ended(process)
    assert status == 0, said
    assert starts(out) == 3
    assert [line["step"] for line in losses(out)] == list(range(1, 13))
    assert (out / "last.safetensors").read_bytes() == undisturbed


def test_ctrl_c_keeps_what_was_learnt(data, tmp_path, begin, undisturbed) -> None:
    """Sent to torchrun, which hands it on to both; no state is due before the end."""
    out = tmp_path / "run"
    process = begin(data, out, *FEW, "train.checkpoint_every=1000", "data.validation=0.1")
    wait_for_step(out, 1)
    os.kill(rank(process, 1), signal.SIGINT)  # comes to it first, and the other one still needs it
    wait_for_step(out, 3)
    process.send_signal(signal.SIGINT)
    status, said = ended(process)
    assert status != 0
    assert "unexpected" not in said
    newest = newest_state(out / "state")
    assert newest is not None, said
    progress = read_progress(newest)
    assert progress is not None
    assert progress.step == losses(out)[-1]["step"] >= 3
    assert f"Stopped after step {progress.step}. Go on with the same command and --resume." in said
    status, said = ended(begin(data, out))
    assert status == 0, said
    assert (out / "last.safetensors").read_bytes() == undisturbed


def test_sigterm_keeps_what_was_learnt(data, tmp_path, begin, undisturbed) -> None:
    """As slurm and docker send it: to torchrun and to all that it has started, in any order."""
    out = tmp_path / "run"
    process = begin(data, out, *FEW, "train.checkpoint_every=1000")
    wait_for_step(out, 2)
    os.kill(rank(process, 1), signal.SIGTERM)
    wait_for_step(out, 4)
    os.killpg(process.pid, signal.SIGTERM)
    status, said = ended(process)
    assert status != 0
    assert "unexpected" not in said
    (newest,) = (out / "state").glob("step_*.safetensors")
    progress = read_progress(newest)
    assert progress is not None
    assert progress.step == losses(out)[-1]["step"] >= 4
    status, said = ended(begin(data, out))
    assert status == 0, said
    assert (out / "last.safetensors").read_bytes() == undisturbed


def test_a_loading_process_that_is_killed_ends_all_with_one_line_and_a_state(data, tmp_path, begin) -> None:
    """One of the process that does not write, as where memory runs out."""
    out = tmp_path / "run"
    process = begin(data, out, "train.batch_size=3", "train.steps=1000", "train.checkpoint_every=1000")
    wait_for_step(out, 4)
    second = rank(process, 1)
    loading = [int(child) for child in Path(f"/proc/{second}/task/{second}/children").read_text().split()]
    os.kill(loading[0], signal.SIGKILL)
    status, said = ended(process)
    assert status == 1
    assert "unexpected" not in said
    assert "frcnn: a process that loads pictures was killed, most likely because memory" in said
    newest = newest_state(out / "state")
    assert newest is not None, said
    assert f"Stopped after step {int(newest.stem[5:])}. Go on with the same command and --resume." in said


def test_a_restart_goes_on_with_no_run_but_its_own(data, tmp_path, begin) -> None:
    """A folder that holds another run is refused at the first start, and at those that follow."""
    out = tmp_path / "run"
    (out / "state").mkdir(parents=True)
    (out / "state" / "step_00000001.safetensors").touch()
    status, said = ended(begin(data, out, *FEW, restarts=1))
    assert status == 1
    assert said.count(f"frcnn: {out}: already holds a run: add --resume") >= 2
    assert not (out / "config.toml").exists()
