"""Is a training that was killed and resumed the same to the last byte? A line of JSON a killed training, and a summary.

    python benchmarks/kills.py --kills 20
    python benchmarks/kills.py --kills 20 --schedule alternating

A small training runs undisturbed once. Then it is begun again and again, killed at a moment drawn at random or aimed at
(a state's write, an evaluation, ...), with the process that loads its pictures, resumed, in every other case killed
once more, and resumed until it ends. Its model files, the proposals it has written and the numbers in its log must be
those of the undisturbed one, and nothing half written may be left. Exit status 1 where that is not so.

Importing takes longer than such a training: everything is imported once, and each training, the undisturbed one too, is
a fork. With one thread, and before anything has run in parallel, a fork is as good as a new process.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch

from frcnn.data.sample import write_sample
from frcnn.evaluation.history import read_metrics
from frcnn.files import make_folder
from frcnn.training.begin import train

PICTURES = 28  # 22 of them to train on, one held out, five to test on
SETTINGS = (  # whatever is drawn at random is there: scales, mirrored pictures, dropout
    "model.input.short_side=64",
    "model.input.long_side=96",
    "model.head.dropout=0.1",
    "data.scales=[56, 64]",
    "data.workers=1",
    "train.batch_size=2",
    "train.warmup_steps=5",
    "train.ema_decay=0.9",
    "train.proposals_per_image=200",
    "train.checkpoint_every=3",
    "train.log_every=1",
)
STEPS = {"joint": 40, "alternating": 13}  # alternating: of each of its four steps
AIMS = {  # by turns: what to hit, and in which step of the schedule (0: in any)
    "joint": [("moment", 0), ("checkpoint write", 0), ("evaluation", 0), ("start", 0), ("model write", 0)],
    "alternating": [
        *(("moment", step) for step in (1, 2, 3, 4)),
        *(("checkpoint write", step) for step in (1, 2, 3, 4)),
        *(("proposals", 1), ("moment", 2), ("proposals", 3), ("evaluation", 4)),
    ],
}
TORN = {  # what a kill has left half written, by its name
    "checkpoint write": r"\.step_.*\.safetensors\..*\.part",
    "proposals": r"\.step\d\.npy\..*\.part",
    "model write": r"\.(best|last)\.safetensors\..*\.part",
    "log or settings": r"\.(metrics|config)\..*\.part",
}
WRITES = {"checkpoint write": 0.03, "model write": 0.008}  # about so many seconds does one take
OF_THE_MOMENT = ("time", "images_per_second", "memory_mb")
LIMIT = 600  # seconds after which a training hangs

Line = dict[str, Any]


class Aim(NamedTuple):
    """When to kill: so long after something is seen in the run's folder."""

    at: str
    seen: Callable[[Path], bool]
    delay: float


class Reference:
    """The undisturbed training, and what of it others are aimed by."""

    def __init__(self, out: Path, seconds: float, first_step: float) -> None:
        self.out, self.seconds, self.first_step = out, seconds, first_step
        self.lines = read_metrics(out / "metrics.jsonl")

    @cached_property
    def steps(self) -> list[Line]:
        """The lines of its steps, in order."""
        return [line for line in self.lines if line["event"] == "step"]

    def of_stage(self, stage: int) -> list[Line]:
        """Those of one step of the schedule; 0 for all."""
        return [line for line in self.steps if stage in (0, line["stage"])]

    @cached_property
    def evaluations(self) -> dict[int, float]:
        """The steps after which there was one, and how many seconds it took."""
        pairs = zip(self.lines, self.lines[1:], strict=False)
        return {line["step"]: line["time"] - before["time"] for before, line in pairs if line["event"] == "evaluation"}

    @cached_property
    def files(self) -> dict[str, bytes]:
        """What a killed training must have as well."""
        paths = (*self.out.glob("*.safetensors"), *self.out.glob("proposals/*.npy"))
        return {str(path.relative_to(self.out)): path.read_bytes() for path in sorted(paths)}


def main() -> None:
    """Run, and say with the exit status whether all were equal."""
    asked = arguments()
    torch.set_num_threads(1)
    with working_folder(asked.folder) as folder:
        write_sample(folder / "data", PICTURES)
        reference = undisturbed(folder, asked.schedule)
        lines = []
        for number in range(asked.kills):
            lines.append(killed(folder, reference, asked, number))
            print(json.dumps(lines[-1]), flush=True)
    print(json.dumps(summary(lines, asked.schedule)))
    sys.exit(any(line["differs"] for line in lines))


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="how many trainings are killed")
    parser.add_argument("--schedule", choices=tuple(STEPS), default="joint")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, help="a new folder to work in, which is kept (default: none is)")
    return parser.parse_args(words)


