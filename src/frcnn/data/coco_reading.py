"""One JSON file of COCO's layout, read an item at a time: a million pictures take no more room than they do packed."""

import math
import os
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frcnn.class_names import fault_of_name
from frcnn.data.coco_places import LOOKED_FOR, CocoFile, picture_folder
from frcnn.data.index import CROWD, DIFFICULT, IndexBuilder
from frcnn.data.json_stream import stream_lines
from frcnn.data.spelling import as_on_disk, has_other_spelling
from frcnn.errors import DataError
from frcnn.naming import excerpt

LISTS = frozenset({"images", "annotations", "categories"})
MOST_PIXELS = 2**31  # of a side
FLAGS = {"iscrowd": CROWD, "difficult": DIFFICULT, "ignore": DIFFICULT}
NEEDED = ("images", "annotations")  # without these, any JSON object would be a data set


def read_part(builder: IndexBuilder, part: CocoFile, root: Path) -> None:
    """One file into the index: its lists may stand in any order, so objects find pictures and classes at the end."""
    reading = _Reading(part, root)
    for name, item, line in stream_lines(part.path, LISTS, NEEDED):
        if not isinstance(item, dict):
            raise DataError(f"{part.path}, line {line}: an item of {name!r} is no object: mend it, or write it anew")
        reading.line = line
        if name == "images":
            reading.add_picture(builder, item)
        elif name == "annotations":
            reading.add_object(item)
        else:
            reading.add_category(item)
    reading.finish(builder)


def prefix_of(part: CocoFile, names: Sequence[str], root: Path) -> str:
    """What has to stand before the names of a file's pictures."""
    folder = os.path.relpath(picture_folder(part.path, names), root)
    return "" if folder == "." else folder + os.sep


