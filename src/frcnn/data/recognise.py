"""What kind of data set lies at a path: found out by looking."""

from pathlib import Path

from frcnn.data.coco import recognise_coco
from frcnn.data.index_file import Source
from frcnn.data.voc import recognise_voc
from frcnn.data.yolo import recognise_yolo
from frcnn.errors import DataError

RECOGNISERS = (recognise_voc, recognise_coco, recognise_yolo)
LEVELS = 2  # how far below what is named sets may lie: parent/VOCdevkit/VOC2007
SHAPES = (
    "VOC (a folder with Annotations and JPEGImages), COCO (a JSON file, or a folder that holds some) or YOLO (a YAML "
    "file, or a folder with images and labels)"
)


def find_sources(path: Path) -> list[Source]:
    """The data set at `path`, or all those below it (VOC's years), in the order of their names. Raises DataError."""
    if not path.exists():
        raise DataError(f"{path}: does not exist; name a data set: {SHAPES}")
    found = _sources(path, LEVELS)
    if not found:
        raise DataError(f"{path}: is no data set that is known here: {SHAPES}")
    return found


def _sources(path: Path, levels: int) -> list[Source]:
    for recognise in RECOGNISERS:
        if (source := recognise(path)) is not None:
            return [source]
    if levels == 0 or not path.is_dir():
        return []
    below = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    return [source for child in below for source in _sources(child, levels - 1)]
