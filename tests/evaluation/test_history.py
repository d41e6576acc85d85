"""metrics.jsonl, read back."""

import json
import math
from pathlib import Path

from frcnn.evaluation.history import column, read_history


def written(path: Path, *lines: dict[str, object], torn: str = "") -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + torn)
    return path


def test_lines_are_sorted_by_their_event(tmp_path: Path) -> None:
    path = written(
        tmp_path / "metrics.jsonl",
        {"event": "start", "step": 0},
        {"event": "step", "step": 10, "total": 2.0},
        {"event": "evaluation", "step": 10, "epoch": 1, "losses": {"total": 3.0}},
        {"event": "step", "step": 20, "total": 1.0},
    )
    history = read_history(path)
    assert column(history.steps, "total") == [2, 1]
    assert column(history.evaluations, "losses", "total") == [3]
    assert history.starts == 1


def test_time_between_stopping_and_resuming_does_not_count(tmp_path: Path) -> None:
    path = written(
        tmp_path / "metrics.jsonl",
        {"event": "start", "step": 0, "time": 100},
        {"event": "step", "step": 10, "time": 130},
        {"event": "resume", "step": 10, "time": 5000},
        {"event": "step", "step": 20, "time": 5012},
    )
    assert read_history(path).seconds == 42
    assert read_history(path).starts == 2


def test_a_torn_last_line_and_no_file_at_all(tmp_path: Path) -> None:
    path = written(tmp_path / "metrics.jsonl", {"event": "step", "step": 1}, torn='{"event": "st')
    assert len(read_history(path).steps) == 1
    assert read_history(tmp_path / "absent.jsonl").steps == ()


def test_a_number_that_is_not_there_is_nan() -> None:
    assert all(math.isnan(value) for value in column([{}, {"losses": None}, {"losses": {}}], "losses", "total"))