class _Reading:
    """One file while it is read."""

    def __init__(self, part: CocoFile, root: Path) -> None:
        self.part, self.root = part, root
        self.name = os.path.relpath(part.path, root)
        self.prefix: str | None = None  # of the pictures' names, once so many are known that their folder can be found
        self.waiting: list[tuple[str, tuple[int, int], int]] = []  # pictures: name, size and id
        self.categories: dict[int, str] = {}
        self.first = 0  # picture's number
        self.line = 0  # in which the item begins that is read
        self.picture_ids = array("q")
        self.object_ids, self.image_ids, self.category_ids = array("q"), array("q"), array("q")
        self.corners, self.areas, self.flags = array("d"), array("f"), array("B")

    def add_picture(self, builder: IndexBuilder, item: Mapping[str, Any]) -> None:
        name = item.get("file_name")
        identity = self.whole(item, "id", f"image {excerpt(name)}")
        if not isinstance(name, str) or not name:
            raise self.error(f"image {identity} has no file_name: give it one")
        if not is_text(name):
            raise self.error(f"the file_name of image {identity} is no text ({excerpt(name)}): mend it")
        height, width = (self.whole(item, side, f"image {identity}", MOST_PIXELS) for side in ("height", "width"))
        size = (height, width)
        self.picture_ids.append(identity)
        self.waiting.append((name, size, identity))
        if self.prefix is not None or len(self.waiting) == LOOKED_FOR:
            self.pass_on(builder)

    def pass_on(self, builder: IndexBuilder) -> None:
        """The pictures that wait, into the index."""
        if self.prefix is None and self.waiting:
            self.prefix = prefix_of(self.part, [name for name, _, _ in self.waiting], self.root)
            self.first, builder.found[self.name] = builder.pictures, self.prefix
        for name, size, identity in self.waiting:
            placed = name if Path(name).is_absolute() else f"{self.prefix}{name}"
            builder.add_picture(self.as_on_disk(placed), self.name, size, identity)
        self.waiting.clear()

    def as_on_disk(self, name: str) -> str:
        """A picture's name as its folder has it; nothing is looked up for names that have one form alone."""
        if not has_other_spelling(name):
            return name
        found = as_on_disk(self.root / name)
        return str(found.relative_to(self.root) if found.is_relative_to(self.root) else found)

    def add_object(self, item: Mapping[str, Any]) -> None:
        place = len(self.object_ids) + 1
        identity = self.whole(item, "id", f"annotation {place} in the list") if "id" in item else place
        self.object_ids.append(identity)
        self.image_ids.append(self.whole(item, "image_id", f"annotation {identity}"))
        self.category_ids.append(self.whole(item, "category_id", f"annotation {identity}"))
        self.corners.extend(corners_of(item.get("bbox")))
        self.areas.append(area_of(item))
        if wrong := wrong_flag(item):
            raise self.error(f"annotation {identity} has the {wrong} {excerpt(item[wrong])}, not 0 or 1: mend it")
        self.flags.append(flags_of(item))

    def add_category(self, item: Mapping[str, Any]) -> None:
        name = item.get("name")
        identity = self.whole(item, "id", f"category {excerpt(name)}")
        if name is None:
            raise self.error(f"category {identity} has no name: give it one")
        if fault := fault_of_name(name):
            raise self.error(f"the name of category {identity} {fault} ({excerpt(name)}): mend it")
        if identity in self.categories:
            raise self.error(f"a second category ({excerpt(name)}) has the id {identity}: give it another")
        self.categories[identity] = name.strip()

    def whole(self, item: Mapping[str, Any], key: str, of: str, limit: int = 2**63) -> int:
        """The whole number of an item, less than `limit`. Raises DataError where it has none."""
        value = item.get(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            if key in item:
                raise self.error(f"the {key} of {of} must be a whole number, not {excerpt(value)}: mend it")
            raise self.error(f"{of} has no {key}: give it one")
        if abs(value) >= limit:
            raise self.error(f"the {key} of {of} is too large to be one: mend it")
        return value

    def error(self, what: str) -> DataError:
        return DataError(f"{self.part.path}, line {self.line}: {what}")

    def finish(self, builder: IndexBuilder) -> None:
        """Ids become numbers, and everything goes into the index."""
        self.pass_on(builder)
        if (twice := repeated(self.picture_ids)) is not None:
            raise DataError(f"{self.part.path}: several images have the id {twice}: give each its own")
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
        """In the order of their ids; a class of the same name in another file is the same class, whatever its id."""
        own: dict[str, int] = {}
        for identity in sorted(self.categories):
            name = self.categories[identity]
            builder.class_number(name)
            if own.setdefault(name, identity) != identity:
                builder.further_ids[name, identity] = None
        builder.category_ids |= dict.fromkeys(own.items())

    def complaint(self, key: str) -> str:
        what = {"image_id": "images", "category_id": "categories"}[key]
        return f"{self.part.path}: an annotation has the {key} {{}}, which is none of its {what}: mend it, or add it"


def corners_of(box: object) -> Sequence[float]:
    """From (x, y, width, height); four NaN for anything else."""
    if isinstance(box, list) and len(box) == 4 and not any(math.isnan(as_float(number)) for number in box):
        x, y, width, height = map(float, box)
        return x, y, x + width, y + height
    return (math.nan,) * 4


def as_float(number: object) -> float:
    """NaN for anything else than a number, and for one of hundreds of digits."""
    try:
        return float(number) if isinstance(number, int | float) and not isinstance(number, bool) else math.nan
    except OverflowError:
        return math.nan


def area_of(item: Mapping[str, Any]) -> float:
    """Square pixels of an object's outline; NaN, so that its box's count, for what cannot be an area."""
    area = as_float(item.get("area"))
    return area if 0 < area <= MOST_PIXELS**2 else math.nan


def wrong_flag(item: Mapping[str, Any]) -> str | None:
    """The first flag of an object that is neither yes nor no: text like "0" or "false" would be yes to Python."""
    return next((flag for flag in FLAGS if not _is_flag(item.get(flag))), None)


def _is_flag(value: object) -> bool:
    """As JSON has it; null is as if it were not there."""
    return value is None or (isinstance(value, int | float) and value in (0, 1))


def flags_of(item: Mapping[str, Any]) -> int:
    """Those of the index."""
    return sum({bit for flag, bit in FLAGS.items() if item.get(flag)})


def is_text(name: str) -> bool:
    """Can it be written? JSON may hold halves of letters; bytes of names of files that are no UTF-8 stay."""
    try:
        return bool(name.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return False


def repeated(ids: Sequence[int]) -> int | None:
    """One of the ids that are not the only ones of their kind, if there is any."""
    in_order = np.sort(np.array(ids, np.int64))
    places = np.flatnonzero(in_order[1:] == in_order[:-1])
    return int(in_order[places[0]]) if len(places) else None


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
