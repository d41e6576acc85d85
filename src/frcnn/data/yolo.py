"""YOLO's layout: a text file a picture, a line an object: class, then centre and size as fractions of the picture.

The splits and the names of the classes stand in a YAML file; without one, folders called train, val and test are the
splits, and classes.txt, where there is one, has the names. Outlines (more numbers in a line) become their boxes.
"""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from frcnn.data.index import NO_PICTURE, UNREADABLE, Index, IndexBuilder
from frcnn.data.pictures import read_size
from frcnn.data.sources import PICTURE_SUFFIXES
from frcnn.errors import DataError

FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels")
WHOLE = "trainval"  # the split of a set that has none
SPLITS = ("train", "val", WHOLE, "test")
LOOKED_AT = 100  # pictures, to recognise a folder: most may have no objects
NO_SIZE = (0, 0)


@dataclass(frozen=True)
class YoloSet:
    """The pictures of each split (folders, and text files that name pictures), and the names of the classes, if any."""

    root: Path
    splits: Mapping[str, tuple[Path, ...]]
    names: tuple[str, ...]
    described_by: Path | None = None  # the YAML file

    @property
    def title(self) -> str:
        """Told apart by its YAML file."""
        return f"yolo {self.described_by.name if self.described_by else ''}"

    def files(self) -> Iterator[Path]:
        """What an index of it hangs on."""
        yield from () if self.described_by is None else (self.described_by,)
        yield from (self.root / name for name in NAME_FILES)
        for places in self.splits.values():
            for place in places:
                if place.is_file():
                    yield place
                folders = {picture.parent for picture in pictures_at(place)} | ({place} if place.is_dir() else set())
                for folder in sorted(folders):
                    yield from dict.fromkeys((folder, label_of(folder / "x").parent))

    def still_holds(self, _index: Index, /) -> bool:
        """All that an index of it knows stands in `files`."""
        return True

    def read(self) -> Index:
        """All its splits; the classes are in the order of the file that names them. Raises DataError."""
        builder = IndexBuilder("yolo", {name: number for number, name in enumerate(self.names)})
        numbers: dict[Path, int] = {}
        for split, places in self.splits.items():
            pictures = list(dict.fromkeys(picture for place in places for picture in pictures_at(place)))
            for picture in pictures:
                if picture not in numbers:
                    numbers[picture] = _add(builder, self, picture)
            builder.add_to_split(split, (numbers[picture] for picture in pictures))
        return builder.finished()


@dataclass(frozen=True)
class YoloObject:
    """One line: the class's number, and the box as fractions of the picture, NaN where there is no number."""

    line: int
    class_number: int
    box: tuple[float, float, float, float]  # (x1, y1, x2, y2)


def recognise_yolo(path: Path) -> YoloSet | None:
    """The set that a YAML file describes, or that lies in a folder; None where there is none. Raises DataError."""
    if path.is_file():
        return _described(path) if path.suffix.lower() in (".yaml", ".yml") else None
    if not path.is_dir():
        return None
    for name in ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml"):
        if (path / name).is_file():
            return _described(path / name)
    return _bare(path)


def label_of(picture: Path) -> Path:
    """Where a picture's objects are: in `labels` in place of the last `images` of its path, else beside it."""
    parts = list(picture.parts)
    if "images" in parts[:-1]:
        place = len(parts) - 2 - parts[-2::-1].index("images")
        parts[place] = "labels"
    return Path(*parts).with_suffix(".txt")


