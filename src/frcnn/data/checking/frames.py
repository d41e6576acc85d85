"""Of which picture an annotation speaks: of the one that lies there, or of one of another size or another way up.

A frame is the (height, width) in which the boxes of a picture are meant. N pictures, G objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8

from frcnn.data.box_faults import SOUND, box_faults
from frcnn.data.checking.layouts import OWN, first_pixel, to_corners
from frcnn.data.checking.looks import UPRIGHT, Look
from frcnn.data.checking.statements import SetSaid, Size
from frcnn.data.index import Kind
from frcnn.data.pictures import SIDEWAYS

AGREES, UNSEEN, OTHER_BUT_FITS, OTHER, TURN_KNOWN, TURN_NOT_KNOWN, TURN_DOUBTFUL = range(7)
STAND_IN: dict[Kind, Size] = {  # for a picture of which nobody knows the size: nothing leaves it to the right or below
    "voc": (2**30, 2**30),
    "coco": (2**30, 2**30),
    "yolo": (1000, 1000),  # fractions are judged alike in any
}


@dataclass(frozen=True)
class Frames:
    """The frame of each picture, and how it stands to the picture.

    UNSEEN: the picture is missing or broken. OTHER_BUT_FITS, OTHER: the annotation speaks of another size or of none;
    the boxes fit the picture nevertheless, or do not, or (COCO, whose readers believe the file) fit both. TURN_...:
    EXIF data ask for a turn, of which the annotator knew, knew nothing, or may have known.
    """

    sizes: Int[np.ndarray, "N 2"]
    verdicts: UInt8[np.ndarray, " N"]


def find_frames(said: SetSaid, looks: Sequence[Look | None]) -> Frames:
    """One for each picture; `looks` are None where there is no file."""
    sizes, verdicts = np.zeros((len(said.pictures), 2), np.int64), np.zeros(len(said.pictures), np.uint8)
    for number, look in enumerate(looks):
        sizes[number], verdicts[number] = _frame(said, number, look, said.objects.rows_of(number))
    return Frames(sizes, verdicts)


def _frame(said: SetSaid, number: int, look: Look | None, rows: Int[np.ndarray, " _"]) -> tuple[Size, int]:
    declared = said.pictures[number].size
    if look is None or look.problem:
        return declared or STAND_IN[said.kind], UNSEEN
    if look.orientation == UPRIGHT or declared not in (None, look.seen, look.stored):
        return _frame_of_upright(said, declared, look, rows)
    return _frame_of_turned(said, declared, look, rows)


def _frame_of_upright(
    said: SetSaid, declared: Size | None, look: Look, rows: Int[np.ndarray, " _"]
) -> tuple[Size, int]:
    if declared == look.seen or (declared is None and said.kind != "coco"):
        return look.seen, AGREES
    if declared is None or (_fit(said, rows, look.seen) and (said.kind == "voc" or not _fit(said, rows, declared))):
        return look.seen, OTHER_BUT_FITS
    return declared, OTHER


def _frame_of_turned(said: SetSaid, declared: Size | None, look: Look, rows: Int[np.ndarray, " _"]) -> tuple[Size, int]:
    if look.orientation not in SIDEWAYS or look.seen == look.stored:
        return look.seen, TURN_DOUBTFUL
    if declared == look.seen:
        return look.seen, TURN_KNOWN
    fits_seen, fits_stored = _fit(said, rows, look.seen), _fit(said, rows, look.stored)
    if declared == look.stored:  # unless the boxes say that it was only this size that knew nothing of the turn
        return (look.seen, OTHER_BUT_FITS) if fits_seen and not fits_stored else (look.stored, TURN_NOT_KNOWN)
    if said.kind == "yolo" or fits_seen == fits_stored:  # fractions fit both
        return look.seen, TURN_DOUBTFUL
    return (look.seen, TURN_KNOWN) if fits_seen else (look.stored, TURN_NOT_KNOWN)


def _fit(said: SetSaid, rows: Int[np.ndarray, " _"], size: Size) -> bool:
    """Do all boxes that are boxes at all lie inside a picture of that size?"""
    numbers = said.objects.numbers[rows]
    numbers = numbers[np.isfinite(numbers).all(axis=1)]
    sizes, as_is = np.tile(np.array(size, np.int64), (len(numbers), 1)), np.zeros(len(numbers), bool)
    corners = to_corners(said.kind, numbers, sizes, OWN[said.kind], as_is)
    boxes = (corners[:, 2:] - corners[:, :2] > first_pixel(said.kind)).all(axis=1)
    return bool((box_faults(corners[boxes], sizes[boxes], first_pixel(said.kind)) == SOUND).all())
