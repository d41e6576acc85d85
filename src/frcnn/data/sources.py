"""What a person means by some pictures: files, folders and globs, in the order named, each picture once."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PICTURE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)


class Sources(NamedTuple):
    """The pictures found, and a line for each source that holds none."""

    pictures: list[Path]
    problems: list[str]


def find_pictures(sources: Sequence[str | Path]) -> Sources:
    """The files that are named, the pictures directly in each folder (by name), and what the globs match.

    A file that is named is taken whatever its suffix; `**` in a glob looks into all folders below.
    """
    pictures: dict[Path, Path] = {}  # by where it really is: a picture that is named twice is one picture
    problems = []
    for source in map(str, sources):
        found = _pictures_of(source)
        if not found:
            problems.append(_problem(source))
        for path in found:
            pictures.setdefault(path.resolve(), path)
    return Sources(list(pictures.values()), problems)


def _pictures_of(source: str) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        return sorted(child for child in path.glob("[!.]*") if _is_picture(child))  # a Mac hides a file beside each
    if path.exists() or not glob.has_magic(source):  # brackets may stand in a name
        return [path] if path.is_file() else []
    matches = glob.glob(source, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute patterns
    return [path for path in map(Path, sorted(matches)) if _is_picture(path)]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()


def _problem(source: str) -> str:
    if Path(source).is_dir():
        return f"{source}: there is no picture in this folder"
    return f"{source}: matches no picture" if glob.has_magic(source) else f"{source}: there is no such picture"
