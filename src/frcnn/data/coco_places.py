"""What no file of COCO's layout says, and is found by looking: which split it is, and where its pictures lie."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from frcnn.data.spelling import as_on_disk

SPLIT = re.compile(r"(?<![a-z])(trainval|train|training|valid|validation|val|test|testing)(?![a-z])")
NAMES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}  # as others call it
LOOKED_FOR = 64  # pictures of a file, to find their folder: any of them may be missing


@dataclass(frozen=True)
class CocoFile:
    """One JSON file, and the split it is."""

    path: Path
    split: str


def split_of(path: Path, root: Path) -> str:
    """The split that a file is, by its name or its folder's: instances_val2017.json, valid/annotations.json.

    That of the set itself must be called so and no more: one called test_2 may be where somebody put a whole set.
    """
    of_folder = SPLIT.fullmatch if path.parent == root else SPLIT.search
    found = SPLIT.search(path.stem.lower()) or of_folder(path.parent.name.lower())
    return NAMES.get(found[1], found[1]) if found else "trainval"


def picture_folder(path: Path, names: Sequence[str]) -> Path:
    """The folder that holds most of a file's first pictures; where none holds any, the likeliest that is there."""
    first, most = names[:LOOKED_FOR], 0
    candidates = _candidates(path)
    found = next((candidate for candidate in candidates if candidate.is_dir()), path.parent)
    for candidate in candidates:
        held = sum(as_on_disk(candidate / name).is_file() for name in first)
        if held > most:
            found, most = candidate, held
        if most == len(first):
            break
    return found


def _candidates(path: Path) -> list[Path]:
    """Where a file's pictures may lie: where COCO has them, else beside the file, else in a folder of its split."""
    folder, year = path.parent, path.stem.rpartition("_")[2]
    above = folder.parent if folder.name == "annotations" else folder
    split = SPLIT.search(path.stem.lower())
    of_split = [place / split[1] for place in (above, above / "images")] if split else []
    places = (
        above / year,
        folder,
        folder / "images",
        above / "images",
        above / "images" / year,
        *of_split,
        above / "data",
        above,
    )
    return list(dict.fromkeys(places))
