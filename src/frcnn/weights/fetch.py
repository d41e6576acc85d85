"""Weights from the network: fetched once, whole, and checked.

What is already there is never fetched again; a transfer that was cut continues where it stopped; two processes
that want the same file wait for each other; a file whose checksum is wrong is never handed out.
"""

import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote, urlsplit

import torch

from frcnn.errors import FrcnnError

try:
    import fcntl
except ImportError:  # Windows: two processes may fetch at once, and the checksum judges what comes of it
    fcntl = None

Progress = Callable[[int, int | None], None]  # bytes so far; bytes in all (None: the server does not say)

CHUNK = 1 << 18
ATTEMPTS = 4
PAUSE = 0.5  # seconds before the second attempt, doubled before each further one
TIMEOUT = 30.0  # seconds without a byte
MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses worth another attempt


class DownloadError(FrcnnError):
    """A file that could not be fetched, or is not what it should be; the message says where to put it by hand."""


class _TransferError(Exception):
    """One attempt that failed."""


class _FinalError(_TransferError):
    """An attempt that failed, and no further one can do better."""


def fetch(
    url: str, sha256_prefix: str | None = None, folder: Path | None = None, progress: Progress | None = None
) -> Path:
    """The file at `url`, kept in `folder` (default: torch hub's checkpoints) and fetched only if it is not there.

    `sha256_prefix`: the first digits of its checksum. Raises DownloadError.
    """
    path = (folder or checkpoint_folder()) / unquote(PurePosixPath(urlsplit(url).path).name)
    try:
        if _is_right(path, sha256_prefix):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_name(path.name + ".lock")):
            if not _is_right(path, sha256_prefix):  # another process may have fetched it while this one waited
                _fetch_to(path, url, sha256_prefix, progress)
    except _TransferError as error:
        raise DownloadError(f"{url}: cannot be fetched ({error}): try again, or put the file at {path}") from error
    except OSError as error:
        raise DownloadError(f"{url}: {path} cannot be written ({error.strerror or error})") from error
    return path


def checkpoint_folder() -> Path:
    """Where torch and torchvision keep what they fetch; the variable TORCH_HOME moves it."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def checksum_in_name(url: str) -> str | None:
    """The first digits of the SHA-256, which torchvision writes into its file names (name-0123abcd.pth)."""
    found = re.search(r"-([0-9a-f]{8,64})\.[^./]+$", urlsplit(url).path)
    return found[1] if found else None


def _fetch_to(path: Path, url: str, sha256_prefix: str | None, progress: Progress | None) -> None:
    """Bring the file beside `path`, judge it, then put it in its place."""
    part = path.with_name(path.name + ".part")
    was_there = part.exists()
    _transfer(part, url, progress)
    if was_there and not _is_right(part, sha256_prefix):  # it may have been the beginning of an older file
        part.unlink()
        _transfer(part, url, progress)
    if not _is_right(part, sha256_prefix):
        found = _sha256(part)[:8]
        part.unlink()
        raise _FinalError(f"what came has the wrong checksum: SHA-256 {found}..., not {sha256_prefix}...")
    part.replace(path)


def _transfer(part: Path, url: str, progress: Progress | None) -> None:
    """Fill `part`, in several attempts if need be."""
    for attempt in range(ATTEMPTS):
        try:
            _attempt(part, url, progress)
            return
        except _TransferError as error:
            if isinstance(error, _FinalError) or attempt == ATTEMPTS - 1:
                raise
        time.sleep(PAUSE * 2**attempt)


def _attempt(part: Path, url: str, progress: Progress | None) -> None:
    """One request for what `part` still lacks."""
    start = part.stat().st_size if part.exists() else 0
    try:
        with _open(url, start) as response:
            continues = response.status == HTTPStatus.PARTIAL_CONTENT  # else it sends the whole, from the beginning
            with part.open("ab" if continues else "wb", buffering=0) as file:
                _copy(response, file, start if continues else 0, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            kind = _TransferError if error.code in MAY_PASS else _FinalError
            raise kind(f"HTTP {error.code} {error.reason}") from error
        if error.headers.get("Content-Range") != f"bytes */{start}":  # we have more than there is: begin again
            part.unlink()
            raise _TransferError("the file on the server has become shorter") from error


def _open(url: str, start: int) -> http.client.HTTPResponse:
    """The server's answer to a request for the bytes from `start` on. Raises HTTPError where it refuses."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: no URL at all
        raise _TransferError(str(getattr(error, "reason", error))) from error


def _copy(response: http.client.HTTPResponse, file: IO[bytes], done: int, progress: Progress | None) -> None:
    """Pass on what the server sends to the end, `done` bytes being there already."""
    length = response.headers.get("Content-Length")
    total = done + int(length) if length else None
    while chunk := _read(response):
        file.write(chunk)  # an error here is the disk's, and another attempt would not help
        done += len(chunk)
        if progress is not None:
            progress(done, total)
    if total is not None and done != total:
        raise _TransferError(f"the connection ended after {done} of {total} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _TransferError(str(error) or type(error).__name__) from error


def _is_right(path: Path, sha256_prefix: str | None) -> bool:
    return path.is_file() and (sha256_prefix is None or _sha256(path).startswith(sha256_prefix.lower()))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
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
