"""Where the text files of YOLO's layout lie: in `labels` where pictures lie in `images`, else beside the pictures."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from frcnn.data.spelling import as_on_disk


def label_of(picture: Path, below: Path | None = None) -> Path:
    """In `labels` in place of the last `images` of a picture's path, else beside it.

    Where the picture lies `below` a folder, only what is below that counts: the rest is where somebody put the set.
    """
    return _exchanged(picture, "images", "labels", below).with_suffix(".txt")


def picture_stem(label: Path, below: Path | None = None) -> Path:
    """Where the picture of a text file ought to be, without its suffix: undoes `label_of`."""
    return _exchanged(label, "labels", "images", below).with_suffix("")


def labels_below(roots: Sequence[Path], pictures: Sequence[Path]) -> Path | None:
    """The first of some folders (at last the whole disk) below which pictures have text files; None: they have none.

    So it does not hang on how a path was typed, nor on an `images` above the set, unless the text files do.
    """
    candidates = dict.fromkeys((*map(whole, roots), Path(whole(roots[0]).anchor)))
    has_any = (any(as_on_disk(label_of(path, below)).is_file() for path in pictures) for below in candidates)
    return next(itertools.compress(candidates, has_any), None)


def whole(path: Path) -> Path:
    """From the root of the disk, without dots; links stay what they are."""
    return Path(os.path.normpath(path.absolute()))


def _exchanged(path: Path, old: str, new: str, below: Path | None) -> Path:
    parts = whole(path).parts
    kept = len(below.parts) if below is not None and parts[: len(below.parts)] == below.parts else 0
    between = parts[kept:-1]
    if old not in between:
        return path
    back = between[::-1].index(old) + 2  # counted from the end: so the path stays as it was typed, where that has it
    if path.parts[-back:][:1] == (old,):
        parts = path.parts
    return Path(*parts[:-back], new, *parts[1 - back :])
