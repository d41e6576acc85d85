"""What the files of a YOLO set say. A fault costs a line, never a file."""

from collections.abc import Iterator
from pathlib import Path

from frcnn.data.checking.findings import as_finding, error, warning
from frcnn.data.checking.statements import Listing, Notes, PictureSaid, SetSaid
from frcnn.data.sources import PICTURE_SUFFIXES
from frcnn.data.spelling import as_on_disk
from frcnn.data.yolo import YoloObject, YoloSet, listed_pictures, pictures_at, read_object, shown_below
from frcnn.data.yolo_description import read_content
from frcnn.data.yolo_labels import picture_stem
from frcnn.data.yolo_names import NAME_FILES
from frcnn.errors import DataError
from frcnn.naming import counted, excerpt, some_names


def take_down_yolo(yolo: YoloSet) -> SetSaid:
    """All its pictures, and the text files beside them."""
    notes = Notes({name: number for number, name in enumerate(yolo.names)})
    numbers: dict[Path, int] = {}
    unlabelled: list[str] = []
    for split, places in yolo.splits.items():
        for place in places:
            for line, picture in _pictures_at(notes, place):
                if picture not in numbers:
                    numbers[picture] = _take_down_picture(notes, yolo, picture, line, unlabelled)
                notes.listings.append(Listing(split, numbers[picture], place, line))
    if unlabelled:
        message = f"{counted(len(unlabelled), 'picture')} without a text file ({some_names(unlabelled)}): empty scenes?"
        notes.findings.append(warning("picture without annotation", yolo.root, None, message, unlabelled))
    _find_orphans(notes, yolo)
    _compare_count(notes, yolo)
    return notes.finished(yolo, "yolo")


def _pictures_at(notes: Notes, place: Path) -> list[tuple[int | None, Path]]:
    """With their lines, where a text file lists them."""
    try:
        return [(None, path) for path in pictures_at(place)] if place.is_dir() else [*listed_pictures(place)]
    except DataError as refusal:
        notes.findings.append(as_finding(refusal, "unreadable annotation", place))
        return []


def _take_down_picture(notes: Notes, yolo: YoloSet, picture: Path, line: int | None, unlabelled: list[str]) -> int:
    label = yolo.label_of(picture)
    is_there = picture.is_file()
    number = notes.add_picture(PictureSaid(picture, is_there, label, line, None))
    if label.is_file():
        for item, text in _objects(notes, label, yolo.keypoints):
            _take_down_object(notes, yolo, label, number, item, text)
    elif is_there:
        unlabelled.append(picture.name)
    return number


def _objects(notes: Notes, label: Path, keypoints: int) -> Iterator[tuple[YoloObject, str]]:
    """With what stands in their lines."""
    try:
        lines = label.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        message = "is no text in UTF-8: it must hold an object a line; write it anew"
        notes.findings.append(error("unreadable annotation", label, None, message))
        return
    for number, text in enumerate(lines, start=1):
        if text.strip():
            try:
                yield read_object(label, number, text.split(), keypoints), text
            except DataError as refusal:
                notes.findings.append(as_finding(refusal, "unreadable object", label))


def _take_down_object(notes: Notes, yolo: YoloSet, label: Path, picture: int, item: YoloObject, text: str) -> None:
    number = item.class_number
    if number < 0 or (yolo.names and number >= len(yolo.names)):
        known = f"the classes are 0 to {len(yolo.names) - 1}" if yolo.names else "classes count from 0"
        message = f"the object has the class {number}, but {known}: mend it, or name the class"
        notes.findings.append(error("unknown class", label, item.line, message))
        return
    x1, y1, x2, y2 = item.box
    class_number = number if yolo.names else notes.class_number(str(number))
    numbers = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
    written = text.split(maxsplit=1)[1].rstrip()
    notes.add_object(picture, class_number, numbers, item.line, item.line, item.line, written=written)


def _compare_count(notes: Notes, yolo: YoloSet) -> None:
    """How many classes the YAML file says there are, which we do not need, and others do."""
    said = None if yolo.described_by is None else read_content(yolo.described_by).get("nc")
    if yolo.described_by is not None and said not in (None, str(len(yolo.names))):
        names = counted(len(yolo.names), "name")
        message = f"its nc, the number of classes, is {excerpt(said)}, but there are {names}: mend it, or the names"
        notes.findings.append(warning("other number of classes", yolo.described_by, None, message))


def _find_orphans(notes: Notes, yolo: YoloSet) -> None:
    """Text files of objects without a picture; those whose picture is there, but in no split, are counted."""
    used = {picture.annotation for picture in notes.pictures}
    lists = {place for places in yolo.splits.values() for place in places if place.is_file()}
    in_no_split = []
    for label in _labels_beside(yolo):
        if label in used or label in lists or label.name in NAME_FILES or not _is_label(label, yolo.keypoints):
            continue
        picture = picture_stem(label, yolo.labels_below)
        if any(as_on_disk(picture.with_name(picture.name + suffix)).is_file() for suffix in _suffixes()):
            in_no_split.append(label.name)
            continue
        message = f"has objects, but there is no picture {picture}.*: add it, or take the text file out"
        notes.findings.append(error("missing picture", label, None, message))
    if in_no_split:
        message = (
            f"{counted(len(in_no_split), 'annotation')} in no split ({some_names(in_no_split)}): list, or take out"
        )
        notes.findings.append(warning("annotation in no split", yolo.root, None, message, in_no_split))


def _labels_beside(yolo: YoloSet) -> list[Path]:
    """All text files where those of the pictures are."""
    places = [place for places in yolo.splits.values() for place in places]
    above = {place if place.is_dir() else picture.parent for place in places for picture in _one_each(place)}
    folders = {yolo.label_of(folder / "x").parent for folder in above}
    below = (file for folder in folders if folder.is_dir() for file in shown_below(folder))
    return sorted({file for file in below if file.suffix == ".txt"})


def _one_each(place: Path) -> list[Path]:
    """A picture for each folder that a place speaks of."""
    if place.is_dir():
        return [place / "x"]
    try:
        return list({picture.parent: picture for _, picture in listed_pictures(place)}.values())
    except DataError:
        return []  # told already


def _is_label(path: Path, keypoints: int) -> bool:
    """Does it hold an object? Notes and lists lie beside the labels too."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        objects = [read_object(path, n, line.split(), keypoints) for n, line in enumerate(lines, 1) if line.strip()]
    except (OSError, UnicodeDecodeError, DataError):
        return False
    return bool(objects)


def _suffixes() -> list[str]:
    return sorted(PICTURE_SUFFIXES | {suffix.upper() for suffix in PICTURE_SUFFIXES})
