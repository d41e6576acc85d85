"""What the files of a VOC set say. A fault stops the reading of an object or a file, never that of the set."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from xml.parsers import expat

from frcnn.class_names import fault_of_name
from frcnn.data.checking.findings import as_finding, error, warning
from frcnn.data.checking.statements import NO_LINE, Listing, Notes, PictureSaid, SetSaid, Size
from frcnn.data.index import DIFFICULT
from frcnn.data.voc import (
    CORNERS,
    YES,
    Annotation,
    VocSet,
    number_of,
    picture_name,
    text_of,
)
from frcnn.data.voc_lists import SPLITS, explain_missing, explain_no_split
from frcnn.data.xml_text import parse_content, read_content
from frcnn.errors import DataError
from frcnn.naming import counted, excerpt, some_names

Lines = dict[ElementTree.Element, int]


def take_down_voc(voc: VocSet) -> SetSaid:
    """All annotations of a set, those that no split names too."""
    notes = Notes()
    files = sorted(file for file in (voc.folder / "Annotations").glob("*.xml") if not file.name.startswith("."))
    numbers = {file.stem: _take_down_file(notes, voc, file) for file in files}
    _take_down_lists(notes, voc, numbers)
    _find_unannotated(notes, voc)
    _find_unlisted(notes, voc)
    return notes.finished(voc, "voc")


def element_lines(content: bytes) -> list[int]:
    """The line of each start tag of an XML text, in its order: what the parser of trees does not keep."""
    lines: list[int] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda *_: lines.append(parser.CurrentLineNumber)
    parser.Parse(content, True)
    return lines


def split_list(voc: VocSet, split: str) -> Path:
    """The file that names the pictures of a split."""
    return voc.folder / "ImageSets" / "Main" / f"{split}.txt"


def _take_down_file(notes: Notes, voc: VocSet, path: Path) -> int | None:
    """The number of its picture; None where the file cannot be read."""
    try:
        content = read_content(path)
        root = parse_content(path, content)
    except DataError as refusal:
        notes.findings.append(as_finding(refusal, "unreadable annotation", path))
        return None
    lines = dict(zip(root.iter(), element_lines(content), strict=True))
    found = voc.picture(Annotation(path, picture_name(root), ()))
    ought = voc.folder / "JPEGImages" / f"{path.stem}.jpg"
    name, size = root.find("filename"), root.find("size")
    name_line, size_line = (None if tag is None else lines[tag] for tag in (name, size))
    picture = PictureSaid(found or ought, found is not None, path, name_line, _size(root), size_line)
    number = notes.add_picture(picture)
    for place, element in enumerate(root.findall("object"), start=1):
        _take_down_object(notes, path, number, place, element, lines)
    return number


def _size(root: ElementTree.Element) -> Size | None:
    """None where the file does not say, as those tools do that write zeros."""
    height, width = (number_of(text_of(root, f"size/{side}")) for side in ("height", "width"))
    return (int(height), int(width)) if 1 <= height < 2**31 and 1 <= width < 2**31 else None


def _take_down_object(
    notes: Notes, path: Path, picture: int, place: int, element: ElementTree.Element, lines: Lines
) -> None:
    name, box = text_of(element, "name"), element.find("bndbox")
    if not name:
        message = f"object {place} has no <name>: give it one, or take the object out"
        notes.findings.append(error("unreadable object", path, lines[element], message))
        return
    if fault := fault_of_name(name):
        message = f"the name of object {place} {fault} ({excerpt(name)}): mend it, or take the object out"
        notes.findings.append(error("unreadable object", path, lines[element], message))
        return
    if box is None:
        message = f"object {place} ({name}) has no <bndbox>: give it one, or take the object out"
        notes.findings.append(error("unreadable object", path, lines[element], message))
        return
    tag, texts = element.find("name"), [text_of(box, corner) for corner in CORNERS]
    notes.add_object(
        picture,
        notes.class_number(name),
        [number_of(text) for text in texts],
        place,
        lines[box],
        lines[tag] if tag is not None else NO_LINE,
        flags=DIFFICULT if text_of(element, "difficult").lower() in YES else 0,
        written=f"({', '.join(text or 'nothing' for text in texts)})",
    )


def _take_down_lists(notes: Notes, voc: VocSet, numbers: dict[str, int | None]) -> None:
    if not (voc.folder / "ImageSets").is_dir():
        annotated = [number for number in numbers.values() if number is not None]
        notes.listings += [Listing("trainval", number, voc.folder / "Annotations", None) for number in annotated]
        return
    files = [(split, split_list(voc, split)) for split in SPLITS if split_list(voc, split).is_file()]
    if not files:
        message = f"holds {explain_no_split(voc.folder)}"
        notes.findings.append(error("no split", voc.folder / "ImageSets" / "Main", None, message))
    absent: set[str] = set()
    for split, file in files:
        for line, text in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), start=1):
            _take_down_line(notes, voc, numbers, absent, split, file, line, voc.as_on_disk(text.strip()))


def _take_down_line(
    notes: Notes,
    voc: VocSet,
    numbers: dict[str, int | None],
    absent: set[str],
    split: str,
    file: Path,
    line: int,
    identity: str,
) -> None:
    """A line of a split's list; an id without annotation is told once, however many lists have it."""
    number = numbers.get(identity)
    if number is not None:
        notes.listings.append(Listing(split, number, file, line))
    elif identity and identity not in numbers and identity not in absent:
        absent.add(identity)
        remedy = explain_missing(voc.annotation(identity)) or "add it, or take the line out"
        message = f"names {identity!r}, but there is no {voc.annotation(identity)}: {remedy}"
        notes.findings.append(error("missing annotation", file, line, message))


def _find_unannotated(notes: Notes, voc: VocSet) -> None:
    annotated = {picture.path for picture in notes.pictures}
    annotated |= {path for path in voc.pictures.values() if voc.annotation(path.stem).is_file()}
    left = sorted({path.name for path in voc.pictures.values() if path not in annotated})
    if left:
        message = f"{counted(len(left), 'picture')} without annotation ({some_names(left)}): annotate, or take out"
        notes.findings.append(warning("picture without annotation", voc.folder / "JPEGImages", None, message, left))


def _find_unlisted(notes: Notes, voc: VocSet) -> None:
    listed = {listing.picture for listing in notes.listings}
    left = [picture.annotation.stem for number, picture in enumerate(notes.pictures) if number not in listed]
    if left and listed:
        message = (
            f"{counted(len(left), 'annotation')} in no split ({some_names(left)}): list in ImageSets/Main, or take out"
        )
        notes.findings.append(warning("annotation in no split", voc.folder / "Annotations", None, message, left))
