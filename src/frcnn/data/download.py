"""Public data sets from the network: fetched, checked, unpacked, and laid out as their makers meant.

A part that is there whole is not brought again; a download that was interrupted or killed, at any moment, is gone on
with by the same call; an unpacking begins again.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from frcnn.data.archives import PUBLISHED, Part
from frcnn.data.unpacking import unpack
from frcnn.errors import DataError, FrcnnError, UsageError
from frcnn.fetching import alone, fetch_file
from frcnn.files import file_in_the_way, folder_unless_in_vain, make_folder, require_room
from frcnn.progress import progress_bar

SCHEMES = ("http://", "https://")


def download(name: str, folder: Path, mirrors: Sequence[str] = (), keep_archives: bool = False) -> Path:
    """Bring a data set into `folder`, and give the path to train on. What is there already is not fetched again.

    `mirrors`: addresses of servers that hold the archives under their own names; they are asked in their order, and
    no one else is. Raises UsageError, DownloadError, DataError, and FrcnnError where the disk refuses.
    """
    if name not in PUBLISHED:
        raise UsageError(f"{name!r} is no data set that can be fetched: these are: {', '.join(PUBLISHED)}")
    _check_mirrors(mirrors)
    if file := file_in_the_way(folder):
        raise UsageError(f"{folder}: cannot be made, {file} is a file: name another folder")
    parts = PUBLISHED[name].parts
    with (
        folder_unless_in_vain(folder, lambda: any(folder.iterdir())),
        _one_line(folder),
        alone(folder / f".{name}.lock"),
    ):
        missing = [part for part in parts if not _is_whole(folder, part)]
        for part in missing:
            _remove_unfinished(folder, part)
        require_room(folder, _most_room(folder, missing, keep_archives))
        for part in missing:
            _fetch_part(folder, part, mirrors)
            _unpack_part(folder, part)
            if not keep_archives:
                _delete_archives(folder, part)
    return folder / PUBLISHED[name].path


def _check_mirrors(mirrors: Sequence[str]) -> None:
    for mirror in mirrors:
        if not mirror.startswith(SCHEMES):
            raise UsageError(f"the mirror {mirror!r} is no address: it must begin with {' or '.join(SCHEMES)}")


@contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    """For what the disk refuses; and Ctrl-C says what becomes of the work so far."""
    try:
        yield
    except KeyboardInterrupt:
        kept = f"what was fetched stays in {folder}, and the same command goes on from there"
        raise KeyboardInterrupt(kept) from None
    except OSError as error:
        raise FrcnnError(f"{error.filename or folder}: cannot be changed ({error.strerror or error})") from error


def _is_whole(folder: Path, part: Part) -> bool:
    """Whether a part is there. Raises UsageError where something else is in its place."""
    place = folder / part.folder
    if not place.exists():
        return False
    found = sum(1 for _ in place.glob(part.pattern))
    if found < part.files:  # more are a person's own
        lacks = f"{found} of {part.files} files {part.pattern}"
        raise UsageError(f"{place}: is in the way, and not whole ({lacks}): remove it, or name another folder")
    return True


def _most_room(folder: Path, parts: Sequence[Part], keep_archives: bool) -> int:
    """The bytes that are taken, beyond what is now, when most are: an archive goes once it is unpacked."""
    taken = most = 0
    for part in parts:
        there = sum(_size_so_far(folder / archive.name) for archive in part.archives)
        size = sum(archive.size for archive in part.archives)
        taken += size - there + sum(archive.unpacked for archive in part.archives)
        most = max(most, taken)
        if not keep_archives:
            taken -= size
    return most


def _size_so_far(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, path.with_name(f"{path.name}.part")) if file.is_file())


def _fetch_part(folder: Path, part: Part, mirrors: Sequence[str]) -> None:
    for archive in part.archives:
        urls = [f"{server.rstrip('/')}/{archive.name}" for server in mirrors or archive.servers]
        with progress_bar(f"fetching {archive.name}") as advance:
            fetch_file(folder / archive.name, urls, archive.sha256, archive.size, advance)


def _aside(folder: Path, part: Part) -> Path:
    return folder / f".unpacking-{PurePosixPath(part.folder).name}"


def _remove_unfinished(folder: Path, part: Part) -> None:
    """What a kill has left of an unpacking: it begins again, and needs the room."""
    if _aside(folder, part).exists():
        shutil.rmtree(_aside(folder, part))


def _unpack_part(folder: Path, part: Part) -> None:
    """Unpack aside, then rename: the folder is there whole or not at all."""
    place, aside = folder / part.folder, _aside(folder, part)
    try:
        for archive in part.archives:
            with progress_bar(f"unpacking {archive.name}") as advance:
                unpack(folder / archive.name, aside, archive.unpacked, advance)
        if not (aside / part.folder).is_dir():
            raise DataError(f"{folder / part.archives[0].name}: has no folder {part.folder}: delete it")
        if hasattr(os, "sync"):
            os.sync()  # a power cut must not leave the new name with old emptiness behind it
        make_folder(place.parent)
        (aside / part.folder).replace(place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _delete_archives(folder: Path, part: Part) -> None:
    for archive in part.archives:
        (folder / archive.name).unlink(missing_ok=True)
