"""What the files of a COCO set say. A fault costs an item of a list; only broken JSON costs a file."""

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from frcnn.class_names import fault_of_name
from frcnn.data.checking.findings import as_finding, error, warning
from frcnn.data.checking.statements import NO_LINE, Listing, Notes, PictureSaid, SetSaid, Size
from frcnn.data.coco import CocoSet
from frcnn.data.coco_places import CocoFile, picture_folder
from frcnn.data.coco_reading import LISTS, NEEDED, flags_of, is_text, wrong_flag
from frcnn.data.json_stream import stream_lines
from frcnn.data.sources import PICTURE_SUFFIXES
from frcnn.data.spelling import as_on_disk
from frcnn.errors import DataError
from frcnn.naming import counted, excerpt, some_names

NOT_FOUR_NUMBERS = (float("nan"),) * 4
Item = Mapping[str, Any]
Lined = tuple[Item, int, int]  # an item, its line, and its place in its list, from 1


def take_down_coco(coco: CocoSet) -> SetSaid:
    """All its files."""
    notes = Notes()
    _find_unlisted_pictures(notes, [_take_down_file(notes, part) for part in coco.parts])
    return notes.finished(coco, "coco")


def whole_number(value: object) -> int | None:
    """As an id must be; 3.0 is one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _take_down_file(notes: Notes, part: CocoFile) -> list[Path]:
    """The pictures that it names, whatever is wrong with them."""
    lists: dict[str, list[Lined]] = {name: [] for name in LISTS if name != "annotations"}
    try:  # objects are too many to be held, and mean nothing before pictures and classes are known
        for name, lined in _lined_items(part.path, lists.keys(), NEEDED):
            lists[name].append(lined)
    except DataError as refusal:
        notes.findings.append(as_finding(refusal, "unreadable annotation", part.path))
        return []
    names = names_by_id((item for item, _, _ in lists["images"]), file_name)
    folder = picture_folder(part.path, [name for of_id in names.values() for name in of_id])
    pictures = _take_down_pictures(notes, part, lists["images"], names, folder)
    classes = _take_down_classes(notes, part.path, lists["categories"])
    known: set[int] = set()
    for _, lined in _lined_items(part.path, {"annotations"}):
        _take_down_object(notes, part.path, pictures, classes, known, lined)
    return [as_on_disk(folder / name) for of_id in names.values() for name in of_id]


def _lined_items(path: Path, names: Container[str], needed: Collection[str] = ()) -> Iterator[tuple[str, Lined]]:
    """The items of some lists; what is no object has nothing in it."""
    places: Counter[str] = Counter()
    for name, item, line in stream_lines(path, names, needed):
        places[name] += 1
        yield name, (item if isinstance(item, dict) else {}, line, places[name])


def names_by_id(items: Iterable[Item], name_of: Callable[[Item], str | None]) -> dict[int, set[str]]:
    """All names that the items of a list have for each id: of an id with two names nobody knows what it means."""
    found: dict[int, set[str]] = {}
    for item in items:
        identity, name = whole_number(item.get("id")), name_of(item)
        if identity is not None and name is not None:
            found.setdefault(identity, set()).add(name)
    return found


def file_name(item: Item) -> str | None:
    """That of an image; None where that is no text, or none at all."""
    name = item.get("file_name")
    return name if isinstance(name, str) and name and is_text(name) else None


def category_name(item: Item) -> str | None:
    """That of a category; None where it cannot be one."""
    name = item.get("name")
    return None if fault_of_name(name) else str(name).strip()


def _lacking(what: str, key: str, item: Item, why: str = "cannot be one") -> str:
    if "id" in item and whole_number(item["id"]) is None:
        return f"{what} in the list has the id {excerpt(item['id'])}, which is no whole number: mend it"
    if "id" in item and item.get(key) is not None:
        return f"{what} in the list has the {key} {excerpt(item[key])}, which {why}: mend it"
    return f"{what} in the list has no {key if 'id' in item else 'id'}: give it one, or take it out"


def _take_down_pictures(
    notes: Notes, part: CocoFile, items: Sequence[Lined], names: Mapping[int, set[str]], folder: Path
) -> dict[int, int | None]:
    """The numbers of the pictures by their ids; None for an id of several."""
    numbers: dict[int, int | None] = {}
    for item, line, place in items:
        identity, name = whole_number(item.get("id")), file_name(item)
        if identity is None or name is None:
            lacking = _lacking(f"image {place}", "file_name", item)
            notes.findings.append(error("unreadable picture entry", part.path, line, lacking))
            continue
        if identity in numbers:
            message = f"a second image has the id {identity}: give {name} another"
            notes.findings.append(error("duplicate id", part.path, line, message))
            continue
        if len(names[identity]) > 1:
            numbers[identity] = None
            continue
        path = as_on_disk(folder / name)
        number = notes.add_picture(PictureSaid(path, path.is_file(), part.path, line, _size(item), line, identity))
        notes.listings.append(Listing(part.split, number, part.path, line))
        numbers[identity] = number
    return numbers


def _size(item: Item) -> Size | None:
    height, width = whole_number(item.get("height")), whole_number(item.get("width"))
    if height is None or width is None or not (0 < height < 2**31 and 0 < width < 2**31):
        return None
    return height, width


def _take_down_classes(notes: Notes, path: Path, items: Sequence[Lined]) -> dict[int, int | None]:
    """The numbers of the classes by the ids of their categories; None for an id of several, or of no name."""
    names = names_by_id((item for item, _, _ in items), category_name)
    first: dict[str, int] = {}
    classes: dict[int, int | None] = {}
    for item, line, place in items:
        identity, name = whole_number(item.get("id")), category_name(item)
        if identity is None or name is None:
            why = f"{fault_of_name(item.get('name'))}, so that its objects have no class"
            lacking = _lacking(f"category {place}", "name", item, why)
            notes.findings.append(error("unreadable category", path, line, lacking))
            if identity is not None:
                classes.setdefault(identity, None)
        elif identity in classes:
            message = f"a second category ({excerpt(name)}) has the id {identity}: give it another"
            notes.findings.append(error("duplicate id", path, line, message))
        else:
            classes[identity] = notes.class_number(name) if len(names[identity]) == 1 else None
            if first.setdefault(name, identity) != identity:
                message = f"category {identity} is called {excerpt(name)}, as category {first[name]} is, so both are "
                message += "one class: give it another name, if that is not meant"
                notes.findings.append(warning("class of two ids", path, line, message))
    return classes


def _take_down_object(
    notes: Notes,
    path: Path,
    pictures: Mapping[int, int | None],
    classes: Mapping[int, int | None],
    known: set[int],
    lined: Lined,
) -> None:
    item, line, place = lined
    identity = _object_id(notes, path, known, lined)
    if identity is None:
        return
    picture = _reference(notes, path, lined, identity, "image_id", pictures)
    category = None if picture is None else _reference(notes, path, lined, identity, "category_id", classes)
    if picture is None or category is None:
        return
    number, class_number = pictures[picture], classes[category]
    if number is None or class_number is None:
        return  # told where the id is given
    if wrong := wrong_flag(item):
        message = f"annotation {identity} has the {wrong} {excerpt(item[wrong])}, not 0 or 1: mend it"
        notes.findings.append(error("unreadable object", path, line, message))
        return
    numbers = _numbers(item.get("bbox"))
    written = "" if numbers is not NOT_FOUR_NUMBERS and math.isfinite(sum(numbers)) else _written(item)
    notes.add_object(number, class_number, numbers, place, line, NO_LINE, identity, flags_of(item), written)


def _object_id(notes: Notes, path: Path, known: set[int], lined: Lined) -> int | None:
    """The id of an object, its place where it has none; None where it cannot be one. One given twice is told."""
    item, line, place = lined
    identity = whole_number(item.get("id")) if "id" in item else place
    if identity is None:
        message = f"annotation {place} in the list has the id {excerpt(item['id'])}, which is no whole number: mend it"
        notes.findings.append(error("unreadable object", path, line, message))
        return None
    if identity in known:
        message = f"a second annotation has the id {identity}: give it another, or take it out"
        notes.findings.append(error("duplicate id", path, line, message))
    known.add(identity)
    return identity


def _reference(
    notes: Notes, path: Path, lined: Lined, identity: int, key: str, ids: Mapping[int, int | None]
) -> int | None:
    """The id of a picture or category that an object names, if there is one."""
    item, line, _ = lined
    number = whole_number(item.get(key))
    if number is not None and number in ids:
        return number
    message = (
        f"annotation {identity} has the {key} {excerpt(item.get(key))}, which no {key.removesuffix('_id')} has: mend it"
    )
    kind = {"image_id": "unknown picture", "category_id": "unknown class"}[key]
    notes.findings.append(error(kind, path, line, message))
    return None


def _numbers(box: object) -> Sequence[float]:
    """Four, as the file has them, or four NaN."""
    if isinstance(box, list) and len(box) == 4 and all(type(number) in (int, float) for number in box):
        try:
            return [float(number) for number in box]
        except OverflowError:  # a whole number of hundreds of digits
            return NOT_FOUR_NUMBERS
    return NOT_FOUR_NUMBERS


def _written(item: Item) -> str:
    return json.dumps(item["bbox"], ensure_ascii=False) if "bbox" in item else "(there is no bbox)"


def _find_unlisted_pictures(notes: Notes, named: Iterable[Sequence[Path]]) -> None:
    """Pictures that lie beside those of the lists."""
    listed = {os.path.normpath(path) for of_file in named for path in of_file}
    for folder in sorted({Path(path).parent for path in listed}):
        files = [path for path in folder.glob("[!.]*") if path.suffix.lower() in PICTURE_SUFFIXES]
        left = sorted(path.name for path in files if os.path.normpath(path) not in listed)
        if left:
            message = f"{counted(len(left), 'picture')} in no list of images ({some_names(left)}): list, or take out"
            notes.findings.append(warning("picture without annotation", folder, None, message, left))
