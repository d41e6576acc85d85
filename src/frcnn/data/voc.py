"""The PASCAL VOC layout: Annotations/*.xml, JPEGImages/, ImageSets/Main/<split>.txt. The VOC devkit's documentation.

Its boxes are in 1-based pixels, the last one included; ours are half-open corners: x1 - 1, y1 - 1, x2, y2.
"""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from frcnn.class_names import fault_of_name
from frcnn.data.index import DIFFICULT, NO_ANNOTATION, NO_PICTURE, UNREADABLE, Index, IndexBuilder
from frcnn.data.pictures import read_size
from frcnn.data.sources import PICTURE_SUFFIXES
from frcnn.data.spelling import normal
from frcnn.data.voc_lists import LISTS, SPLITS, read_list
from frcnn.data.xml_text import parse_content, read_content
from frcnn.errors import DataError
from frcnn.naming import excerpt

Corners = tuple[float, float, float, float]

CORNERS = ("xmin", "ymin", "xmax", "ymax")
SHAPE = "a folder with Annotations and JPEGImages, or one that holds such folders"
NO_SIZE = (0, 0)
LEAST_SIDE = 1.0  # a box that begins and ends on one pixel has no area: see `box_faults`
YES = frozenset({"1", "true", "yes"})


class VocObject(NamedTuple):
    """One object of an annotation, in the file's own numbers; NaN where the file has no number."""

    name: str
    corners: Corners
    difficult: bool


@dataclass(frozen=True)
class Annotation:
    """What one XML file says of its picture."""

    path: Path
    picture_name: str  # "" where the file has none
    objects: tuple[VocObject, ...]


@dataclass(frozen=True)
class VocSet:
    """One year: where it lies, the picture numbers ("ids") of each split, and its pictures by name."""

    folder: Path
    splits: dict[str, tuple[str, ...]]
    pictures: dict[str, Path]  # by file name and by stem, both as `normal` has them
    spelt: Mapping[str, str] = field(default_factory=dict)  # ids as the disk spells them, where that is not `normal`
    title = "voc"

    @property
    def root(self) -> Path:
        """The folder of the year."""
        return self.folder

    def files(self) -> Iterator[Path]:
        """What an index of it hangs on."""
        yield from (self.folder / name for name in ("Annotations", "JPEGImages", LISTS.parent, LISTS))

    def still_holds(self, _index: Index, /) -> bool:
        """All that an index of it knows stands in `files`."""
        return True

    def read(self) -> Index:
        """All annotations that a split names; the classes are in alphabetical order. Raises DataError."""
        builder = IndexBuilder("voc")
        numbers: dict[str, int] = {}
        for split, ids in self.splits.items():
            for identity in ids:
                if identity not in numbers:
                    numbers[identity] = _add(builder, self, identity)
            builder.add_to_split(split, (numbers[identity] for identity in ids))
        return builder.finished(least_side=LEAST_SIDE, sort_classes=True)

    def as_on_disk(self, identity: str) -> str:
        """An id that a list has, as the files spell it: what looks the same is the same picture."""
        return identity if identity.isascii() else self.spelt.get(normal(identity), normal(identity))

    def annotation(self, identity: str) -> Path:
        """Where the annotation of an id is, or ought to be."""
        return self.folder / "Annotations" / f"{identity}.xml"

    def picture(self, annotation: Annotation) -> Path | None:
        """The annotation's picture: by its id, as the devkit does, else by the name in the file; None: missing."""
        stem = annotation.path.stem
        names = (f"{stem}.jpg", stem, annotation.picture_name)
        return next((self.pictures[name] for name in map(normal, names) if name in self.pictures), None)


def recognise_voc(folder: Path) -> VocSet | None:
    """The set in a folder; None where it is none. Raises DataError for half a set."""
    if not (folder / "Annotations").is_dir():
        return None
    if not (folder / "JPEGImages").is_dir():
        if not any((folder / "Annotations").glob("*.xml")):  # where names know no case, COCO's annotations
            return None
        raise DataError(f"{folder}: has Annotations but no JPEGImages; a VOC data set is {SHAPE}")
    return _open_set(folder)


