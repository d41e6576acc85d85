"""VOC's lists of pictures: ImageSets/Main/<split>.txt, an id a line; and what may be odd about them."""

from pathlib import Path

from frcnn.data.sources import PICTURE_SUFFIXES
from frcnn.errors import DataError
from frcnn.naming import some_names

SPLITS = ("train", "val", "trainval", "test")
LISTS = Path("ImageSets/Main")  # below the folder of a year
FLAGS = frozenset({"-1", "0", "1"})  # of the lists of one class: without it, with it, difficult


def read_list(path: Path) -> tuple[str, ...]:
    """One id a line; each counts once."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8: it must name one picture a line; save it in UTF-8") from error
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))


def other_lists(folder: Path) -> list[str]:
    """The lists of a set that are none of a split: of classes, or called as another tool calls them."""
    lists = folder / LISTS
    return sorted(path.name for path in lists.glob("*.txt") if path.stem not in SPLITS)


def explain_no_split(folder: Path) -> str:
    """What to do about a set none of whose lists is that of a split."""
    there = other_lists(folder)
    held = f" but {some_names(there)}" if there else ""
    wanted = ", ".join(f"{split}.txt" for split in SPLITS)
    return f"none of {wanted}{held}: write trainval.txt, or take ImageSets away, and all pictures are trainval"


def explain_missing(annotation: Path) -> str:
    """Why a list may name what is not there, so that the line and not the file is mended; "" where nothing tells."""
    name = annotation.stem
    first, _, flag = name.partition(" ")
    if flag.strip() in FLAGS and annotation.with_name(f"{first}.xml").is_file():
        return f"the list is one of a class, with a flag behind each name: leave {first!r} alone in the line"
    stem, dot, ending = name.rpartition(".")
    if dot and f".{ending}".lower() in {*PICTURE_SUFFIXES, ".xml"} and annotation.with_name(f"{stem}.xml").is_file():
        return f"names stand in a list without their ending: write {stem!r}"
    return ""
