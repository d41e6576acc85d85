"""Where an annotation stands: the file, the number of the object in it, and the line where the format has lines."""

from pathlib import Path
from typing import NamedTuple

from frcnn.data.checking.voc_statements import element_lines
from frcnn.data.dataset import Dataset
from frcnn.data.examples import Examples
from frcnn.data.index import NO_IDENTITY, Kind
from frcnn.data.xml_text import parse_content, read_content
from frcnn.data.yolo import read_lines
from frcnn.errors import DataError


class Place(NamedTuple):
    """Of an object; what is not known, or not said by the format, is None."""

    number: int | None  # counted from 1 among the picture's objects, as the file has them
    identity: int | None  # COCO's id of the annotation
    line: int | None


def place_of(dataset: Dataset, picture: int, number: int) -> Place:
    """Of the object at `number` among the sound ones of a picture."""
    if not isinstance(dataset.examples, Examples):
        return Place(number + 1, None, None)
    index, rows = dataset.examples.rows_of(picture)
    row = int(rows[number])
    before = index.first_object[index.first_object <= row]
    in_file, identity = row - int(before[-1]) + 1, int(index.object_identities[row])
    line = line_of(dataset.examples[picture].annotation, index.kind, in_file)
    return Place(in_file, None if identity == NO_IDENTITY else identity, line)


def line_of(annotation: Path, kind: Kind, number: int) -> int | None:
    """Where the object of this number (counted from 1) begins; None where the file can no longer be read so."""
    if kind == "coco":
        return None
    try:
        lines = _lines_of_xml(annotation) if kind == "voc" else [line for line, _ in read_lines(annotation)]
    except (OSError, DataError):  # it was read before: somebody is at work on it
        return None
    return lines[number - 1] if number <= len(lines) else None


def _lines_of_xml(path: Path) -> list[int]:
    """Of each <object> right below the root."""
    content = read_content(path)
    root = parse_content(path, content)
    lines = dict(zip(root.iter(), element_lines(content), strict=True))
    return [lines[element] for element in root.findall("object")]
