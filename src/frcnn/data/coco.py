"""COCO's layout: one JSON file a split, with images, annotations and categories; pictures in folders beside it.

Its boxes are (x, y, width, height); ours are corners. Ids of pictures, objects and categories are kept for export.
"""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frcnn.data.coco_places import LOOKED_FOR, CocoFile, split_of
from frcnn.data.coco_reading import LISTS, NEEDED, prefix_of, read_part
from frcnn.data.index import Index, IndexBuilder

SIZES = {"small": (0.0, 32.0), "medium": (32.0, 96.0), "large": (96.0, math.inf)}  # of an object: the root of its area
OTHER_TASKS = ("captions", "image_info", "panoptic", "person_keypoints", "stuff")  # how COCO's own other files begin
FOLDERS = ("train", "val", "test")  # as their names begin whose JSON files are a split each, as Roboflow has it
PEEKED = 1 << 16  # bytes of a file that are looked at to recognise it


@dataclass(frozen=True)
class CocoSet:
    """The files of one data set."""

    root: Path
    parts: tuple[CocoFile, ...]

    @property
    def title(self) -> str:
        """The names of its files."""
        return " ".join(["coco", *(os.path.relpath(part.path, self.root) for part in self.parts)])

    def files(self) -> Iterator[Path]:
        """What an index of it hangs on: the sizes of the pictures stand in the JSON files."""
        return (part.path for part in self.parts)

    def still_holds(self, index: Index, /) -> bool:
        """Are the pictures still where they were found? Their folder stands in no file, and they may have moved."""
        return all(_found_again(index, part, self.root) for part in self.parts)

    def read(self) -> Index:
        """All its splits; the classes are in the order of the category ids. Raises DataError."""
        builder = IndexBuilder("coco")
        for part in self.parts:
            read_part(builder, part, self.root)
        return builder.finished()


def recognise_coco(path: Path) -> CocoSet | None:
    """The set that a JSON file is, or that lies in a folder; None where there is none."""
    if path.is_file():
        if path.suffix.lower() != ".json":
            return None
        root = path.parent.parent if path.parent.name == "annotations" else path.parent
        return CocoSet(root, (_part(path, root),))
    if not path.is_dir():
        return None
    files = [file for folder in (path, path / "annotations") for file in _instance_files(folder)]
    files += [file for child in _children(path) if child.name.startswith(FOLDERS) for file in _instance_files(child)]
    return CocoSet(path, tuple(_part(file, path) for file in files)) if files else None


def _children(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _instance_files(folder: Path) -> list[Path]:
    """The annotation files of detection: COCO keeps those of other tasks beside them."""
    if not folder.is_dir():
        return []
    files = [file for file in sorted(folder.glob("*.json")) if not file.name.startswith(OTHER_TASKS)]
    return [file for file in files if _looks_like_coco(file)]


def _looks_like_coco(path: Path) -> bool:
    """It begins like an object that has one of COCO's lists, or a name of COCO's."""
    named = path.name.startswith(("instances", "_annotations.coco"))
    try:
        with path.open("rb") as file:
            peeked = file.read(PEEKED)
    except OSError:  # its reader will say so
        return named
    beginning = peeked.lstrip(b"\xef\xbb\xbf \t\r\n")
    names = LISTS if len(peeked) == PEEKED else NEEDED  # others list categories too: what is seen whole must have more
    lists = (rf'"{name}"\s*:\s*\['.encode() for name in names)
    return beginning.startswith(b"{") and (named or any(re.search(one, beginning) for one in lists))


def _part(path: Path, root: Path) -> CocoFile:
    return CocoFile(path, split_of(path, root))


def _found_again(index: Index, part: CocoFile, root: Path) -> bool:
    """Would the pictures of a file be looked for in the same folder once more?"""
    file = os.path.relpath(part.path, root)
    prefix = index.found.get(file)
    if prefix is None:  # it names no picture
        return True
    number = next(number for number in range(len(index.annotation_names)) if index.annotation_names[number] == file)
    first = int(np.searchsorted(index.annotation_of, number))  # files are read one after another
    last = min(first + LOOKED_FOR, int(np.searchsorted(index.annotation_of, number, side="right")))
    names = [index.picture_names[picture].removeprefix(prefix) for picture in range(first, last)]
    return prefix_of(part, names, root) == prefix
