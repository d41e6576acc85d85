"""`frcnn benchmark`: what is asked for, measured one after another."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from frcnn.benchmarking.data import data_measurements
from frcnn.benchmarking.inference import inference_measurements
from frcnn.benchmarking.machine import describe_machine
from frcnn.benchmarking.memory import memory_measurements
from frcnn.benchmarking.operators import operator_measurements
from frcnn.benchmarking.report import Report
from frcnn.benchmarking.rows import Measurement, Row, Setting
from frcnn.benchmarking.targets import target_measurements
from frcnn.benchmarking.training import training_measurements
from frcnn.benchmarking.tutorial import tutorial_measurements
from frcnn.config import preset_names
from frcnn.device import choose_device
from frcnn.errors import ModelFileError, UsageError

RUNS = 5


def _ops(setting: Setting) -> Iterator[Measurement]:
    yield from operator_measurements(setting)
    yield from target_measurements(setting)
    yield from tutorial_measurements(setting)


def _training(setting: Setting) -> Iterator[Measurement]:
    yield from training_measurements(setting)
    yield from memory_measurements(setting)


GROUPS: Mapping[str, Callable[[Setting], Iterator[Measurement]]] = {
    "ops": _ops,
    "inference": inference_measurements,
    "training": _training,
    "data": data_measurements,
}


def benchmark(
    model: str | Path | None = None,
    only: Sequence[str] = (),
    runs: int = RUNS,
    device: str = "auto",
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Speed on this machine beside torchvision's in the same run; `progress` hears what is about to be measured.

    `only`: some of the groups ops, inference, training and data. `model`, a model file or the name of a preset (with
    random weights): its inference alone. Raises UsageError before anything is measured, ModelFileError.
    """
    check_request(model, only, runs)
    setting = Setting(runs, choose_device(device))
    rows: list[Row] = []
    for name, measure in measurements(setting, model, only):
        if progress is not None:
            progress(name)
        rows += measure()
    return Report(describe_machine(setting.device), tuple(rows), runs)


def measurements(setting: Setting, model: str | Path | None, only: Sequence[str]) -> Iterator[Measurement]:
    """What is asked for, in the order of the groups."""
    if model is not None:
        yield from inference_measurements(setting, model)
        return
    for name, group in GROUPS.items():
        if not only or name in only:
            yield from group(setting)


def check_request(model: str | Path | None, only: Sequence[str], runs: int) -> None:
    """Raises UsageError for a group that does not exist, or for what does not go together."""
    unknown = [name for name in only if name not in GROUPS]
    if unknown:
        asked = f"--only {unknown[0]}:" if unknown[0] else "--only: names no group;"
        raise UsageError(f"{asked} it is {', '.join(GROUPS)}, or several of them")
    if runs < 1:
        raise UsageError(f"runs must be at least 1, not {runs}")
    if model is None:
        return
    if set(only) - {"inference"}:
        raise UsageError("with a MODEL it is inference that is measured: leave --only out")
    if not Path(model).is_file() and str(model) not in preset_names():
        raise ModelFileError(f"{model}: there is no such model file, and no such preset (see `frcnn presets`)")
