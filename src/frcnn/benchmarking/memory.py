"""Peak memory of a training step, in a process of its own: a peak cannot be taken back.

python -m frcnn.benchmarking.memory resnet50_fpn torchvision bfloat16 cpu   (prints a line of JSON)
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from frcnn.benchmarking.networks import training_twins
from frcnn.benchmarking.rows import Measurement, Row, Setting
from frcnn.benchmarking.training import CASES, PRECISIONS, SIDES, Case, step_of
from frcnn.device import Precision
from frcnn.errors import FrcnnError

STEPS = 2  # the first makes the momentum, the second needs it beside all else
STATUS = Path("/proc/self/status")  # Linux alone has it
MEGABYTE = 1e6


class Memory(NamedTuple):
    """Peaks in megabytes."""

    before: float  # the first step: imports and networks
    peak: float


def memory_measurements(setting: Setting) -> Iterator[Measurement]:
    """Each network in each precision."""
    for case in CASES:
        for precision in PRECISIONS:
            name = f"peak memory of a training step of {case.work}, {precision}"
            yield Measurement(name, partial(memory_rows, name, case.preset, precision, setting))


def memory_rows(work: str, preset: str, precision: Precision, setting: Setting) -> list[Row]:
    """Ours and torchvision's, in megabytes."""
    ours, theirs = (measured_apart(preset, side, precision, setting.device) for side in SIDES)
    notes = (
        f"torchvision takes {theirs.peak - ours.peak:+.0f} MB",
        f"of which before the first step {ours.before:.0f} MB, in torchvision {theirs.before:.0f} MB",
    )
    return [Row("training", work, ours.peak, {"torchvision": theirs.peak}, unit="MB", notes=notes)]


def measured_apart(preset: str, side: str, precision: Precision, device: torch.device) -> Memory:
    """From a new process. Raises FrcnnError where that fails."""
    command = [sys.executable, "-m", "frcnn.benchmarking.memory", preset, side, precision, str(device)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise FrcnnError(f"the process that measures the memory of {side} {preset} {precision} failed ({last})")
    return Memory(**json.loads(done.stdout.splitlines()[-1]))


def memory_of_steps(case: Case, side: str, precision: Precision, device: torch.device) -> Memory:
    """Of this process, before and after some steps of one side; the other side's network is dropped first."""
    twins = training_twins(case.preset, case.short_side, case.long_side)
    step = step_of(side, twins, case, device)
    del twins
    before = peak(device)
    for _ in range(STEPS):
        step(precision)
    return Memory(before / MEGABYTE, peak(device) / MEGABYTE)


def peak(device: torch.device) -> float:
    """Bytes: the most that tensors took on CUDA, or the most that this process had in memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if STATUS.exists():  # unlike ru_maxrss, not the peak of the process that started this one
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    from resource import RUSAGE_SELF, getrusage  # Windows has none

    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(arguments: Sequence[str]) -> None:
    """Measure one."""
    preset, side, precision, device = arguments
    case = next(case for case in CASES if case.preset == preset)
    chosen: Precision = "bfloat16" if precision == "bfloat16" else "float32"
    print(json.dumps(memory_of_steps(case, side, chosen, torch.device(device))._asdict()))


if __name__ == "__main__":
    main(sys.argv[1:])
