"""COCO's layout: one JSON file a split, with images, annotations and categories; pictures in folders beside it.

Its boxes are (x, y, width, height); ours are corners. Ids of pictures, objects and categories are kept for export.
"""

import math
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from frcnn.data.coco_places import LOOKED_FOR, picture_folder, split_of
from frcnn.data.index import CROWD, DIFFICULT, Index, IndexBuilder
from frcnn.data.json_stream import stream_lists
from frcnn.errors import DataError

SIZES = {"small": (0.0, 32.0), "medium": (32.0, 96.0), "large": (96.0, math.inf)}  # of an object: the root of its area
LISTS = frozenset({"images", "annotations", "categories"})
OTHER_TASKS = ("captions", "image_info", "panoptic", "person_keypoints", "stuff")  # how COCO's own other files begin
FOLDERS = ("train", "val", "test")  # as their names begin whose JSON files are a split each, as Roboflow has it
PEEKED = 1 << 16  # bytes of a file that are looked at to recognise it


@dataclass(frozen=True)
class CocoFile:
    """One JSON file, and the split it is."""

    path: Path
    split: str


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
            _read_part(builder, part, self.root)
        return builder.finished()


def recognise_coco(path: Path) -> CocoSet | None:
    """The set that a JSON file is, or that lies in a folder; None where there is none."""
    if path.is_file():
        if path.suffix.lower() != ".json":
            return None
        root = path.parent.parent if path.parent.name == "annotations" else path.parent
        return CocoSet(root, (_part(path),))
    if not path.is_dir():
        return None
    files = [file for folder in (path, path / "annotations") for file in _instance_files(folder)]
    files += [file for child in _children(path) if child.name.startswith(FOLDERS) for file in _instance_files(child)]
    return CocoSet(path, tuple(map(_part, files))) if files else None


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
            beginning = file.read(PEEKED).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError:  # its reader will say so
        return named
    return beginning.startswith(b"{") and (named or any(f'"{name}"'.encode() in beginning for name in LISTS))


def _part(path: Path) -> CocoFile:
    return CocoFile(path, split_of(path))


def _found_again(index: Index, part: CocoFile, root: Path) -> bool:
    """Would the pictures of a file be looked for in the same folder once more?"""
    file = _relative(part.path, root)
    prefix = index.found.get(file)
    if prefix is None:  # it names no picture
        return True
    number = next(number for number in range(len(index.annotation_names)) if index.annotation_names[number] == file)
    first = int(np.searchsorted(index.annotation_of, number))  # files are read one after another
    last = min(first + LOOKED_FOR, int(np.searchsorted(index.annotation_of, number, side="right")))
    names = [index.picture_names[picture].removeprefix(prefix) for picture in range(first, last)]
    return _prefix(part, names, root) == prefix


def _prefix(part: CocoFile, names: Sequence[str], root: Path) -> str:
    """What has to stand before the names of a file's pictures."""
    folder = _relative(picture_folder(part.path, names), root)
    return "" if folder == "." else folder + os.sep


def _relative(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)


def _read_part(builder: IndexBuilder, part: CocoFile, root: Path) -> None:
    """One file into the index: its lists may stand in any order, so objects find pictures and classes at the end."""
    reading = _Reading(part, root)
    for name, item in stream_lists(part.path, LISTS):
        if not isinstance(item, dict):
            raise DataError(f"{part.path}: an item of {name!r} is no object: mend it, or write the file anew")
        if name == "images":
            reading.add_picture(builder, item)
        elif name == "annotations":
            reading.add_object(item)
        else:
            reading.add_category(item)
    reading.finish(builder)


