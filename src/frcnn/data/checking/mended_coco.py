"""A mended copy of a COCO set: its JSON files, written item by item, and the pictures they speak of."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from frcnn.data.checking.coco_statements import category_name, names_by_id, whole_number
from frcnn.data.checking.copying import put_papers, put_picture, round_number
from frcnn.data.checking.plan import Plan
from frcnn.data.coco import CocoSet
from frcnn.data.coco_places import CocoFile
from frcnn.data.json_stream import stream_lists
from frcnn.errors import DataError
from frcnn.files import make_folder
from frcnn.progress import Advance

NOT_MOVED = ("segmentation", "keypoints", "num_keypoints")  # left out of an object that came to lie elsewhere

Item = dict[str, Any]


def write_coco(plan: Plan, coco: CocoSet, target: Path, progress: Advance) -> None:
    """Into a new folder. Raises DataError where no file of the set can be read."""
    unreadable = {f.file for f in plan.one.said.findings if f.kind == "unreadable annotation"}
    parts = [part for part in coco.parts if part.path not in unreadable]
    if not parts:
        raise DataError(f"{coco.root}: cannot be mended, as none of its JSON files can be read")
    for part in parts:
        file = target / os.path.relpath(part.path, coco.root)
        make_folder(file.parent)
        with file.open("w", encoding="utf-8") as out:
            _write_part(_Part(plan, part), out)
    pictures = plan.one.said.pictures
    for number, picture in enumerate(pictures):
        if number not in plan.left_out:
            put_picture(plan, number, target / os.path.relpath(picture.path, coco.root))
        progress(number + 1, len(pictures))
    put_papers(coco.root, target)


def _write_part(part: "_Part", out: IO[str]) -> None:
    """The lists in COCO's order; what else a file holds (`info`) is about the old one."""
    out.write("{")
    _write_list(out, "licenses", part.items("licenses"))
    for name, mend in (("images", part.picture), ("annotations", part.object), ("categories", part.category)):
        out.write(",\n")
        _write_list(out, name, _mended(part.items(name), mend))
    out.write("}\n")


def _mended(items: Iterator[Any], mend: Callable[[Item, int], Item | None]) -> Iterator[Item]:
    """Those that are kept."""
    for place, item in enumerate(items, start=1):
        mended = mend(item, place) if isinstance(item, dict) else None
        if mended is not None:
            yield mended


def _write_list(out: IO[str], name: str, items: Iterator[Any]) -> None:
    out.write(f'"{name}": [')
    for number, item in enumerate(items):
        out.write(",\n" if number else "\n")
        json.dump(item, out)
    out.write("]")


class _Part:
    """One file of a plan, and what its mended items are."""

    def __init__(self, plan: Plan, part: CocoFile) -> None:
        self.plan, self.part = plan, part
        said = plan.one.said
        mine = {number for number, picture in enumerate(said.pictures) if picture.annotation == part.path}
        self.pictures = {said.pictures[number].identity: number for number in mine - plan.left_out}
        self.rows = {
            place: row
            for row, place in enumerate(said.objects.place.tolist())
            if plan.kept[row] and int(said.objects.picture[row]) in mine
        }
        self.names = self._category_names()
        self.ids = {name: identity for identity, name in reversed(self.names.items())}  # the first of a name
        self.seen_pictures: set[int] = set()
        self.seen_categories: set[int] = set()
        self.seen_objects: set[int] = set()
        self.next_object = 1 + max((int(identity) for identity in said.objects.identity), default=0)

    def items(self, name: str) -> Iterator[Any]:
        """Of one list of the old file."""
        return (item for _, item in stream_lists(self.part.path, {name}))

    def _category_names(self) -> dict[int, str]:
        """Rightly spelt, by id; of an id with two names nobody knows which."""
        names = names_by_id((item for item in self.items("categories") if isinstance(item, dict)), category_name)
        certain = {identity: next(iter(found)) for identity, found in names.items() if len(found) == 1}
        return {identity: self.plan.renamed.get(name, name) for identity, name in certain.items()}

    def picture(self, item: Item, _: int) -> Item | None:
        """With the size that it will have."""
        identity = whole_number(item.get("id"))
        number = None if identity is None else self.pictures.get(identity)
        if identity is None or number is None or identity in self.seen_pictures:
            return None
        self.seen_pictures.add(identity)
        height, width = self.plan.sizes[number].tolist()
        return item | {"height": height, "width": width}

    def category(self, item: Item, _: int) -> Item | None:
        """The first of those that are called the same."""
        identity = whole_number(item.get("id"))
        if identity is None or identity in self.seen_categories:
            return None
        if identity not in self.names or self.ids[self.names[identity]] != identity:
            return None
        self.seen_categories.add(identity)
        return item | {"name": self.names[identity]}

    def object(self, item: Item, place: int) -> Item | None:
        """With its new box, its class rightly spelt, and an id of its own."""
        row = self.rows.get(place)
        if row is None:
            return None
        mended = item | {"category_id": self.ids[self.plan.class_name(row)]}
        if self.plan.changed[row]:
            mended["bbox"] = self._box(row)
        if self.plan.moved[row]:
            mended = {key: value for key, value in mended.items() if key not in NOT_MOVED}
            mended["area"] = round_number(float(np.prod(self._box(row)[2:])))
        identity = whole_number(item.get("id"))
        if identity is not None and identity in self.seen_objects:
            mended["id"], self.next_object = self.next_object, self.next_object + 1
        elif identity is not None:
            self.seen_objects.add(identity)
        return mended

    def _box(self, row: int) -> list[float]:
        return [round_number(number) for number in self.plan.numbers(row)]
