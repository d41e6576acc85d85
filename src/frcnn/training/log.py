"""What a training tells: lines of JSON for machines, one moving line for people."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from frcnn.errors import FrcnnError
from frcnn.evaluation.history import read_metrics
from frcnn.files import write_text


class MetricsFile:
    """metrics.jsonl: one line an event, appended as it happens."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def forget_after(self, step: int) -> None:
        """Drop the lines of steps that a resumed training will take again, and a line torn by a kill."""
        if self.path.exists():
            kept = [line for line in read_metrics(self.path) if line.get("step", 0) <= step]
            write_text(self.path, "".join(map(_as_line, kept)))

    def write(self, event: str, **values: Any) -> None:
        """Append one line. Raises FrcnnError where the disk refuses."""
        line = {"event": event, **values, "time": round(time.time(), 3)}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_as_line(line))
        except OSError as error:
            raise FrcnnError(f"{self.path}: cannot be written ({error.strerror})") from error


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
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=120)
        self.task: TaskID = self.bar.add_task("training", total=total_steps, note="")

    def __enter__(self) -> "Display":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def step(self, step: int, note: str) -> None:
        """Move the bar; `note` says the losses and the speed."""
        self.bar.update(self.task, completed=step, note=note)

    def say(self, message: str) -> None:
        """A line that stays, above the bar."""
        self.console.print(message, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def evaluation(self, total: int) -> Callable[[int], None]:
        """A second bar while the validation runs; call it with the number of pictures done."""
        task = self.bar.add_task("validating", total=total, note="")

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