def read_annotation(path: Path) -> Annotation:
    """One XML file. Only a name and a bndbox are required of an object. Raises DataError naming file and line."""
    root = parse_content(path, read_content(path))
    objects = tuple(_read_object(path, i, element) for i, element in enumerate(root.findall("object"), start=1))
    return Annotation(path, picture_name(root), objects)


def picture_name(root: ElementTree.Element) -> str:
    """The name of the picture, without folders; "" where the annotation has none."""
    return Path(text_of(root, "filename")).name


def text_of(element: ElementTree.Element, tag: str) -> str:
    """What stands in a child; "" where there is none."""
    return (element.findtext(tag) or "").strip()


def number_of(text: str) -> float:
    """NaN for what is no number."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def half_open(corners: Corners) -> Corners:
    """From 1-based pixels, the last one included, to (x1, y1, x2, y2)."""
    xmin, ymin, xmax, ymax = corners
    return xmin - 1, ymin - 1, xmax, ymax


def _open_set(folder: Path) -> VocSet:
    annotations = sorted(p.stem for p in (folder / "Annotations").glob("*.xml") if not p.name.startswith("."))
    if not annotations:
        raise DataError(f"{folder}: is empty: there is no .xml in its Annotations")
    lists = folder / LISTS
    splits = {split: read_list(lists / f"{split}.txt") for split in SPLITS if (lists / f"{split}.txt").is_file()}
    if not (folder / "ImageSets").is_dir():
        splits = {"trainval": tuple(annotations)}
    elif "trainval" not in splits and {"train", "val"} <= splits.keys():
        splits["trainval"] = tuple(dict.fromkeys(splits["train"] + splits["val"]))
    spelt = {normal(stem): stem for stem in annotations if normal(stem) != stem}
    found = VocSet(folder, splits, _pictures(folder / "JPEGImages"), spelt)
    ids = {split: tuple(dict.fromkeys(map(found.as_on_disk, listed))) for split, listed in splits.items()}
    return replace(found, splits=ids)


def _add(builder: IndexBuilder, voc: VocSet, identity: str) -> int:
    """A picture and its objects; its number."""
    path = voc.annotation(identity)
    name = str(path.relative_to(voc.folder))
    if not path.is_file():
        return builder.add_picture("", name, NO_SIZE, state=NO_ANNOTATION)
    annotation = read_annotation(path)
    number = _add_picture(builder, voc, annotation, name)
    objects = annotation.objects
    builder.add_objects(
        [number] * len(objects),
        [builder.class_number(item.name) for item in objects],
        [corner for item in objects for corner in half_open(item.corners)],
        [DIFFICULT if item.difficult else 0 for item in objects],
    )
    return number


def _add_picture(builder: IndexBuilder, voc: VocSet, annotation: Annotation, name: str) -> int:
    picture = voc.picture(annotation)
    if picture is None:
        return builder.add_picture(f"JPEGImages/{annotation.path.stem}.jpg", name, NO_SIZE, state=NO_PICTURE)
    relative = str(picture.relative_to(voc.folder))
    try:
        return builder.add_picture(relative, name, read_size(picture))
    except DataError:  # told when it is asked for: it may be in a split that nobody looks at
        return builder.add_picture(relative, name, NO_SIZE, state=UNREADABLE)


def _pictures(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICTURE_SUFFIXES:
            found[normal(path.name)] = path
            found.setdefault(normal(path.stem), path)
    return found


def _read_object(path: Path, number: int, element: ElementTree.Element) -> VocObject:
    name = text_of(element, "name")
    if not name:
        raise DataError(f"{path}: object {number} has no <name>: give it one")
    if fault := fault_of_name(name):
        raise DataError(f"{path}: the name of object {number} {fault} ({excerpt(name)}): mend it")
    box = element.find("bndbox")
    if box is None:
        raise DataError(f"{path}: object {number} ({name}) has no <bndbox>: give it one, or take it out")
    xmin, ymin, xmax, ymax = (number_of(text_of(box, corner)) for corner in CORNERS)
    return VocObject(name, (xmin, ymin, xmax, ymax), text_of(element, "difficult").lower() in YES)
