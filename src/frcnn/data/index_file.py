"""An index on the disk: mapped into memory, so that all processes share one copy. Safe to delete.

It is found by where the data set lies, and used only while the names, sizes and times of all the files that it was
made from are what they were, and pictures still lie where they were found. All of it is read against its
checksum when it is opened, which finds what a disk or a copy has damaged (CRC-32: one case in 2^32 passes); not what
happens to it while it is mapped, nor what somebody has made to deceive.
"""

import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from frcnn.data.index import Index, as_arrays, as_facts, from_arrays
from frcnn.errors import FrcnnError
from frcnn.files import written_whole

FORMAT = 7  # raised where what an index holds, or means, becomes another
UNSETTLED = 2.0  # seconds: a file this young may change once more without a new time, so nothing is kept of it


@runtime_checkable
class Source(Protocol):
    """A data set that was recognised, before it is read."""

    @property
    def root(self) -> Path:
        """The folder that names are relative to, as the user named it."""
        ...

    @property
    def title(self) -> str:
        """What it is, told apart from other data sets in the same folder."""
        ...

    def files(self) -> Iterable[Path]:
        """All files whose change makes an index stale, and folders whose lists of files do."""
        ...

    def still_holds(self, index: Index, /) -> bool:
        """Would what an index knows without having read it in a file be found once more?"""
        ...

    def read(self) -> Index:
        """Read all of it. Raises DataError."""
        ...


def open_index(source: Source, *, anew: bool = False) -> Index:
    """The index of a data set: from its file, or, where that is missing, stale or `anew` is asked for, made and kept.

    Where it cannot be kept (no room, no permission) it is in memory alone. Raises DataError.
    """
    path = index_path(source)
    key, youngest = fingerprint_of(source)
    if not anew and (kept := _read(path, key)) is not None and source.still_holds(kept):
        return kept
    index = source.read()
    if time.time() - youngest < UNSETTLED:
        return index
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, key, index)
    except (OSError, RuntimeError, FrcnnError):  # as torch.save says that the disk is full
        return index
    return _read(path, key) or index  # mapped: what was built is let go


def index_path(source: Source) -> Path:
    """Where the index of a data set is kept."""
    where = f"{source.root.resolve()}\0{source.title}".encode("utf-8", "surrogateescape")
    return cache_folder() / f"{hashlib.blake2b(where, digest_size=12).hexdigest()}.index"


def cache_folder() -> Path:
    """The variable FRCNN_CACHE, or the place where the system keeps what can be made again."""
    base = os.environ.get("FRCNN_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "frcnn"
    return Path(base) / "indices"


def fingerprint_of(source: Source) -> tuple[str, float]:
    """A digest of the names, sizes and times of all files, and the youngest of these times."""
    digest, youngest = hashlib.blake2b(f"{FORMAT}".encode(), digest_size=16), 0.0
    for path in source.files():
        digest.update(b"+" if path.exists() else b"-")  # an empty folder holds nothing either
        for name, stat in _stats(path, os.path.relpath(path, source.root)):
            digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
            youngest = max(youngest, stat.st_mtime)
    return digest.hexdigest(), youngest


def _stats(path: Path, name: str) -> Iterable[tuple[str, os.stat_result]]:
    """Of a file, or of all files in a folder, by name; of what is not there nothing, which differs from any file."""
    try:
        if not path.is_dir():
            return [(name, path.stat())]
        with os.scandir(path) as entries:
            return sorted((f"{name}/{entry.name}", entry.stat()) for entry in entries if entry.is_file())
    except FileNotFoundError:
        return []


def _write(path: Path, key: str, index: Index) -> None:
    facts = json.dumps({"key": key} | as_facts(index))
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in as_arrays(index).items()}
    checksum = _checksum(facts, as_arrays(index))
    with written_whole(path) as aside:
        torch.save({"facts": facts, "arrays": tensors, "checksum": checksum}, aside)


def _read(path: Path, key: str) -> Index | None:
    """None for any file that is not the index wanted."""
    with suppress(Exception):  # torch's reader raises what it pleases on broken files: they are made anew
        kept: dict[str, Any] = torch.load(path, mmap=True, weights_only=True)
        facts = json.loads(kept["facts"])
        arrays = {name: tensor.numpy() for name, tensor in kept["arrays"].items()}
        if facts["key"] == key and kept["checksum"] == _checksum(kept["facts"], arrays):
            return from_arrays(arrays, facts)
    return None


def _checksum(facts: str, arrays: Mapping[str, np.ndarray]) -> int:
    """Of all that an index is made from: a gigabyte in a second, and the pages that it reads stay shared."""
    checksum = zlib.crc32(facts.encode())
    for name, values in arrays.items():
        checksum = zlib.crc32(f"{name} {values.dtype} {values.shape}".encode(), checksum)
        checksum = zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data, checksum)
    return checksum