@contextmanager
def working_folder(asked_for: Path | None) -> Iterator[Path]:
    """The folder asked for, or one that is gone afterwards."""
    if asked_for is not None:
        yield make_folder(asked_for)
        return
    with tempfile.TemporaryDirectory(prefix="frcnn-kills-") as name:
        yield Path(name)


def undisturbed(folder: Path, schedule: str) -> Reference:
    """Train once, from start to end; it takes longer where numba compiles first, so twice where times matter."""
    for name in ("warm", "reference"):
        out, start = folder / name, time.monotonic()
        process = begin(folder, out, schedule, resume=False)
        wait_until(process, lambda out=out: bool(steps_logged(out)))
        first_step = time.monotonic() - start
        if wait_until(process, lambda: False) != 0:
            raise SystemExit(f"the undisturbed training fails: {last_words(out)}")
    return Reference(out, time.monotonic() - start, first_step)


def killed(folder: Path, reference: Reference, asked: argparse.Namespace, number: int) -> Line:
    """One training that is killed at least once."""
    chance = random.Random(f"{asked.seed} {number}")
    at, stage = AIMS[asked.schedule][number % len(AIMS[asked.schedule])]
    out = folder / f"killed-{number}"
    while True:
        shutil.rmtree(out, ignore_errors=True)
        hits, starts, status = one_life(folder, out, reference, asked.schedule, (at, stage), chance)
        if hits or status:  # else what was aimed at was over before it was seen
            break
    differs = ["it fails: " + last_words(out)] if status else differences(reference, out)
    if asked.folder is None:
        shutil.rmtree(out)
    return {"kill": number + 1, "aim": at, "hits": hits, "starts": starts, "differs": differs}


def one_life(
    folder: Path, out: Path, reference: Reference, schedule: str, aimed_at: tuple[str, int], chance: random.Random
) -> tuple[list[Line], int, int]:
    """Begin, kill, resume, perhaps kill again, resume: the hits, the number of starts, and the exit status."""
    aims = [aim_at(*aimed_at, reference, chance)]
    if chance.random() < 0.5:
        aims.append(aim_at("moment", 0, reference, chance))  # perhaps after its end: then it is no hit
    hits: list[Line] = []
    for start, aim in enumerate(aims, start=1):
        stale = {path.name for path in out.rglob("*.part")}
        status = hit(begin(folder, out, schedule, resume=start > 1), out, aim)
        if status is not None:
            return hits, start, status
        hits.append(where(out, reference, stale))
    status = wait_until(begin(folder, out, schedule, resume=True), lambda: False)
    return hits, len(aims) + 1, 1 if status is None else status


def aim_at(at: str, stage: int, reference: Reference, chance: random.Random) -> Aim:
    """Draw a moment of the kind asked for."""
    lines = reference.of_stage(stage)
    line = chance.choice(lines)
    if at == "evaluation":
        step, seconds = chance.choice(list(reference.evaluations.items()))
        return Aim(at, lambda out: step in steps_logged(out), chance.uniform(0, seconds))
    if at == "start":
        return Aim(at, lambda _: True, chance.uniform(0, reference.first_step))
    if at == "moment" and stage == 0:
        return Aim(at, lambda _: True, chance.uniform(0, reference.seconds))
    if at == "moment":
        seconds = (lines[-1]["time"] - lines[0]["time"]) / len(lines)
        return Aim(at, lambda out: line["step"] in steps_logged(out), chance.uniform(0, seconds))
    after, seconds = (line if at == "checkpoint write" else lines[-1])["step"], WRITES.get(at)
    if at == "model write":  # the best one's or the last one's
        after = chance.choice([*reference.evaluations, after])
    if seconds is None:  # proposals: until the next step of the schedule begins
        seconds = next(later["time"] for later in reference.steps if later["stage"] == stage + 1) - lines[-1]["time"]
    return Aim(at, lambda out: after in steps_logged(out) and bool(torn(out, at)), chance.uniform(0, seconds))


