"""What a training tells: whole lines of JSON in a file, and a display that suits where it is shown."""

import io
import json
import time
from pathlib import Path

import pytest
from rich.console import Console

from frcnn.errors import FrcnnError
from frcnn.evaluation.history import read_metrics
from frcnn.training.log import Display, MetricsFile


def lines(path: Path) -> list[dict]:
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


class TestMetricsFile:
    """metrics.jsonl."""

    def test_every_event_is_a_line_on_the_disk_as_soon_as_it_is_written(self, tmp_path: Path) -> None:
        metrics = MetricsFile(tmp_path / "metrics.jsonl")
        metrics.write("start", step=0)
        assert [line["event"] for line in lines(metrics.path)] == ["start"]
        metrics.write("evaluation", step=7, voc07_map=None, losses={"total": 0.5})
        start, evaluation = lines(metrics.path)
        assert (start["event"], start["step"]) == ("start", 0)
        assert {key: evaluation[key] for key in evaluation if key != "time"} == {
            "event": "evaluation", "step": 7, "voc07_map": None, "losses": {"total": 0.5},
        }  # fmt: skip

    def test_lines_tell_when_they_were_written(self, tmp_path: Path) -> None:
        metrics = MetricsFile(tmp_path / "metrics.jsonl")
        before = time.time()
        metrics.write("step", step=1)
        after = time.time()
        half_a_millisecond = 5.1e-4  # milliseconds are written, and a float this large is good to 2e-7
        assert before - half_a_millisecond <= lines(metrics.path)[0]["time"] <= after + half_a_millisecond

    def test_another_writer_goes_on_where_the_file_ends(self, tmp_path: Path) -> None:
        MetricsFile(tmp_path / "metrics.jsonl").write("start", step=0)
        MetricsFile(tmp_path / "metrics.jsonl").write("resume", step=0)
        assert [line["event"] for line in lines(tmp_path / "metrics.jsonl")] == ["start", "resume"]

    def test_a_number_that_is_not_finite_is_null(self, tmp_path: Path) -> None:
        """JSON has no word for it: what Python writes by itself, other readers refuse."""

        def refuse(word: str) -> None:
            raise AssertionError(f"{word} is no JSON")

        metrics = MetricsFile(tmp_path / "metrics.jsonl")
        metrics.write("evaluation", step=1, rate=float("inf"), losses={"total": float("nan"), "rpn_box": 0.25})
        line = json.loads(metrics.path.read_text(encoding="utf-8"), parse_constant=refuse)
        assert (line["rate"], line["losses"]) == (None, {"total": None, "rpn_box": 0.25})

    def test_a_disk_that_refuses_is_a_line_that_names_the_file(self, tmp_path: Path) -> None:
        with pytest.raises(FrcnnError, match=r"absent/metrics\.jsonl: cannot be written \(No such file"):
            MetricsFile(tmp_path / "absent" / "metrics.jsonl").write("start", step=0)

    def test_steps_that_will_be_taken_again_are_forgotten_and_the_others_stay_as_they_were(
        self, tmp_path: Path
    ) -> None:
        metrics = MetricsFile(tmp_path / "metrics.jsonl")
        metrics.write("start", step=0)
        metrics.write("step", step=5, total=1.5)
        metrics.write("evaluation", step=5)
        kept = lines(metrics.path)
        metrics.write("step", step=6)
        metrics.write("evaluation", step=6)
        metrics.forget_after(5, 5)
        assert lines(metrics.path) == kept
        metrics.write("resume", step=5)
        assert [line["event"] for line in lines(metrics.path)] == ["start", "step", "evaluation", "resume"]

    def test_a_line_that_belongs_to_no_step_is_kept(self, tmp_path: Path) -> None:
        metrics = MetricsFile(tmp_path / "metrics.jsonl")
        metrics.write("note", text="at the beginning")
        metrics.forget_after(0, 0)
        assert [line["event"] for line in lines(metrics.path)] == ["note"]

    @pytest.mark.parametrize("tail", ['{"event": "step", "st', '{"event": "step", "step": 2}', "\0\0\0\0"])
    def test_what_follows_a_line_torn_by_a_kill_is_a_line_of_its_own(self, tmp_path: Path, tail: str) -> None:
        """Torn in the middle, before the end of the line, and as some disks tear it."""
        metrics = MetricsFile(tmp_path / "metrics.jsonl")
        metrics.write("step", step=1)
        with metrics.path.open("a", encoding="utf-8") as file:
            file.write(tail)
        metrics.forget_after(1, 1)
        metrics.write("resume", step=1)
        assert [line["event"] for line in lines(metrics.path)] == ["step", "resume"]

    def test_a_training_that_has_not_begun_has_nothing_to_forget(self, tmp_path: Path) -> None:
        MetricsFile(tmp_path / "metrics.jsonl").forget_after(0, 0)
        assert list(tmp_path.iterdir()) == []
        assert read_metrics(tmp_path / "metrics.jsonl") == []