def read_labels(path: Path) -> list[YoloObject]:
    """The objects of one text file. Raises DataError naming file and line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text: it must hold an object a line") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return [read_object(path, number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]


def read_object(path: Path, line: int, words: Sequence[str]) -> YoloObject:
    """The object of one line. Raises DataError naming file and line."""
    try:
        class_number = float(words[0])
        numbers = [float(word) for word in words[1:]]
    except ValueError as error:
        said = " ".join(words)[:40]
        raise DataError(f"{path}, line {line}: holds something that is no number ({said}): mend it") from error
    if not class_number.is_integer():
        raise DataError(f"{path}, line {line}: begins with {words[0]}, where the number of a class is due: mend it")
    if len(numbers) in (4, 5):  # a fifth is a confidence
        x, y, width, height = numbers[:4]
        return YoloObject(line, int(class_number), (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    if len(numbers) >= 6 and len(numbers) % 2 == 0:
        xs, ys = numbers[::2], numbers[1::2]
        return YoloObject(line, int(class_number), (min(xs), min(ys), max(xs), max(ys)))
    raise DataError(
        f"{path}, line {line}: has {len(words)} numbers, but an object has five (class, centre x, centre y, width, "
        "height): mend it"
    )


def _add(builder: IndexBuilder, yolo: YoloSet, picture: Path) -> int:
    """A picture and its objects; one without a text file has none. Its number."""
    label = label_of(picture)
    name, label_name = os.path.relpath(picture, yolo.root), os.path.relpath(label, yolo.root)
    if not picture.is_file():
        return builder.add_picture(name, label_name, NO_SIZE, state=NO_PICTURE)
    try:
        size = read_size(picture)
    except DataError:  # told when it is asked for: it may be in a split that nobody looks at
        return builder.add_picture(name, label_name, NO_SIZE, state=UNREADABLE)
    number = builder.add_picture(name, label_name, size)
    objects = read_labels(label) if label.is_file() else []
    sides = (size[1], size[0], size[1], size[0])
    builder.add_objects(
        [number] * len(objects),
        [builder.class_number(_class_name(yolo, label, item)) for item in objects],
        [fraction * side for item in objects for fraction, side in zip(item.box, sides, strict=True)],
        [0] * len(objects),
    )
    return number


def _class_name(yolo: YoloSet, label: Path, item: YoloObject) -> str:
    if not yolo.names and item.class_number >= 0:
        return str(item.class_number)
    if 0 <= item.class_number < len(yolo.names):
        return yolo.names[item.class_number]
    raise DataError(
        f"{label}, line {item.line}: has the class {item.class_number}, but there are {len(yolo.names)} classes "
        "(counted from 0): mend it, or name the class"
    )


def pictures_at(place: Path) -> list[Path]:
    """Those in a folder and all below it, or those that a text file names."""
    if place.is_dir():
        return sorted(child for child in place.rglob("*") if child.suffix.lower() in PICTURE_SUFFIXES)
    return [picture for _, picture in listed_pictures(place)]


def listed_pictures(place: Path) -> list[tuple[int, Path]]:
    """The pictures that a text file names, each with its line. Raises DataError."""
    try:
        lines = place.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{place}: is no folder of pictures, and no list of them: mend the path in the YAML") from error
    return [(number, place.parent / line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]


def _described(path: Path) -> YoloSet:
    content = _parsed(path)
    root = path.parent / str(content.get("path") or "")
    root = root if root.is_dir() else path.parent  # a path that was right on another machine
    splits = {split: _places(path, root, content[split]) for split in SPLITS if content.get(split)}
    if WHOLE in splits:  # which only our own writer says: the others are there for those who ask for them
        splits = {split: places for split, places in splits.items() if split == WHOLE or places != splits[WHOLE]}
    if not splits:
        raise DataError(f"{path}: names no pictures: it needs train, val or test, each a folder or a list of pictures")
    return YoloSet(path.parent, splits, _names(path, content.get("names")), path)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise DataError(f"{path}, line {line}: is no YAML ({str(error).splitlines()[0]}): mend it") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: is no data set: it needs train, val or test, and names")
    return content


def _places(path: Path, root: Path, value: object) -> tuple[Path, ...]:
    """One folder or list, or several."""
    values = value if isinstance(value, list) else [value]
    return tuple(_place(path, root, str(place)) for place in values)


def _place(path: Path, root: Path, value: str) -> Path:
    """Relative to the YAML's `path`; exported sets often say ../train/images and lie beside the YAML all the same."""
    tries = (root / value, path.parent / value, path.parent / value.removeprefix("../"))
    found = next((place for place in tries if place.exists()), None)
    if found is None:
        raise DataError(f"{path}: names {value}, but there is no {tries[0]}: mend the path, or take it out")
    return found


def _names(path: Path, value: object) -> tuple[str, ...]:
    """In the order of the file: a list, or numbers from 0 with their names."""
    if isinstance(value, dict):
        if sorted(value) != list(range(len(value))):
            raise DataError(f"{path}: the numbers of its names do not count from 0 to {len(value) - 1}: mend them")
        return tuple(str(value[number]) for number in range(len(value)))
    if isinstance(value, list):
        return tuple(map(str, value))
    raise DataError(f"{path}: has no names: the names of the classes, a list or numbers with names")


def _bare(folder: Path) -> YoloSet | None:
    """Folders by name (images/train, train/images, train), else everything."""
    base = folder / "images" if (folder / "images").is_dir() else folder
    named = {split: child for name, split in FOLDERS.items() if (child := base / name).is_dir()}
    splits = {split: (child,) for split, child in named.items()} or {WHOLE: (base,)}
    is_plain = base == folder and not named  # then what lies below may be sets of their own
    looked_at = folder.glob("*") if is_plain else (path for (place,) in splits.values() for path in place.rglob("*"))
    pictures = itertools.islice((path for path in looked_at if path.suffix.lower() in PICTURE_SUFFIXES), LOOKED_AT)
    if any(label_of(picture).is_file() for picture in pictures):
        return YoloSet(folder, splits, _listed_names(folder))
    return None


def _listed_names(folder: Path) -> tuple[str, ...]:
    """One a line, where a file of them lies in the folder or among the labels."""
    places = (folder / below / name for name in NAME_FILES for below in (".", "labels"))
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        return ()
    return tuple(line.strip() for line in found.read_text(encoding="utf-8-sig").splitlines() if line.strip())


def as_fractions(corners: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Centre and size, as fractions of a picture of (height, width)."""
    x1, y1, x2, y2 = corners
    height, width = size
    return (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
