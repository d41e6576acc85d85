"""Files that are whole or absent: written aside, flushed to the disk, then renamed."""

import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.filesize import decimal

from frcnn.errors import DiskError, FrcnnError, UsageError

LONGEST_NAME = 255  # bytes, of most file systems
ASIDE = ".part"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success it takes the place of `path`, on failure it is gone.

    Raises DiskError, naming `path`, where the disk refuses (full, read-only, no permission).
    """
    aside = _file_beside(path)
    try:
        yield aside
        _flush(aside)
        aside.chmod(0o666 & ~_umask())
        aside.replace(path)
        _flush(path.parent)  # the rename itself must survive a power cut
    except OSError as error:
        raise DiskError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with written_whole(path) as aside:
        aside.write_text(text, encoding="utf-8")


def remove_torn_files(folder: Path, names: Sequence[str]) -> None:
    """What `written_whole` had begun in a folder when its process was killed, for files of these names (patterns)."""
    for name in names:
        for path in folder.glob(f".{name}.????????{ASIDE}"):  # mkstemp adds eight signs
            path.unlink(missing_ok=True)


def beginning_of_name(name: str, most: int) -> str:
    """As much of a file's name as takes at most so many bytes on the disk, no letter torn."""
    while len(os.fsencode(name)) > most:
        name = name[:-1]
    return name


def make_folder(folder: Path) -> Path:
    """Make `folder` and what lies above it, where absent. Raises DiskError, naming it, where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"{folder}: cannot be made ({error.strerror or error})") from error
    return folder


def file_in_the_way(folder: Path) -> Path | None:
    """What makes `folder` impossible: a file of its name, or of one of those above it."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists() or place == place.parent)
    return None if nearest.is_dir() or not nearest.exists() else nearest


def require_writable(folder: Path) -> None:
    """Refuse, before any work is done for it, a folder that nothing can be written into. Raises DiskError."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists() or place == place.parent)
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise DiskError(f"{folder}: cannot be written, as {nearest} is read-only: name another folder")


def require_new_folder(folder: Path) -> None:
    """Refuse, before any work is done for it, a folder that is in use or cannot be. Raises UsageError."""
    if (blocker := file_in_the_way(folder)) is not None:
        raise UsageError(f"{folder}: cannot be, as {blocker} is a file: name a new folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder}: is there already and not empty: name a new folder, or remove it")
    if folder.resolve() == Path.cwd():  # a console in it would be left in what is no more
        raise UsageError(f"{folder}: is the folder you are in: name a new folder in it")


def require_folder_apart(folder: Path, originals: Iterable[Path]) -> None:
    """Refuse a folder for a copy that is in use, or would lie in what it is a copy of. Raises UsageError.

    `originals` are folders of the original; beside a file of it there is room for a folder.
    """
    require_new_folder(folder)
    for place in {place for place in originals if place.is_dir()}:
        if folder.resolve().is_relative_to(place.resolve()):
            raise UsageError(f"{folder}: lies in {place}, which is not to be touched: name a folder elsewhere")


def require_room(folder: Path, size: int) -> None:
    """Refuse, before any of it is written, what would not fit on the disk of `folder`. Raises FrcnnError."""
    disk = shutil.disk_usage(folder)
    if disk.total and disk.free < size:  # a total of 0: a file system that does not say
        wanted = f"{decimal(size)} must be free on this disk, and only {decimal(disk.free)} are"
        raise FrcnnError(f"{folder}: {wanted}: make room, or choose a folder on another disk")


def _file_beside(path: Path) -> Path:
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix_aside(path), suffix=ASIDE)
    except OSError as error:
        raise DiskError(f"{path}: cannot be written ({error.strerror})") from error
    os.close(descriptor)
    return Path(name)


def _prefix_aside(path: Path) -> str:
    """Of the name of what is written aside: mkstemp adds eight signs, and the suffix comes behind them."""
    return f".{beginning_of_name(path.name, LONGEST_NAME - len('..') - 8 - len(ASIDE))}."


@contextmanager
def folder_unless_in_vain(folder: Path, is_worth_keeping: Callable[[], bool]) -> Iterator[None]:
    """Make `folder` for the block; where the block fails and leaves nothing worth keeping, no new folder stays behind.

    A folder that was there before stays as it is. Raises FrcnnError where `folder` cannot be made.
    """
    absent = [place for place in (folder, *folder.parents) if not place.exists()]
    make_folder(folder)
    try:
        yield
    except Exception:
        if absent and not is_worth_keeping():
            shutil.rmtree(folder)
            with suppress(OSError):  # another run may have begun beside this one
                for place in absent[1:]:
                    place.rmdir()
        raise


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link, which takes no room; a copy where there can be none: on another disk, or one without links."""
    try:
        os.link(source.resolve(), target)  # the file itself, where `source` is a symbolic link to it
    except OSError:
        shutil.copyfile(source, target)


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """Yield a folder beside `folder`, which must be new or empty; on success it takes its place, else nothing is left.

    Raises UsageError where something is in the way, FrcnnError where the disk refuses.
    """
    require_new_folder(folder)
    make_folder(folder.parent)
    for torn in folder.parent.glob(
        f"{glob.escape(_prefix_aside(folder))}????????{ASIDE}"
    ):  # by a process that was killed
        shutil.rmtree(torn, ignore_errors=True)
    try:
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_prefix_aside(folder), suffix=ASIDE))
    except OSError as error:
        raise DiskError(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        whole = aside / folder.name  # a folder of its own, which has the permissions any new folder gets
        whole.mkdir()
        yield whole
        whole.replace(folder)
    except OSError as error:
        failed = Path(str(error.filename or folder))
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)  # of a copy, the file that is read is named first
        named = folder if is_full or failed.is_relative_to(aside) else failed  # nobody knows of the folder beside
        raise FrcnnError(f"{named}: cannot be read or written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
