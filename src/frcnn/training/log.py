"""What a training tells: lines of JSON for machines, one moving line for people."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from frcnn.config import Config
from frcnn.errors import DiskError
from frcnn.evaluation.history import read_metrics
from frcnn.files import write_text
from frcnn.naming import visible
from frcnn.training.checkpoint import Progress
from frcnn.training.trackers import Trackers


class MetricsFile:
    """metrics.jsonl: one line an event, appended as it happens."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def forget_after(self, step: int, evaluated_step: int) -> None:
        """Drop what a resumed training will do again: steps, an evaluation; and a line torn by a kill."""
        if self.path.exists():
            last = {"evaluation": evaluated_step}
            kept = [line for line in read_metrics(self.path) if line.get("step", 0) <= last.get(line["event"], step)]
            write_text(self.path, "".join(map(_as_line, kept)))

    def write(self, event: str, **values: Any) -> dict[str, Any]:
        """Append one line, and return what it says. Raises FrcnnError where the disk refuses."""
        line = {"event": event, **values, "time": round(time.time(), 3)}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_as_line(line))
        except OSError as error:
            raise DiskError(f"{self.path}: cannot be written ({error.strerror})") from error
        return line


class Log:
    """Where a training's numbers go: metrics.jsonl and the trackers; nowhere from a process that does not speak."""

    def __init__(self, out: Path, config: Config, *, speaks: bool) -> None:
        self.out, self.config, self.speaks = out, config, speaks
        self._metrics = MetricsFile(out / "metrics.jsonl")
        self._trackers: Trackers | None = None

    @contextmanager
    def opened(self, progress: Progress, say: Callable[[str], None], *, resuming: bool) -> Iterator[None]:
        """For a training that stands at `progress`; what it will do again is forgotten."""
        if not self.speaks:
            yield
            return
        self._metrics.forget_after(progress.step, progress.evaluated_step)
        names = self.config.train.trackers
        with Trackers(
            self.out, names, self.config, first_step=progress.step, say=say, resuming=resuming
        ) as self._trackers:
            self.write("resume" if resuming else "start", step=progress.step)
            yield
        self._trackers = None

    def write(self, event: str, **values: Any) -> None:
        """One line everywhere. Raises FrcnnError where the disk refuses metrics.jsonl."""
        if self.speaks:
            line = self._metrics.write(event, **values)
            if self._trackers is not None:
                self._trackers.write(line)


class Display:
    """A progress bar with losses, images per second and the time left; plain lines where there is no terminal."""

    def __init__(self, total_steps: int, console: Console) -> None:
        self.console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        self.bar = Bars(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=120)
        self.task: TaskID = self.bar.add_task("training", total=total_steps, note="")
        self.title = "training"

    def __enter__(self) -> "Display":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def step(self, step: int, note: str) -> None:
        """Move the bar; `note` says the losses and the speed."""
        self.bar.update(self.task, completed=step, note=note, description=self.title)

    def say(self, message: str) -> None:
        """A line that stays, above the bar."""
        self.console.print(visible(message), highlight=False, markup=False, emoji=False, soft_wrap=True)

    def beside(self, title: str, total: int) -> Callable[[int], None]:
        """A second bar for what goes on between steps; call it with the number of pictures done."""
        task = self.bar.add_task(title, total=total, note="")

        def advance(done: int) -> None:
            self.bar.update(task, completed=done, visible=done < total)

        return advance


def _as_line(values: dict[str, Any]) -> str:
    return json.dumps(_with_nulls(values), allow_nan=False) + "\n"


def _with_nulls(value: Any) -> Any:
    """JSON knows no NaN and no infinity: null stands for them."""
    if isinstance(value, dict):
        return {key: _with_nulls(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