def begin(folder: Path, out: Path, schedule: str, *, resume: bool) -> int:
    """Fork a training, with what it loads pictures by in a process group of its own; its words go into a file."""
    sys.stdout.flush()
    process = os.fork()
    if process != 0:
        join_group(process)
        return process
    join_group(0)
    words = os.open(f"{out}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(words, 1)
    os.dup2(words, 2)
    status = 1
    try:
        has_settings = resume and (out / "config.toml").exists()
        train("tiny", folder / "data", out, resume=resume, overrides=() if has_settings else settings(schedule))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)  # nothing of the parent's is closed, flushed or tidied up


def join_group(process: int) -> None:
    """Parent and child both see to it: whichever comes first."""
    try:
        os.setpgid(process, process)
    except ProcessLookupError:  # it has ended already
        return


def settings(schedule: str) -> tuple[str, ...]:
    """What differs from the preset."""
    return (*SETTINGS, f"train.schedule={schedule}", f"train.steps={STEPS[schedule]}")


def hit(process: int, out: Path, aim: Aim) -> int | None:
    """Kill when the aim is seen; None where that was done, else the exit status of a training that ended before."""
    status = wait_until(process, lambda: aim.seen(out))
    if status is None:
        until = time.monotonic() + aim.delay
        status = wait_until(process, lambda: time.monotonic() >= until)
    if status is None:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
    return status


def wait_until(process: int, seen: Callable[[], bool]) -> int | None:
    """None once it is seen, or the exit status of a process that has ended before; one that hangs is killed."""
    limit = time.monotonic() + LIMIT
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if seen():
            return None
        if time.monotonic() > limit:
            os.killpg(process, signal.SIGKILL)
        time.sleep(0.0005)


def steps_logged(out: Path) -> set[int]:
    """The steps that the log holds."""
    return {line["step"] for line in read_metrics(out / "metrics.jsonl") if line["event"] == "step"}


def torn(out: Path, what: str) -> set[str]:
    """The names of such files that are being written, or were when the training was killed."""
    folders = (out, out / "state", out / "proposals")
    names = (entry.name for folder in folders if folder.is_dir() for entry in os.scandir(folder))
    return {name for name in names if re.fullmatch(TORN[what], name)}


def where(out: Path, reference: Reference, stale: set[str]) -> Line:
    """What a kill has hit, by what it has left; `stale` is what the one before had left."""
    lines = read_metrics(out / "metrics.jsonl")
    steps = [line for line in lines if line["event"] == "step"]
    place = {"step": steps[-1]["step"], "stage": steps[-1]["stage"]} if steps else {"step": 0, "stage": 1}
    half_written = next((what for what in TORN if torn(out, what) - stale), None)
    if half_written is not None:
        return {"at": half_written, **place}
    if not lines or lines[-1]["event"] in ("start", "resume"):
        return {"at": "start", **place}
    is_evaluating = lines[-1]["event"] == "step" and place["step"] in reference.evaluations
    return {"at": "evaluation" if is_evaluating else "step", **place}


def differences(reference: Reference, out: Path) -> list[str]:
    """In what a training that was killed is not the undisturbed one."""
    differing = [
        name
        for name, content in reference.files.items()
        if not (out / name).is_file() or (out / name).read_bytes() != content
    ]
    if numbers(reference.lines) != numbers(read_metrics(out / "metrics.jsonl")):
        differing.append("metrics.jsonl")
    return differing + sorted(path.name for path in out.rglob("*.part"))


def numbers(lines: Sequence[Line]) -> list[Line]:
    """What the log says of steps and evaluations, without what is of the clock."""
    told = [line for line in lines if line["event"] in ("step", "evaluation")]
    return [{key: value for key, value in line.items() if key not in OF_THE_MOMENT} for line in told]


def last_words(out: Path) -> str:
    """Of a training that has failed."""
    return Path(f"{out}.log").read_text(encoding="utf-8").strip().splitlines()[-1]


def summary(lines: Sequence[Line], schedule: str) -> Line:
    """How many were equal, and what was hit."""
    hits = [place for line in lines for place in line["hits"]]
    equal = sum(not line["differs"] for line in lines)
    return {
        "schedule": schedule,
        "result": f"{equal} of {len(lines)} equal",
        "hits": dict(Counter(place["at"] for place in hits)),
        "hits_by_stage": {str(stage): count for stage, count in sorted(Counter(p["stage"] for p in hits).items())},
    }


if __name__ == "__main__":
    main()