class _Reading:
    """One file while it is read."""

    def __init__(self, part: CocoFile, root: Path) -> None:
        self.part, self.root = part, root
        self.name = _relative(part.path, root)
        self.prefix: str | None = None  # of the pictures' names, once so many are known that their folder can be found
        self.waiting: list[tuple[str, tuple[int, int], int]] = []  # pictures: name, size and id
        self.categories: dict[int, str] = {}
        self.first = 0
        self.picture_ids = array("q")
        self.object_ids, self.image_ids, self.category_ids = array("q"), array("q"), array("q")
        self.corners, self.areas, self.flags = array("d"), array("f"), array("B")

    def add_picture(self, builder: IndexBuilder, item: Mapping[str, Any]) -> None:
        identity, name = self.whole(item, "id", "image"), item.get("file_name")
        if not isinstance(name, str) or not name:
            raise DataError(f"{self.part.path}: image {identity} has no file_name: give it one")
        size = (self.whole(item, "height", f"image {identity}"), self.whole(item, "width", f"image {identity}"))
        self.picture_ids.append(identity)
        self.waiting.append((name, size, identity))
        if self.prefix is not None or len(self.waiting) == LOOKED_FOR:
            self.pass_on(builder)

    def pass_on(self, builder: IndexBuilder) -> None:
        """The pictures that wait, into the index."""
        if self.prefix is None and self.waiting:
            self.prefix = _prefix(self.part, [name for name, _, _ in self.waiting], self.root)
            self.first, builder.found[self.name] = builder.pictures, self.prefix
        for name, size, identity in self.waiting:
            placed = name if Path(name).is_absolute() else f"{self.prefix}{name}"
            builder.add_picture(placed, self.name, size, identity)
        self.waiting.clear()

    def add_object(self, item: Mapping[str, Any]) -> None:
        identity = self.whole(item, "id", "annotation") if "id" in item else len(self.object_ids) + 1
        self.object_ids.append(identity)
        self.image_ids.append(self.whole(item, "image_id", f"annotation {identity}"))
        self.category_ids.append(self.whole(item, "category_id", f"annotation {identity}"))
        self.corners.extend(corners_of(item.get("bbox")))
        area = item.get("area")
        self.areas.append(float(area) if isinstance(area, int | float) else math.nan)
        difficult = bool(item.get("difficult") or item.get("ignore"))
        self.flags.append((CROWD if item.get("iscrowd") else 0) | (DIFFICULT if difficult else 0))

    def add_category(self, item: Mapping[str, Any]) -> None:
        identity, name = self.whole(item, "id", "category"), item.get("name")
        if not isinstance(name, str) or not name:
            raise DataError(f"{self.part.path}: category {identity} has no name: give it one")
        self.categories[identity] = name

    def whole(self, item: Mapping[str, Any], key: str, of: str) -> int:
        """The whole number of an item. Raises DataError where it has none."""
        value = item.get(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**63:
            raise DataError(f"{self.part.path}: {of} has no whole number as its {key!r}, but {value!r}: mend it")
        return value

    def finish(self, builder: IndexBuilder) -> None:
        """Ids become numbers, and everything goes into the index."""
        self.pass_on(builder)
        self.add_classes(builder)
        class_of = {identity: builder.class_number(name) for identity, name in self.categories.items()}
        classes = numbers_of(self.category_ids, class_of.keys(), self.complaint("category_id"))
        pictures = numbers_of(self.image_ids, self.picture_ids, self.complaint("image_id")) + self.first
        by_rank = np.array(list(class_of.values()), np.int32)
        builder.add_objects(
            array("i", pictures.astype(np.int32).tobytes()),
            array("i", by_rank[classes].astype(np.int32).tobytes()),
            self.corners,
            self.flags,
            self.object_ids,
            self.areas,
        )
        builder.add_to_split(self.part.split, range(self.first, self.first + len(self.picture_ids)))

    def add_classes(self, builder: IndexBuilder) -> None:
        """In the order of their ids; a class of the same name in another file is the same class."""
        for identity in sorted(self.categories):
            name = self.categories[identity]
            if name not in builder.class_numbers:
                builder.class_number(name)
                builder.category_ids.append(identity)

    def complaint(self, key: str) -> str:
        what = {"image_id": "images", "category_id": "categories"}[key]
        return f"{self.part.path}: an annotation has the {key} {{}}, which is none of its {what}: mend it, or add it"


def corners_of(box: object) -> Sequence[float]:
    """From (x, y, width, height); four NaN for anything else."""
    if isinstance(box, list) and len(box) == 4 and all(type(number) in (int, float) for number in box):
        x, y, width, height = map(float, box)
        return x, y, x + width, y + height
    return (math.nan,) * 4


def numbers_of(wanted: Sequence[int], ids: Any, complaint: str) -> np.ndarray:
    """The place of each wanted id among the `ids`. Raises DataError with the first that is none of them."""
    values, known = np.array(wanted, np.int64), np.array(list(ids), np.int64)
    if not len(values):
        return np.zeros(0, np.int64)
    order = np.argsort(known, kind="stable")
    place = np.searchsorted(known[order], values).clip(max=max(len(known) - 1, 0))
    unknown = np.flatnonzero(known[order][place] != values) if len(known) else np.arange(len(values))
    if len(unknown):
        raise DataError(complaint.format(values[unknown[0]]))
    return order[place]
