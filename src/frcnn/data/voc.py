"""The PASCAL VOC layout: Annotations/*.xml, JPEGImages/, ImageSets/Main/<split>.txt. The VOC devkit's documentation.

Its boxes are in 1-based pixels, the last one included; ours are half-open corners: x1 - 1, y1 - 1, x2, y2.
"""

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from frcnn.data.sources import PICTURE_SUFFIXES
from frcnn.errors import DataError

Corners = tuple[float, float, float, float]

SPLITS = ("train", "val", "trainval", "test")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
SHAPE = "a folder with Annotations and JPEGImages, or one that holds such folders"
LEVELS = 2  # how far below what is named a set may lie: parent/VOCdevkit/VOC2007
MARGIN = 1.0  # pixels by which a box may leave its picture: 0-based files, rounding
SMALLEST = 1e-3  # pixels a side must keep inside the picture, so that float32 still sees an area
LARGEST_FILE = 16 * 2**20  # bytes; an honest annotation has some thousand
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
    pictures: dict[str, Path]  # by file name and by stem

    def annotation(self, identity: str) -> Path:
        """Where the annotation of an id is, or ought to be."""
        return self.folder / "Annotations" / f"{identity}.xml"

    def picture(self, annotation: Annotation) -> Path:
        """The annotation's picture: by its id, as the devkit does, else by the name in the file. Raises DataError."""
        stem = annotation.path.stem
        for name in (f"{stem}.jpg", stem, annotation.picture_name):
            if name in self.pictures:
                return self.pictures[name]
        expected = self.folder / "JPEGImages" / f"{stem}.jpg"
        raise DataError(f"{annotation.path}: its picture {expected} is missing: add it, or take it out of the splits")


def find_voc_sets(path: Path) -> list[VocSet]:
    """The set at `path`, or all those below it (its years), in the order of their names. Raises DataError."""
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise DataError(f"{path}: {what}; a VOC data set is {SHAPE}")
    folders = _set_folders(path, LEVELS)
    if not folders:
        raise DataError(f"{path}: is no VOC data set ({SHAPE})")
    return [_open_set(folder) for folder in folders]


def read_annotation(path: Path) -> Annotation:
    """One XML file. Only a name and a bndbox are required of an object. Raises DataError naming file and line."""
    root = _parsed(path)
    if root.tag.lower() != "annotation":
        raise DataError(f"{path}: is no VOC annotation: it begins with <{root.tag}> instead of <annotation>")
    objects = tuple(_read_object(path, i, element) for i, element in enumerate(root.findall("object"), start=1))
    return Annotation(path, Path(_text(root, "filename")).name, objects)


def box_problem(corners: Corners, size: tuple[int, int]) -> str | None:
    """What is wrong with a box in a picture of (height, width), by the file's own numbers; None where nothing is."""
    xmin, ymin, xmax, ymax = corners
    height, width = size
    if not all(map(math.isfinite, corners)):
        return "is not made of four numbers"
    if xmax <= xmin or ymax <= ymin:
        return "has no area (xmax > xmin and ymax > ymin must hold)"
    outside = max(1 - xmin, 1 - ymin, xmax - width, ymax - height)
    x1, y1, x2, y2 = half_open(corners, size)
    if outside > MARGIN or min(x2 - x1, y2 - y1) < SMALLEST:
        return f"leaves its picture of {width}x{height} pixels"
    return None


def half_open(corners: Corners, size: tuple[int, int]) -> Corners:
    """From 1-based pixels, the last one included, to (x1, y1, x2, y2), the part inside a picture of (height, width)."""
    xmin, ymin, xmax, ymax = corners
    height, width = size
    return max(xmin - 1, 0.0), max(ymin - 1, 0.0), min(xmax, float(width)), min(ymax, float(height))


def _set_folders(path: Path, levels: int) -> list[Path]:
    if (path / "Annotations").is_dir():
        if not (path / "JPEGImages").is_dir():
            raise DataError(f"{path}: has Annotations but no JPEGImages; a VOC data set is {SHAPE}")
        return [path]
    if levels == 0:
        return []
    below = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    return [folder for child in below for folder in _set_folders(child, levels - 1)]


def _open_set(folder: Path) -> VocSet:
    annotations = sorted(p.stem for p in (folder / "Annotations").glob("*.xml") if not p.name.startswith("."))
    if not annotations:
        raise DataError(f"{folder}: is empty: there is no .xml in its Annotations")
    lists = folder / "ImageSets" / "Main"
    splits = {split: _read_list(lists / f"{split}.txt") for split in SPLITS if (lists / f"{split}.txt").is_file()}
    if not (folder / "ImageSets").is_dir():
        splits = {"trainval": tuple(annotations)}
    elif "trainval" not in splits and {"train", "val"} <= splits.keys():
        splits["trainval"] = tuple(dict.fromkeys(splits["train"] + splits["val"]))
    return VocSet(folder, splits, _pictures(folder / "JPEGImages"))


def _read_list(path: Path) -> tuple[str, ...]:
    """One id a line; each counts once."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8: it must name one picture a line") from error
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))


def _pictures(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICTURE_SUFFIXES:
            found[path.name] = path
            found.setdefault(path.stem, path)
    return found


def _parsed(path: Path) -> ElementTree.Element:
    try:
        too_large = path.stat().st_size > LARGEST_FILE
        content = b"" if too_large else path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if too_large:
        raise DataError(f"{path}: is too large for an annotation: take it out")
    if b"<!ENTITY" in content.replace(b"\0", b""):  # in UTF-16 too: entities can grow without bound
        raise DataError(f"{path}: declares XML entities, which no annotation needs: take its DOCTYPE out")
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        line, _ = error.position
        raise DataError(f"{path}, line {line}: is no whole XML ({error}): mend it, or take it out") from error
    except (LookupError, ValueError) as error:
        raise DataError(f"{path}, line 1: names an unknown encoding ({error}): write it in UTF-8") from error


def _read_object(path: Path, number: int, element: ElementTree.Element) -> VocObject:
    name = _text(element, "name")
    if not name:
        raise DataError(f"{path}: object {number} has no <name>: give it one")
    box = element.find("bndbox")
    if box is None:
        raise DataError(f"{path}: object {number} ({name}) has no <bndbox>: give it one, or take it out")
    xmin, ymin, xmax, ymax = (_number(_text(box, corner)) for corner in CORNERS)
    return VocObject(name, (xmin, ymin, xmax, ymax), _text(element, "difficult").lower() in YES)


def _text(element: ElementTree.Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
