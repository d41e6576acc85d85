"""PASCAL VOC: folders of pictures, one XML file a picture, lists of names as splits.

The files count pixels from 1 and mean both ends to belong to the box, so a box read is (x1 - 1, y1 - 1, x2, y2).
"""

import difflib
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from frcnn.data.dataset import BadBoxes, Dataset, Example
from frcnn.data.pictures import read_size
from frcnn.errors import DataError
from frcnn.structures import Target

SPLITS = ("train", "val", "trainval", "test")
SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG", ".bmp", ".tif", ".tiff", ".webp")
LARGEST_OVERHANG = 1.0  # pixels by which a box may leave its picture: rounding in the annotator's tool
LARGEST_ANNOTATION = 16 * 2**20  # bytes; an honest one has some thousand


class VOCObject(NamedTuple):
    """One object as its file has it, but for the box."""

    name: str
    box: tuple[float, float, float, float]  # half-open, clipped to the picture
    difficult: bool


class Annotation(NamedTuple):
    """What one XML file says."""

    size: tuple[int, int]  # (height, width)
    objects: list[VOCObject]
    bad_boxes: list[str]  # why, one a bad box


def find_sets(path: Path) -> list[Path]:
    """The sets that `path` means: itself, those of its VOCdevkit, or those of a parent that holds several years."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such data set")
    if not path.is_dir():
        raise DataError(f"{path}: is a file; a VOC data set is a folder with Annotations and JPEGImages")
    for folder in (path, path / "VOCdevkit"):
        if _is_set(folder):
            return [folder]
        below = sorted(child for child in folder.iterdir() if _is_set(child)) if folder.is_dir() else []
        if below:
            return below
    inner = sorted(s for child in path.iterdir() if child.is_dir() for s in _sets_of_devkit(child))
    if not inner:
        raise DataError(f"{path}: is no VOC data set: there is no folder with Annotations and JPEGImages in it")
    return inner


def _sets_of_devkit(folder: Path) -> list[Path]:
    devkit = folder / "VOCdevkit"
    return [child for child in devkit.iterdir() if _is_set(child)] if devkit.is_dir() else []


def _is_set(folder: Path) -> bool:
    return (folder / "Annotations").is_dir() and (folder / "JPEGImages").is_dir()


def splits_of(root: Path) -> set[str]:
    """The splits that a set has; without lists, every annotation is trainval."""
    lists = {split for split in SPLITS if (root / "ImageSets" / "Main" / f"{split}.txt").is_file()}
    return lists or {"trainval"}


def find_class_names(roots: Sequence[Path]) -> tuple[str, ...]:
    """The names of all objects in all splits, alphabetically, so that training and test agree on them."""
    names: set[str] = set()
    for root in roots:
        for path in sorted((root / "Annotations").glob("*.xml")):
            names.update(_text(element, "name", path) for element in _parse(path).iter("object"))
    if not names:
        raise DataError(f"{roots[0]}: there is no object in any annotation, so there is nothing to learn")
    return tuple(sorted(names))


def read_split(roots: Sequence[Path], split: str, class_names: Sequence[str], bad_boxes: BadBoxes) -> Dataset:
    """The examples of one split of all sets. Raises DataError."""
    examples, skipped = [], 0
    for root in roots:
        for name in _names_in(root, split):
            example, bad = _read_example(root, name, class_names, bad_boxes)
            examples.append(example)
            skipped += bad
    if not examples:
        raise DataError(f"{roots[0]}: the split {split} lists no picture")
    return Dataset(tuple(examples), tuple(class_names), skipped)


def _names_in(root: Path, split: str) -> list[str]:
    available = splits_of(root)
    if split not in available:
        listed = ", ".join(s for s in SPLITS if s in available)
        raise DataError(f"{root}: has no split {split}; it has {listed}")
    path = root / "ImageSets" / "Main" / f"{split}.txt"
    if not path.is_file():
        return sorted(file.stem for file in (root / "Annotations").glob("*.xml"))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return [line.split()[0] for line in lines if line.strip()]


def _read_example(root: Path, name: str, class_names: Sequence[str], bad_boxes: BadBoxes) -> tuple[Example, int]:
    path = root / "Annotations" / f"{name}.xml"
    picture = _picture_of(root, name)
    annotation = read_annotation(path, picture)
    if annotation.bad_boxes and bad_boxes == "refuse":
        raise DataError(f'{path}: {annotation.bad_boxes[0]}: mend it, or set data.bad_boxes="skip" to leave it out')
    objects = annotation.objects
    target = Target(
        torch.tensor([o.box for o in objects], dtype=torch.float32).reshape(-1, 4),
        torch.tensor([_class_id(o.name, class_names, path) for o in objects], dtype=torch.long),
        torch.tensor([o.difficult for o in objects], dtype=torch.bool),
    )
    return Example(picture, path, annotation.size, target), len(annotation.bad_boxes)


def _picture_of(root: Path, name: str) -> Path:
    for suffix in SUFFIXES:
        path = root / "JPEGImages" / f"{name}{suffix}"
        if path.is_file():
            return path
    raise DataError(f"{root / 'JPEGImages' / name}.jpg: there is no such picture, but a split names it")


def read_annotation(path: Path, picture: Path) -> Annotation:
    """One XML file; only name and bndbox of an object are required. Raises DataError naming the file and the line."""
    tree = _parse(path)
    size = _size(tree) or read_size(picture)
    objects, bad = [], []
    for number, element in enumerate(tree.iter("object"), start=1):
        name = _text(element, "name", path)
        corners = _corners(element, path)
        problem = _problem(corners, size)
        if problem:
            bad.append(f"object {number} ({name}): {problem}")
            continue
        difficult = (element.findtext("difficult") or "0").strip() not in ("0", "")
        objects.append(VOCObject(name, _half_open(corners, size), difficult))
    return Annotation(size, objects, bad)


def _parse(path: Path) -> ElementTree.Element:
    try:
        if path.stat().st_size > LARGEST_ANNOTATION:
            raise DataError(f"{path}: is too large for an annotation")
        text = path.read_bytes()
        if b"<!ENTITY" in text:  # entities can be made to grow without bounds, and no annotation needs one
            raise DataError(f"{path}: declares XML entities, which no annotation needs: remove them")
        return ElementTree.fromstring(text)  # noqa: S314
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such annotation, but a split names it") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{path}: is no XML that can be read ({error}): mend or remove it") from error


def _text(element: ElementTree.Element, tag: str, path: Path) -> str:
    text = (element.findtext(tag) or "").strip()
    if not text:
        raise DataError(f"{path}: an object has no <{tag}>")
    return text


def _size(tree: ElementTree.Element) -> tuple[int, int] | None:
    """(height, width) where the file says them; some say 0."""
    try:
        height, width = (int(float(tree.findtext(f"size/{side}") or 0)) for side in ("height", "width"))
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None


def _corners(element: ElementTree.Element, path: Path) -> tuple[float, float, float, float]:
    """xmin, ymin, xmax, ymax as written."""
    values = []
    for tag in ("xmin", "ymin", "xmax", "ymax"):
        text = element.findtext(f"bndbox/{tag}")
        try:
            value = float(text or "")
        except ValueError:
            raise DataError(f"{path}: an object's <{tag}> is {text!r}, not a number") from None
        values.append(value)
    return values[0], values[1], values[2], values[3]


def _problem(corners: tuple[float, float, float, float], size: tuple[int, int]) -> str | None:
    """What is wrong with a box, judged on the file's own numbers; None if nothing is."""
    xmin, ymin, xmax, ymax = corners
    height, width = size
    written = f"({xmin:g}, {ymin:g}, {xmax:g}, {ymax:g})"
    if not all(map(math.isfinite, corners)):
        return f"its box {written} is not finite"
    if xmax <= xmin or ymax <= ymin:
        return f"its box {written} has no area"
    overhang = max(1 - xmin, 1 - ymin, xmax - width, ymax - height)
    if overhang > LARGEST_OVERHANG:
        return f"its box {written} leaves the picture of {width} x {height}"
    return None


def _half_open(corners: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    xmin, ymin, xmax, ymax = corners
    height, width = size
    return max(xmin - 1, 0.0), max(ymin - 1, 0.0), min(xmax, float(width)), min(ymax, float(height))


def _class_id(name: str, class_names: Sequence[str], path: Path) -> int:
    if name in class_names:
        return class_names.index(name)
    near = difflib.get_close_matches(name, class_names, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    raise DataError(f"{path}: the class {name!r} is not one of the model's{hint} ({', '.join(class_names)})")
