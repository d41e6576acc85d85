"""Archives unpacked without trust in them: nothing leaves the folder, and nothing is larger than it may be.

Only files and folders are taken: no data set of ours needs a link. Every member is judged before the first is written.
"""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path, PureWindowsPath
from typing import NamedTuple, cast

from rich.filesize import decimal

from frcnn.errors import DataError, FrcnnError
from frcnn.files import require_room
from frcnn.progress import Advance

CHUNK = 1 << 20
BLOCK = 4096  # what the smallest file takes on a disk
FILE, FOLDER, LINK, DEVICE = "a file", "a folder", "a link", "a device"
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)  # what readers raise


class _Member(NamedTuple):
    """One entry of an archive, by what the archive says of it. Only a file can be opened."""

    name: str
    size: int
    kind: str
    open: Callable[[], BufferedIOBase]


def unpack(archive: Path, folder: Path, at_most: int, advance: Advance | None = None) -> None:
    """Unpack a .zip, or else an uncompressed tar, into `folder`: at most so many bytes, as the disk counts them.

    `advance` hears of the bytes written. Raises DataError for what is damaged or refused, FrcnnError for the disk.
    """
    try:
        with _opened(archive) as members:
            for member in members:
                _refuse_what_leaves(archive, member)
            _refuse_repeats(archive, members)
            room = _room_needed(archive, members, at_most)
            folder.mkdir(parents=True, exist_ok=True)
            require_room(folder, room)
            _write_all(members, folder, advance)
    except DAMAGED as error:
        raise DataError(f"{archive}: is damaged ({error}): delete it and fetch it again") from error
    except OSError as error:
        raise FrcnnError(f"{archive}: cannot be unpacked into {folder} ({error.strerror or error})") from error


@contextmanager
def _opened(archive: Path) -> Iterator[list[_Member]]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            yield [_zip_member(file, entry) for entry in file.infolist()]
    else:
        with tarfile.open(archive, "r:") as file:
            yield [_tar_member(file, entry) for entry in file]


def _zip_member(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Member:
    """Its CRC is checked when it is read to the end."""
    kind = FOLDER if entry.is_dir() else FILE
    mode = stat.S_IFMT(entry.external_attr >> 16)  # 0 where it was not packed on a Unix
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = LINK if mode == stat.S_IFLNK else DEVICE
    return _Member(entry.filename, entry.file_size, kind, lambda: cast(BufferedIOBase, file.open(entry)))


def _tar_member(file: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member:
    if entry.size < 0:  # Python would read the same header for ever
        raise tarfile.ReadError(f"{entry.name!r} has a size below 0")
    kind = FILE if entry.isreg() else FOLDER if entry.isdir() else DEVICE
    if entry.islnk() or entry.issym():
        kind = LINK
    return _Member(entry.name, entry.size, kind, lambda: cast(BufferedIOBase, file.extractfile(entry)))


def _refuse_what_leaves(archive: Path, member: _Member) -> None:
    """Raises DataError, naming a member that would not stay in the folder, or is no file."""
    path = PureWindowsPath(member.name)  # which knows drives and both slashes, on every system
    if path.anchor or ".." in path.parts:
        raise DataError(f"{archive}: its member {member.name!r} leads out of the folder: delete the archive")
    if member.kind not in (FILE, FOLDER):
        raise DataError(f"{archive}: its member {member.name!r} is {member.kind}, no file: delete the archive")


def _refuse_repeats(archive: Path, members: Sequence[_Member]) -> None:
    """Raises DataError, naming a file that comes twice: no honest archive has two contents for one name."""
    seen: set[Path] = set()
    for path, name in ((Path(member.name), member.name) for member in members if member.kind == FILE):
        if path in seen:
            raise DataError(f"{archive}: its member {name!r} comes twice: delete the archive")
        seen.add(path)


def _room_needed(archive: Path, members: Sequence[_Member], at_most: int) -> int:
    """The bytes on a disk, in whole blocks. Raises DataError where they are more than an honest archive has."""
    room = sum(-(-max(member.size, 1) // BLOCK) * BLOCK for member in members)
    if room > at_most:
        sizes = f"{decimal(room)}, and no more than {decimal(at_most)} belong to it"
        raise DataError(f"{archive}: would unpack to {sizes}: delete the archive")
    return room


def _write_all(members: Sequence[_Member], folder: Path, advance: Advance | None) -> None:
    done, total = 0, sum(member.size for member in members)
    for member in members:
        path = folder / member.name
        if member.kind == FOLDER:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, path.open("xb") as file:  # where no other file is
            while chunk := source.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if advance is not None:
                    advance(done, total)
