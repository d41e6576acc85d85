"""YOLO's layout: a text file a picture, a line an object: class, then centre and size as fractions of the picture.

The splits and the names of the classes stand in a YAML file; without one, folders called train, val and test are the
splits, and classes.txt, where there is one, has the names. Outlines (more numbers in a line) become their boxes; the
points of a pose, which follow a box where the YAML file has a kpt_shape, are passed over.
"""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from frcnn.data.index import NO_PICTURE, UNREADABLE, Index, IndexBuilder
from frcnn.data.pictures import read_size
from frcnn.data.sources import PICTURE_SUFFIXES
from frcnn.data.spelling import as_on_disk
from frcnn.data.yolo_description import SUFFIXES, WHOLE, find_description, read_description
from frcnn.data.yolo_labels import label_of, labels_below, whole
from frcnn.data.yolo_names import listed_names, name_files
from frcnn.errors import DataError

FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
LOOKED_AT = 100  # pictures, to recognise a folder: most may have no objects
NO_SIZE = (0, 0)


@dataclass(frozen=True)
class YoloSet:
    """The pictures of each split (folders, and text files that name pictures), and the names of the classes, if any."""

    root: Path
    splits: Mapping[str, tuple[Path, ...]]
    names: tuple[str, ...]
    described_by: Path | None = None  # the YAML file
    labels_below: Path | None = None  # the folder below which `images` gives way to `labels`; None: anywhere
    keypoints: int = 0  # numbers of a pose that follow each box

    @property
    def title(self) -> str:
        """Told apart by its YAML file."""
        return f"yolo {self.described_by.name if self.described_by else ''}"

    def files(self) -> Iterator[Path]:
        """What an index of it hangs on."""
        yield from () if self.described_by is None else (self.described_by,)
        yield from name_files(self.root)
        for places in self.splits.values():
            for place in places:
                if place.is_file():
                    yield place
                folders = {picture.parent for picture in pictures_at(place)} | ({place} if place.is_dir() else set())
                for folder in sorted(folders):
                    yield from dict.fromkeys((folder, self.label_of(folder / "x").parent))

    def label_of(self, picture: Path) -> Path:
        """Where a picture's objects are."""
        return as_on_disk(label_of(picture, self.labels_below))

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
        return _described(path) if path.suffix.lower() in SUFFIXES else None
    if not path.is_dir():
        return None
    file = find_description(path)
    return _bare(path) if file is None else _described(file)


def read_labels(path: Path, keypoints: int = 0) -> list[YoloObject]:
    """The objects of one text file. Raises DataError naming file and line."""
    return [read_object(path, number, words, keypoints) for number, words in read_lines(path)]


def read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """The words of each object of one text file, with its line. Raises DataError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8: it must hold an object a line; write it anew") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return [(number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]


def read_object(path: Path, line: int, words: Sequence[str], keypoints: int = 0) -> YoloObject:
    """The object of one line, whose box so many numbers of a pose may follow. Raises DataError naming file and line."""
    try:
        class_number = float(words[0])
        numbers = [float(word) for word in words[1:]]
    except ValueError as error:
        said = " ".join(words)[:40]
        raise DataError(f"{path}, line {line}: holds something that is no number ({said}): mend it") from error
    if not class_number.is_integer():
        raise DataError(f"{path}, line {line}: begins with {words[0]}, where the number of a class is due: mend it")
    if len(numbers) in (4, 5, 4 + keypoints):  # a fifth is a confidence
        x, y, width, height = numbers[:4]
        return YoloObject(line, int(class_number), (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    if len(numbers) >= 6 and len(numbers) % 2 == 0 and not keypoints:
        xs, ys = numbers[::2], numbers[1::2]
        return YoloObject(line, int(class_number), (min(xs), min(ys), max(xs), max(ys)))
    raise DataError(
        f"{path}, line {line}: has {len(words)} numbers, but an object has five (class, centre x, centre y, width, "
        "height): mend it"
    )


def _add(builder: IndexBuilder, yolo: YoloSet, picture: Path) -> int:
    """A picture and its objects; one without a text file has none. Its number."""
    label = yolo.label_of(picture)
    name, label_name = os.path.relpath(picture, yolo.root), os.path.relpath(label, yolo.root)
    if not picture.is_file():
        return builder.add_picture(name, label_name, NO_SIZE, state=NO_PICTURE)
    try:
        size = read_size(picture)
    except DataError:  # told when it is asked for: it may be in a split that nobody looks at
        return builder.add_picture(name, label_name, NO_SIZE, state=UNREADABLE)
    number = builder.add_picture(name, label_name, size)
    objects = read_labels(label, yolo.keypoints) if label.is_file() else []
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
        return sorted(_pictures_below(place))
    return [picture for _, picture in listed_pictures(place)]


def _pictures_below(folder: Path) -> Iterator[Path]:
    """Without a look at them."""
    return (path for path in shown_below(folder) if path.suffix.lower() in PICTURE_SUFFIXES)


def shown_below(folder: Path) -> Iterator[Path]:
    """All files but what is hidden, or in a hidden folder: a Mac leaves a file beside each, notebooks keep copies."""
    for above, folders, files in os.walk(folder):
        folders[:] = (name for name in folders if not name.startswith("."))
        yield from (Path(above, name) for name in files if not name.startswith("."))


def listed_pictures(place: Path) -> list[tuple[int, Path]]:
    """The pictures that a text file names, each with its line. Raises DataError."""
    try:
        lines = place.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{place}: is no folder of pictures, and no list of them: mend the path in the YAML") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: is no text in UTF-8: it must name a picture a line; save it in UTF-8") from error
    named = ((number, line.strip()) for number, line in enumerate(lines, start=1))
    return [(number, as_on_disk(place.parent / name)) for number, name in named if name]


def _described(path: Path) -> YoloSet:
    base, splits, names, keypoints = read_description(path)
    below = whole(path.parent)
    if "images" in below.parts or "images" in whole(base).parts:  # else it does not matter, and they may be many
        pictures = (picture for places in splits.values() for place in places for picture in _some_at(place))
        below = labels_below((below, base), list(itertools.islice(pictures, LOOKED_AT))) or below
    return YoloSet(path.parent, splits, names, path, below, keypoints)


def _some_at(place: Path) -> Iterator[Path]:
    """Pictures of a place, without a look at all; what cannot be read is told when it is."""
    if place.is_dir():
        yield from _pictures_below(place)
        return
    with suppress(DataError):
        yield from (picture for _, picture in listed_pictures(place))


def _bare(folder: Path) -> YoloSet | None:
    """Folders by name (images/train, train/images, train), else everything."""
    base = folder / "images" if (folder / "images").is_dir() else folder
    named = {split: child for name, split in FOLDERS.items() if (child := base / name).is_dir()}
    splits = {split: (child,) for split, child in named.items()} or {WHOLE: (base,)}
    is_plain = base == folder and not named  # then what lies below may be sets of their own
    places = [place for (place,) in splits.values()]
    looked_at = folder.glob("[!.]*") if is_plain else (path for place in places for path in shown_below(place))
    pictures = itertools.islice((path for path in looked_at if path.suffix.lower() in PICTURE_SUFFIXES), LOOKED_AT)
    below = labels_below((folder,), list(pictures))
    return None if below is None else YoloSet(folder, splits, listed_names(folder), labels_below=below)


def as_fractions(corners: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Centre and size, as fractions of a picture of (height, width)."""
    x1, y1, x2, y2 = corners
    height, width = size
    return (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
