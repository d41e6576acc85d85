"""A bar on standard error, for those who look; nothing of it on standard output."""

import io
import sys

import pytest

from frcnn.progress import progress_bar

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
ONE_LINE_UP, ERASE_LINE = "\x1b[1A", "\x1b[2K"


class Stream(io.StringIO):
    """Standard output or error, looked at or on its way into a file."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture(autouse=True)
def a_terminal_that_can_move_its_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def streams(monkeypatch: pytest.MonkeyPatch, *, out: bool, err: bool) -> tuple[Stream, Stream]:
    """Standard output and error; is each a terminal?"""
    both = Stream(out), Stream(err)
    monkeypatch.setattr(sys, "stdout", both[0])
    monkeypatch.setattr(sys, "stderr", both[1])
    return both


def test_the_bar_says_what_is_done_and_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = streams(monkeypatch, out=True, err=True)
    with progress_bar("evaluating") as advance:
        advance(1, 4)
        advance(3, 4)
    assert "evaluating" in err.getvalue()
    assert " 75%" in err.getvalue()
    assert out.getvalue() == ""


def test_when_all_is_done_the_bar_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    _, err = streams(monkeypatch, out=True, err=True)
    with progress_bar("evaluating") as advance:
        advance(1, 1)
    assert err.getvalue().endswith(ONE_LINE_UP + ERASE_LINE)


def test_a_total_that_is_not_known_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _, err = streams(monkeypatch, out=True, err=True)
    with progress_bar("fetching") as advance:
        advance(1000, None)
    assert "fetching" in err.getvalue()
    assert "100%" not in err.getvalue()


def test_what_needs_no_time_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    _, err = streams(monkeypatch, out=True, err=True)
    with progress_bar("fetching"):
        pass
    assert err.getvalue() == ""


@pytest.mark.parametrize(("terminal", "shown"), [(False, True), (True, False), (False, False)])
def test_nothing_is_written_where_nobody_looks_or_wants_to(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, shown: bool
) -> None:
    out, err = streams(monkeypatch, out=True, err=terminal)
    with progress_bar("predicting", shown=shown) as advance:
        advance(1, 2)
        advance(2, 2)
    assert (out.getvalue(), err.getvalue()) == ("", "")


def test_results_on_their_way_into_a_file_go_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed while the bar moves is not drawn into the bar's terminal."""
    out, err = streams(monkeypatch, out=False, err=True)
    with progress_bar("predicting") as advance:
        advance(1, 2)
        print("a result")
    assert out.getvalue() == "a result\n"
    assert "a result" not in err.getvalue()
    assert "predicting" in err.getvalue()


def test_a_program_without_standard_output_has_its_bar_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was closed by whoever started the program."""
    _, err = streams(monkeypatch, out=True, err=True)
    monkeypatch.setattr(sys, "stdout", None)
    with progress_bar("predicting") as advance:
        advance(1, 2)
    assert "predicting" in err.getvalue()


def test_results_for_the_same_terminal_stand_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printed past the bar, they would be overwritten by its next frame."""
    _, err = streams(monkeypatch, out=True, err=True)
    with progress_bar("predicting") as advance:
        advance(1, 2)
        print("a result")
    text = err.getvalue()
    assert text.index("a result") < text.rindex("predicting")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_passes_and_leaves_the_terminal_as_it_was(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    out, err = streams(monkeypatch, out=True, err=True)

    def work() -> None:
        with progress_bar("predicting") as advance:
            advance(1, 2)
            raise error

    with pytest.raises(error):
        work()
    assert err.getvalue().rindex(HIDE_CURSOR) < err.getvalue().rindex(SHOW_CURSOR)
    assert (sys.stdout, sys.stderr) == (out, err)
