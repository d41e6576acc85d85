"""One training a folder: two of them would take each other's states away."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from frcnn.errors import FrcnnError, UsageError

if sys.platform != "win32":
    import fcntl

LOCK = ".lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder for the block. However this process ends, the system lets go of it.

    Raises UsageError where another process holds it, FrcnnError where the disk refuses.
    """
    try:
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise FrcnnError(f"{folder / LOCK}: cannot be written ({error.strerror})") from error
    with file:
        if not _is_ours(file):
            raise UsageError(f"{folder}: another training is under way there: wait for it, or give another --out")
        yield


def is_taken(folder: Path) -> bool:
    """Does another process hold the folder? Not to be asked by the one that holds it, which would let go of it."""
    try:
        with (folder / LOCK).open("a") as file:
            return not _is_ours(file)
    except OSError:
        return False


def _is_ours(file: IO[str]) -> bool:
    """A lock of the process, not of the file as `flock` has it: that would stay with the forks that load pictures."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a disk that knows no locks
        return True
    return True