class TestDisplay:
    """The moving line, and the lines that stay."""

    @pytest.fixture(autouse=True)
    def a_terminal_that_can_move_its_cursor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A capable one by its name, with nothing in the environment that overrules it."""
        monkeypatch.setenv("TERM", "xterm")
        for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)

    def screen(self, *, terminal: bool, width: int = 120) -> tuple[Console, io.StringIO]:
        shown = io.StringIO()
        return Console(file=shown, force_terminal=terminal, width=width, color_system=None), shown

    def test_the_bar_shows_the_place_the_note_and_the_end(self) -> None:
        console, shown = self.screen(terminal=True)
        with Display(40, console) as display:
            display.step(7, "loss 1.250  3.5 images/s")
        for part in ("training", "7/40", "loss 1.250  3.5 images/s"):
            assert part in shown.getvalue()

    def test_what_is_said_stays_above_the_bar(self) -> None:
        console, shown = self.screen(terminal=True)
        with Display(40, console) as display:
            display.say("epoch 1: validation")
        text = shown.getvalue()
        assert text.count("epoch 1: validation") == 1
        assert text.rindex("epoch 1: validation") < text.rindex("training")

    def test_without_a_terminal_only_what_is_said_is_printed(self) -> None:
        console, shown = self.screen(terminal=False)
        with Display(40, console) as display:
            display.say("first")
            display.step(7, "loss 1.250")
            display.beside("validating", 3)(1)
            display.say("second")
        assert shown.getvalue() == "first\nsecond\n"

    @pytest.mark.parametrize("terminal", [False, True])
    def test_a_message_is_printed_as_it_is(self, terminal: bool) -> None:
        """Paths hold what rich would take for markup, and are copied from a line that must not be broken."""
        message = "Done: runs/[bold]/[/x] :cat: " + "a" * 60
        console, shown = self.screen(terminal=terminal, width=40)
        with Display(40, console) as display:
            display.say(message)
        assert message + "\n" in shown.getvalue()

    def test_a_terminal_obeys_no_message(self) -> None:
        console, shown = self.screen(terminal=False)
        with Display(40, console) as display:
            display.say("new: cat\x1b[2J")
        assert shown.getvalue() == "new: cat\\x1b[2J\n"

    def test_the_validation_has_a_bar_until_its_last_picture(self) -> None:
        console, shown = self.screen(terminal=True)
        with Display(40, console) as display:
            advance = display.beside("validating", 3)
            advance(2)
            during = self.frame(display, shown)
            advance(3)
            after = self.frame(display, shown)
        assert ("validating" in during, "2/3" in during) == (True, True)
        assert ("validating" in after, "training" in after) == (False, True)

    def frame(self, display: Display, shown: io.StringIO) -> str:
        """What the screen shows now."""
        display.bar.live.auto_refresh = False
        begin = len(shown.getvalue())
        display.bar.refresh()
        return shown.getvalue()[begin:]

    def test_an_error_leaves_the_terminal_as_it_was(self) -> None:
        """The cursor is hidden while the bar moves."""
        hide, show = "\x1b[?25l", "\x1b[?25h"
        console, shown = self.screen(terminal=True)
        with pytest.raises(KeyboardInterrupt), Display(40, console):
            raise KeyboardInterrupt
        assert shown.getvalue().rindex(hide) < shown.getvalue().rindex(show)
