"""Files from the network: fetched once, whole, and checked.

What is already there is never fetched again; a transfer that was cut continues where it stopped, on the next server
where one fails for good; two processes that want the same file wait for each other; a file whose checksum is wrong is
never handed out.
"""

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from frcnn.errors import FrcnnError
from frcnn.files import require_room

try:
    import fcntl
except ImportError:  # Windows: two processes may fetch at once, and the checksum judges what comes of it
    fcntl = None

Progress = Callable[[int, int | None], None]  # bytes so far; bytes in all (None: the server does not say)

CHUNK = 1 << 18
ATTEMPTS = 4  # in a row, none of which brings much
MUCH = 1 << 24  # bytes; a connection that brings so many before it breaks is worth any number of attempts
PAUSE = 0.5  # seconds before the second attempt, doubled before each further one
TIMEOUT = 30.0  # seconds without a byte
MOST_DIGITS = 18  # of a number of bytes: no disk holds more
MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses worth another attempt


class DownloadError(FrcnnError):
    """A file that could not be fetched, or is not what it should be; the message says where to put it by hand."""


class _TransferError(Exception):
    """One attempt that failed."""


class _FinalError(_TransferError):
    """An attempt that failed, and no further one with this server can do better."""


@dataclass(frozen=True)
class _Wanted:
    """The file: where it shall lie, and what it is known by."""

    path: Path
    sha256_prefix: str | None
    size: int | None

    @property
    def part(self) -> Path:
        """What has come of it so far, from whichever server."""
        return self.path.with_name(self.path.name + ".part")

    def is_there(self) -> bool:
        """Whether it lies in its place, right as far as can be told."""
        if not self.path.is_file() or self.size not in (None, self.path.stat().st_size):
            return False
        return self.sha256_prefix is None or self.has_checksum(_sha256(self.path))

    def has_checksum(self, checksum: str) -> bool:
        return checksum.startswith((self.sha256_prefix or "").lower())


