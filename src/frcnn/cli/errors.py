"""Every error one line on standard error, with its exit status; a traceback only for those who ask."""

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from frcnn.errors import FrcnnError, Terminated, UsageError
from frcnn.interrupts import INTERRUPTED, TERMINATED
from frcnn.mismatch import explain_mismatch
from frcnn.naming import visible

OUT_OF_MEMORY = ("DefaultCPUAllocator", "alloc_cpu", "out of memory")  # torch says it with a RuntimeError
FAILED, WRONG_USAGE = 1, 2


@contextmanager
def one_line_errors(debug: bool) -> Iterator[None]:
    """Turn what goes wrong inside into a line and an exit status."""
    try:
        yield
    except (KeyboardInterrupt, Exception) as error:
        if isinstance(error, typer.Exit):
            raise
        if debug:
            traceback.print_exception(error)
        line, status = _explained(error)
        complain(line)
        tell_torchrun(line)
        raise typer.Exit(status) from None


def complain(line: str) -> None:
    """One line, whatever it was before, on standard error."""
    parts = filter(None, map(str.strip, line.splitlines()))  # blanks within a line may be those of a file's name
    sys.stderr.write(f"frcnn: {visible(' '.join(parts))}\n")


def tell_torchrun(line: str) -> None:
    """It ends with a report on the first process that has failed: there the line stands in place of a traceback."""
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file is not None:
        message = {"message": f"frcnn: {visible(line)}", "extraInfo": {"timestamp": str(int(time.time()))}}
        with suppress(OSError):
            Path(file).write_text(json.dumps({"message": message}), encoding="utf-8")


def explain_usage(error: typer.TyperException) -> str:
    """What the command line got wrong, and where to look."""
    context = getattr(error, "ctx", None)
    command = "frcnn" if context is None else context.command_path
    return f"{error.format_message().replace('Value error, ', '')} (see {command} --help)"


def _explained(error: BaseException) -> tuple[str, int]:
    if isinstance(error, FrcnnError):
        return str(error), WRONG_USAGE if isinstance(error, UsageError) else FAILED
    if isinstance(error, Terminated):
        return "terminated", TERMINATED
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted: {error}" if str(error) else "interrupted", INTERRUPTED
    if isinstance(error, RuntimeError) and (mismatch := explain_mismatch(error)):
        return mismatch, FAILED
    if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        return (
            f"not enough memory ({_first_words(error)}): smaller pictures, batches or layers need less",
            FAILED,
        )
    if isinstance(error, ImportError):
        return str(error), FAILED
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", FAILED
    return f"unexpected {type(error).__name__}: {error} (run again with --debug to see where)", FAILED


def _first_words(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:80]
