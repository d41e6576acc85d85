"""A disk that is full ends a training with a line, and loses nothing that was on it. On small disks of their own."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from frcnn.data.sample import write_sample
from frcnn.evaluation.history import read_metrics
from frcnn.training.begin import train
from frcnn.training.checkpoint import states

pytestmark = pytest.mark.slow

SETTINGS = (
    "model.input.short_side=64",
    "model.input.long_side=96",
    "data.validation=0",
    "data.workers=0",
    "train.batch_size=2",
    "train.warmup_steps=5",
    "train.ema_decay=0.9",
    "train.log_every=1",
)
EVERY_THIRD = (*SETTINGS, "train.steps=9", "train.checkpoint_every=3")
FOUR_STEPS = (*SETTINGS, "train.schedule=alternating", "train.steps=2", "train.proposals_per_image=100000")
LIMIT = 120  # seconds after which a training hangs
Disk = Callable[..., Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """`disk(size)` mounts a disk of so many bytes, `disk(size, folder)` there; with `again` it changes the size."""
    mounted: list[Path] = []

    def mount(size: int, folder: Path = tmp_path / "disk", *, again: bool = False) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        options = f"{'remount,' if again else ''}size={size}"
        try:
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True)
        except FileNotFoundError:
            pytest.skip("there is no mount")
        if done.returncode != 0:
            pytest.skip(f"no tmpfs can be mounted: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in dict.fromkeys(mounted):
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("drawn") / "data", 24)


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return in_one_go(data, tmp_path_factory.mktemp("undisturbed") / "run", EVERY_THIRD)


def in_one_go(data: Path, out: Path, settings: tuple[str, ...]) -> Path:
    return train("tiny", data, out, overrides=settings, console=Console(file=io.StringIO()))


def begin(data: Path, out: Path, settings: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """The command; it resumes where no settings are given."""
    words = ("--set", *settings) if settings else ("--resume",)
    command = [sys.executable, "-m", "frcnn", "train", "tiny", "--data", data, "--out", out, *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=LIMIT)
    return process.returncode, said


def wait_until(seen: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT
    while not seen():
        assert time.monotonic() < limit
        time.sleep(0.005)


def parts(out: Path) -> list[Path]:
    return list(out.rglob("*.part"))


def complaint(said: str) -> str:
    """The one line that says what is wrong; all others are of the training itself."""
    (line,) = [line for line in said.splitlines() if line.startswith("frcnn: ")]
    assert "Traceback" not in said
    assert "ignored" not in said
    return line


def steps(out: Path) -> list[int]:
    return [line["step"] for line in read_metrics(out / "metrics.jsonl") if line["event"] == "step"]


def test_a_state_that_finds_no_room(data, tmp_path, disk, undisturbed) -> None:
    """Two fit, the third does not: the second stays as it was, and the training goes on from it."""
    wanted, size = (undisturbed / "last.safetensors").read_bytes(), states(undisturbed / "state")[0].stat().st_size
    out = disk(int(2.5 * size)) / "run"
    second, third = (out / "state" / f"step_{step:08d}.safetensors" for step in (6, 9))
    process = begin(data, out, EVERY_THIRD)
    wait_until(second.exists)
    before = second.read_bytes()
    status, said = ended(process)
    assert status == 1
    assert complaint(said).startswith(f"frcnn: {third}: cannot be written (")
    assert "No space left on device" in complaint(said)
    assert complaint(said).endswith(f": make room, or mend the disk; then --resume goes on from {second.name}")
    assert second.read_bytes() == before
    assert len(states(out / "state")) == 2
    assert parts(out) == []
    status, said = ended(begin(data, out))  # there is no more room than before
    assert (status, "Resuming after step 6" in said) == (1, True)
    assert complaint(said).startswith(f"frcnn: {third}: cannot be written (")
    disk(4 * size, again=True)
    status, said = ended(begin(data, out))
    assert status == 0, said
    assert (out / "last.safetensors").read_bytes() == wanted
    assert steps(out) == list(range(1, 10))


def test_a_log_that_finds_no_room(data, tmp_path, disk, undisturbed) -> None:
    """Between two states; it is torn, and whole again once there is room."""
    settings = (*SETTINGS, "train.steps=40", "train.checkpoint_every=20")  # a page holds about twelve lines of it
    whole = in_one_go(data, tmp_path / "whole", settings)
    folder = disk(4 * states(undisturbed / "state")[0].stat().st_size)
    out = folder / "run"
    process = begin(data, out, settings)
    wait_until(lambda: len(states(out / "state")) == 1)
    fill(folder / "filler")
    status, said = ended(process)
    assert status == 1
    way_on = "make room, or mend the disk; then --resume goes on from step_00000020.safetensors"
    assert complaint(said) == f"frcnn: {out / 'metrics.jsonl'}: cannot be written (No space left on device): {way_on}"
    assert 20 < max(steps(out)) < 40
    assert [path.name for path in states(out / "state")] == ["step_00000020.safetensors"]
    assert parts(out) == []
    (folder / "filler").unlink()
    status, said = ended(begin(data, out))
    assert status == 0, said
    assert "Resuming after step 20" in said
    assert (out / "last.safetensors").read_bytes() == (whole / "last.safetensors").read_bytes()
    assert steps(out) == list(range(1, 41))


def fill(path: Path) -> None:
    """All that is left of the disk."""
    with path.open("wb", buffering=0) as file:
        for block in (bytes(2**20), bytes(2**10)):
            try:
                while file.write(block) == len(block):
                    pass
            except OSError:
                continue


def test_tensorboard_that_finds_no_room_costs_nothing_else(data, tmp_path, disk, undisturbed) -> None:
    out = tmp_path / "run"
    fill(disk(4096, out / "tensorboard") / "filler")
    status, said = ended(begin(data, out, EVERY_THIRD))
    assert status == 0, said
    assert said.count("tensorboard fails and gets no more numbers; metrics.jsonl has them all") == 1
    assert "ignored" not in said
    assert (out / "last.safetensors").read_bytes() == (undisturbed / "last.safetensors").read_bytes()
    assert steps(out) == list(range(1, 10))


def test_written_proposals_that_find_no_room(data, tmp_path, disk, undisturbed) -> None:
    """20 pictures of 1.6 MB each; they are written again by the training that goes on."""
    whole = in_one_go(data, tmp_path / "whole", FOUR_STEPS)
    size = states(undisturbed / "state")[0].stat().st_size
    out = disk(size + 10_000_000) / "run"
    status, said = ended(begin(data, out, FOUR_STEPS))
    assert status == 1, said
    assert complaint(said).startswith(f"frcnn: {out / 'proposals' / 'step1.npy'}: cannot be written (")
    assert parts(out) == []
    disk(10 * size, again=True)
    status, said = ended(begin(data, out))
    assert status == 0, said
    for name in ("last.safetensors", "proposals/step1.npy", "proposals/step3.npy"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