def fetch_file(
    path: Path,
    urls: Sequence[str],
    sha256_prefix: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Have the file at `path`, from the first of `urls` that gives it; fetched only if it is not there.

    `sha256_prefix`: the first digits of its checksum. `size`: its bytes; a server that has another number of them is
    passed over before it can overwrite anything. Raises DownloadError, FrcnnError where the disk is too full.
    """
    wanted = _Wanted(path, sha256_prefix, size)
    try:
        if wanted.is_there():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path.with_name(path.name + ".lock")):
            if not wanted.is_there():  # another process may have fetched it while this one waited
                _fetch_from_any(wanted, urls, progress)
    except OSError as error:
        raise DownloadError(f"{urls[0]}: {path} cannot be written ({error.strerror or error})") from error
    return path


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold `lock` against other processes and threads; the system frees it when this process dies."""
    while True:
        with lock.open("ab") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            if not _carries_the_name(file, lock):  # who held it took it away, and someone may hold a new one
                continue
            try:
                yield
            finally:
                with suppress(OSError):  # Windows keeps a file that someone has open
                    lock.unlink()
            return


def _carries_the_name(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _fetch_from_any(wanted: _Wanted, urls: Sequence[str], progress: Progress | None) -> None:
    """One server after the other; what one has sent is continued by the next."""
    failures: list[_TransferError] = []
    for url in urls:
        try:
            _fetch_from(wanted, url, progress)
            return
        except _TransferError as error:
            failures.append(error)
    reasons = f"{urls[0]} ({failures[0]})"
    for url, error in zip(urls[1:], failures[1:], strict=True):
        reasons += f", nor from {urlsplit(url).netloc} ({error})"
    raise DownloadError(
        f"{wanted.path.name}: cannot be fetched from {reasons}: try again, or put it at {wanted.path}"
    ) from failures[-1]


def _fetch_from(wanted: _Wanted, url: str, progress: Progress | None) -> None:
    """Bring the file beside its place, judge it, then put it there."""
    part, was_there = wanted.part, wanted.part.exists()
    _transfer(wanted, url, progress)
    checksum = _sha256(part)
    if was_there and not wanted.has_checksum(checksum):  # it may have been the beginning of another file
        part.unlink()
        _transfer(wanted, url, progress)
        checksum = _sha256(part)
    if not wanted.has_checksum(checksum):
        part.unlink()
        right = (wanted.sha256_prefix or "")[:8]
        raise _FinalError(f"what came has the wrong checksum: SHA-256 {checksum[:8]}..., not {right}...")
    part.replace(wanted.path)


def _transfer(wanted: _Wanted, url: str, progress: Progress | None) -> None:
    """Fill the part, in several attempts if need be."""
    failures, most = 0, _size(wanted.part)
    while True:
        try:
            _attempt(wanted, url, progress)
            return
        except _TransferError as error:
            if _size(wanted.part) >= most + MUCH:
                failures, most = 0, _size(wanted.part)
            failures += 1
            if isinstance(error, _FinalError) or failures == ATTEMPTS:
                raise
        time.sleep(PAUSE * 2 ** (failures - 1))


def _attempt(wanted: _Wanted, url: str, progress: Progress | None) -> None:
    """One request for what the part still lacks."""
    part, start = wanted.part, _size(wanted.part)
    if wanted.size is not None and start > wanted.size:  # of another file
        part.unlink()
        start = 0
    if start == wanted.size:
        return
    try:
        with _open(url, start) as response:
            continues = response.status == HTTPStatus.PARTIAL_CONTENT and not _is_whole(response, start, wanted.size)
            total = _announced(response, start if continues else 0, wanted.size)  # where not: from the beginning
            if total is not None:
                require_room(part.parent, total - start)
            with part.open("ab" if continues else "wb") as file:
                _copy(response, file, start if continues else 0, total, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            kind = _TransferError if error.code in MAY_PASS else _FinalError
            raise kind(f"HTTP {error.code} {error.reason}") from error
        if error.headers.get("Content-Range") != f"bytes */{start}":  # we have more than there is: begin again
            if wanted.size is not None:  # no: another server has what is missing
                raise _FinalError(f"the file there ends before byte {start}") from error
            part.unlink()
            raise _TransferError("the file on the server has become shorter") from error


def _open(url: str, start: int) -> http.client.HTTPResponse:
    """The server's answer to a request for the bytes from `start` on. Raises HTTPError where it refuses."""
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: no URL at all
        raise _TransferError(str(getattr(error, "reason", error))) from error


def _is_whole(response: http.client.HTTPResponse, start: int, size: int | None) -> bool:
    """Does an answer called partial begin with the first byte? Some servers, and caches before them, send all."""
    says_so = response.headers.get("Content-Range", "").startswith("bytes 0-")
    return start > 0 and (says_so or (size is not None and _length(response) == size))


def _length(response: http.client.HTTPResponse) -> int | None:
    """The bytes that an answer says it has; None where that is no number of bytes."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and len(length) <= MOST_DIGITS else None


def _announced(response: http.client.HTTPResponse, done: int, size: int | None) -> int | None:
    """How many bytes the whole file has, `done` of them before this answer."""
    length = _length(response)
    if length is None:
        return size
    total = done + length
    if size not in (None, total):
        raise _FinalError(f"the file there has {total} bytes, not {size}")
    return total


def _copy(
    response: http.client.HTTPResponse, file: IO[bytes], done: int, total: int | None, progress: Progress | None
) -> None:
    """Pass on what the server sends to the end, `done` bytes being there already."""
    while (total is None or done < total) and (chunk := _read(response)):
        file.write(chunk)  # an error here is the disk's, and another attempt would not help
        done += len(chunk)
        if progress is not None:
            progress(done, total)
    if total is not None and done > total:
        raise _TransferError(f"the server sent more than the file's {total} bytes")
    if total is not None and done < total:
        raise _TransferError(f"the connection ended after {done} of {total} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _TransferError(str(error) or type(error).__name__) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
