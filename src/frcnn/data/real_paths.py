"""One path for each file, however it is spelled and whatever links lead to it."""

import os
from collections.abc import Iterable, Iterator


def real_paths(paths: Iterable[str]) -> Iterator[str]:
    """Of each file. Folders are looked into once: a million pictures lie in few of them."""
    known: dict[str, tuple[str, frozenset[str]]] = {}
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in known:
            known[folder] = os.path.realpath(folder), _links_in(folder)
        real, links = known[folder]
        yield os.path.realpath(path) if name in links else f"{real}/{name}"


def _links_in(folder: str) -> frozenset[str]:
    """The names of files that lie elsewhere."""
    try:
        with os.scandir(folder or ".") as entries:
            return frozenset(entry.name for entry in entries if entry.is_symlink())
    except OSError:  # it is absent: so are its files, of which others tell
        return frozenset()
