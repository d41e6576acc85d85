"""Where a training's numbers go besides metrics.jsonl: TensorBoard always, Weights & Biases and MLflow if asked for.

None of them is worth a training: one that fails is left out, and metrics.jsonl has every number all the same.
"""

import importlib.util
import json
import math
import os
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frcnn.config import Config
from frcnn.errors import FrcnnError, UsageError
from frcnn.files import make_folder, write_text

PLACE = ("event", "step", "time")  # of a line: what it tells of, and when
EVENTS = "events.out.tfevents."  # then a number


def check_trackers(names: Sequence[str]) -> None:
    """What is asked for must be there before a training begins. Raises UsageError where it is not installed."""
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:  # no origin: a mere folder of that name, such as W&B makes
            raise UsageError(f"train.trackers: {name} is not installed: pip install 'frcnn[{name}]', or leave it out")


@dataclass(frozen=True)
class Start:
    """What a tracker needs to know of the training that begins or goes on."""

    out: Path
    config: Config
    first_step: int  # the last one that is behind us: those after it are taken, perhaps once more
    run_id: str | None  # of the tracker's own run that a resumed training goes on with


class TensorBoard:
    """The folder tensorboard/ of the run: an event file a start, read in the order of their names.

    Written here, at once: tensorboardX's own writer hands events to a thread, and where the disk is full that thread
    dies and the training waits for it for ever.
    """

    run_id: str | None = None  # the folder is enough

    def __init__(self, start: Start) -> None:
        folder = make_folder(start.out / "tensorboard")
        self.file = (folder / f"{EVENTS}{_number_after(folder)}").open("xb")
        self._append(file_version="brain.Event:2")
        # Readers forget what they have of this step and later ones, except at the first such mark: every start has one.
        self._append(step=start.first_step + 1, session_log={"status": "START"})

    def write(self, numbers: Mapping[str, float], step: int) -> None:
        """One event, on the disk as soon as it is written."""
        values = [{"tag": tag, "simple_value": number} for tag, number in numbers.items()]
        self._append(step=step, summary={"value": values})
        self.file.flush()

    def close(self, *, failed: bool) -> None:  # noqa: ARG002  (event files know of no failure)
        """Close the file; TensorBoard itself may go on reading."""
        self.file.close()

    def _append(self, **event: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]  (made at run time)

        self.file.write(_as_record(Event(wall_time=time.time(), **event).SerializeToString()))


class WeightsAndBiases:
    """A run of Weights & Biases; where to, as its own variables say (WANDB_PROJECT, WANDB_MODE and so on).

    Its own count of steps refuses those that a resumed training takes again: "step" is a number beside the others, and
    what charts are drawn over.
    """

    def __init__(self, start: Start) -> None:
        import wandb  # pyright: ignore[reportMissingImports]  (an extra)

        self.run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "frcnn"),
            name=_name(start),
            dir=str(start.out),
            id=start.run_id,
            resume="allow",
            config=_settings(start.config),
            settings={"console": "off"},  # a progress bar makes no log
        )
        self.run_id: str | None = self.run.id
        self.run.define_metric("*", step_metric="step")

    def write(self, numbers: Mapping[str, float], step: int) -> None:
        """Hand a row to W&B, which sends it in its own time."""
        self.run.log({"step": step, **numbers})

    def close(self, *, failed: bool) -> None:
        """Send what is left; W&B waits for its network as long as it takes."""
        self.run.finish(exit_code=int(failed))


class MLflow:
    """A run of MLflow; where to, as its own variables say (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and so on).

    MLflow forgets nothing: steps that a resumed training takes again are there twice.
    """

    def __init__(self, start: Start) -> None:
        import mlflow  # pyright: ignore[reportMissingImports]  (an extra)

        self.mlflow: Any = mlflow
        self.run_id: str | None = self._begin(start)
        if start.run_id is None:  # parameters are written once
            mlflow.log_params(_settings(start.config))

    def write(self, numbers: Mapping[str, float], step: int) -> None:
        """Send the numbers and wait for the server: where it is gone, MLflow tries for minutes before it says so."""
        self.mlflow.log_metrics(dict(numbers), step=step, run_id=self.run_id)

    def close(self, *, failed: bool) -> None:
        """Say how the run ended."""
        self.mlflow.end_run("FAILED" if failed else "FINISHED")

    def _begin(self, start: Start) -> str:
        # Nested: whoever trains within a run of their own finds this one below it.
        return self.mlflow.start_run(run_id=start.run_id, run_name=_name(start), nested=True).info.run_id


