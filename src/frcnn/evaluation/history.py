"""What happened in a training, read back from its metrics.jsonl."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class History:
    """The lines of a metrics.jsonl by their event, in the order of the file."""

    steps: tuple[dict[str, Any], ...] = ()
    evaluations: tuple[dict[str, Any], ...] = ()
    starts: int = 0  # the first one and every resume
    seconds: float = 0.0  # spent between a start, or a resume, and the last line that follows it


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole lines; none where the file is not there: a training that has not begun."""
    texts = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return [line for text in texts if (line := _parsed(text)) is not None]


def read_history(path: Path) -> History:
    """The file's lines, sorted by what they tell of."""
    lines = read_metrics(path)
    return History(
        steps=tuple(line for line in lines if line["event"] == "step"),
        evaluations=tuple(line for line in lines if line["event"] == "evaluation"),
        starts=sum(_is_start(line) for line in lines),
        seconds=_seconds(lines),
    )


def column(lines: Sequence[dict[str, Any]], *keys: str) -> list[float]:
    """The number under `keys`, one inside the other, in every line; NaN where there is none."""
    return [_number(line, keys) for line in lines]


def _number(line: dict[str, Any], keys: Sequence[str]) -> float:
    value: Any = line
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _parsed(text: str) -> dict[str, Any] | None:
    """None for a line torn by a kill."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "event" in line else None


def _is_start(line: dict[str, Any]) -> bool:
    return line["event"] in ("start", "resume")


def _seconds(lines: Sequence[dict[str, Any]]) -> float:
    total, before = 0.0, None
    for line in lines:
        if "time" in line:
            if before is not None and not _is_start(line):
                total += max(0.0, line["time"] - before)
            before = line["time"]
    return total
