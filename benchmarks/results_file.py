"""A file of results, a line of JSON for each finished run: how the studies write it, read it and tabulate it."""

import datetime
import json
import os
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

import frcnn
from frcnn.files import make_folder

Line = dict[str, Any]


def append(results: Path, line: Line) -> None:
    """Onto the disk before anything else; a line that a kill has torn stays a line of its own."""
    make_folder(results.parent)
    with results.open("a+b") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(length - 1, 0))
        is_torn = file.read() not in (b"", b"\n")
        file.write(b"\n" * is_torn + json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(results: Path) -> list[Line]:
    """The whole lines, without what a kill has torn."""
    texts = results.read_text(encoding="utf-8", errors="replace").splitlines() if results.exists() else []
    return [line for text in texts if (line := _parsed(text)) is not None]


def origin() -> Line:
    """By what, and when."""
    return {
        "threads": torch.get_num_threads(),
        "frcnn": frcnn.__version__,
        "commit": commit(Path(__file__).parent),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def commit(folder: Path) -> str | None:
    """The commit of a checkout, marked where files differ from it; None where there is none to be had."""
    command = ("git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40")
    try:
        said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip()


def spread(values: Iterable[float | None], digits: int = 3) -> str:
    """Mean and standard deviation, as far as there are any."""
    present = [value for value in values if value is not None]
    if not present:
        return "–"
    mean = f"{statistics.mean(present):.{digits}f}"
    return mean if len(present) == 1 else f"{mean} ± {statistics.stdev(present):.{digits}f}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    """A table whose first columns are words, and the others numbers."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _parsed(text: str) -> Line | None:
    """None for a line torn by a kill."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "voc07_map" in line else None