Tracker = TensorBoard | WeightsAndBiases | MLflow
ASKED_FOR: dict[str, type[Tracker]] = {"wandb": WeightsAndBiases, "mlflow": MLflow}
TRACKERS = tuple(ASKED_FOR)  # what `train.trackers` may name


class Trackers:
    """All of a training's trackers, open for a `with` block.

    `say` is told once, in one line, of a tracker that fails; it gets no more numbers. Raises FrcnnError where a resumed
    run's tracking.json is damaged.
    """

    def __init__(
        self,
        out: Path,
        names: Sequence[str],
        config: Config,
        *,
        first_step: int,
        resuming: bool,
        say: Callable[[str], None],
    ) -> None:
        self.out, self.names, self.config, self.first_step, self.say = out, names, config, first_step, say
        self.run_ids = _read_run_ids(out / "tracking.json") if resuming else {}
        self.opened: dict[str, Tracker] = {}
        self.failed: set[str] = set()

    def __enter__(self) -> "Trackers":
        try:
            self._open("tensorboard", TensorBoard)
            for name in dict.fromkeys(self.names):  # one asked for twice is one
                self._open(name, ASKED_FOR[name])
        except BaseException:  # Ctrl-C: a server may be slow to answer
            self.close(failed=True)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(failed=kind is not None)

    def write(self, line: Mapping[str, Any]) -> None:
        """Send the finite numbers of a line of metrics.jsonl, as "step/total" or "evaluation/losses/total"."""
        numbers = _numbers(line)
        if not numbers:
            return
        for name, tracker in self.opened.items():
            if name not in self.failed:
                with self._left_out_if_it_fails(name):
                    tracker.write(numbers, line["step"])

    def close(self, *, failed: bool = False) -> None:
        """Close each of them, one that has failed too: its network may be back."""
        with ExitStack() as stack:  # goes on to the next one where Ctrl-C ends the wait for one
            while self.opened:
                stack.callback(self._close, *self.opened.popitem(), failed)

    def _open(self, name: str, kind: type[Tracker]) -> None:
        with self._left_out_if_it_fails(name):
            start = Start(self.out, self.config, self.first_step, self.run_ids.get(name))
            tracker = self.opened[name] = kind(start)
            if tracker.run_id is not None:
                self.run_ids[name] = tracker.run_id
                write_text(self.out / "tracking.json", json.dumps(self.run_ids) + "\n")

    def _close(self, name: str, tracker: Tracker, failed: bool) -> None:
        with self._left_out_if_it_fails(name):
            tracker.close(failed=failed)

    @contextmanager
    def _left_out_if_it_fails(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if name not in self.failed:
                self.failed.add(name)
                self.say(f"{name} fails and gets no more numbers; metrics.jsonl has them all ({_in_one_line(error)})")


def _numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """The line's numbers, each under its tag."""
    values = {key: value for key, value in line.items() if key not in PLACE}
    return {f"{line['event']}/{tag}": value for tag, value in _flat(values, "/") if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _settings(config: Config) -> dict[str, Any]:
    """Every setting that has a value, under the name that `--set` knows it by."""
    return dict(_flat(config.model_dump(mode="json", exclude_none=True), "."))


def _flat(values: Mapping[str, Any], separator: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}{separator}{inner}", leaf) for inner, leaf in _flat(value, separator))
        else:
            yield key, value


def _name(start: Start) -> str:
    """What people call the run: the name of its folder."""
    return start.out.resolve().name


def _read_run_ids(path: Path) -> dict[str, str]:
    """By which a resumed training finds its runs again; none where nothing is known of them."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise FrcnnError(f"{path}: cannot be read ({error}): remove it, and trackers begin new runs") from error


def _number_after(folder: Path) -> int:
    """The time, or what comes after all numbers that are there: a clock may have been set back."""
    numbers = [path.name.removeprefix(EVENTS) for path in folder.glob(f"{EVENTS}*")]
    return max([time.time_ns(), *(int(number) + 1 for number in numbers if number.isdecimal())])


def _as_record(data: bytes) -> bytes:
    """As event files hold it: the length and what follows it, each with its checksum."""
    from tensorboardX.record_writer import masked_crc32c

    length = struct.pack("<Q", len(data))
    return b"".join(part + struct.pack("<I", masked_crc32c(part)) for part in (length, data))


def _in_one_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
