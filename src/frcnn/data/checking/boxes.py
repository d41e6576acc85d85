"""How the four numbers of each object are meant, and what is wrong with the box then.

G boxes. A whole set, or a file of it, may have been written in another layout; that shows in all its boxes together,
and so is one fault, not one of each box.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from frcnn.data.box_faults import NO_AREA, OUTSIDE, SOUND, box_faults
from frcnn.data.checking.frames import Frames
from frcnn.data.checking.layouts import OTHERS, OWN, first_pixel, in_wrong_scale, to_corners
from frcnn.data.checking.statements import SetSaid

TANGLED = 4  # beside the faults of `box_faults`: left and right, or upper and lower, have changed places
# Shares of boxes that are broken in the format's own layout, and sound in another: real sets have a broken box in some
# hundreds. Of a few, all have to be: by chance that is one box in four.
MANY, LEAST_BROKEN = 50, 3
AMONG_MANY, AMONG_FEW = (0.2, 0.99), (0.5, 1.0)


class Mistake(NamedTuple):
    """Boxes that were written in another layout: those of a file, from a line on, or (None) of the whole set."""

    file: Path | None
    line: int | None
    layout: int
    boxes: int


@dataclass(frozen=True)
class JudgedBoxes:
    """`corners` are those that were meant, half-open in the frame of the picture, not yet mended."""

    corners: Float[np.ndarray, "G 4"]
    faults: UInt8[np.ndarray, " G"]
    wrong_scale: Bool[np.ndarray, " G"]
    layouts: UInt8[np.ndarray, " G"]
    mistakes: tuple[Mistake, ...]
    others: UInt8[np.ndarray, " G"]  # the layout in which a box with a fault would have none; its own where none is
    other_corners: Float[np.ndarray, "G 4"]  # what it would mean in that

    @property
    def doubtful(self) -> Bool[np.ndarray, " G"]:
        """Those that could be mended in two ways: as they are written, or by another layout."""
        return np.isin(self.faults, (TANGLED, OUTSIDE)) & (self.others != self.layouts)


@dataclass(frozen=True)
class _Question:
    """What is judged, with the frame of each object."""

    said: SetSaid
    sizes: Int[np.ndarray, "G 2"]
    wrong_scale: Bool[np.ndarray, " G"]

    def corners(self, layout: int) -> Float[np.ndarray, "G 4"]:
        return to_corners(self.said.kind, self.said.objects.numbers, self.sizes, layout, self.wrong_scale)

    def are_sound(self, layout: int) -> Bool[np.ndarray, " G"]:
        return np.array(self.faults(layout) == SOUND)

    def faults(self, layout: int) -> UInt8[np.ndarray, " G"]:
        first = np.where(self.wrong_scale, 0.0, first_pixel(self.said.kind))
        return find_faults(self.corners(layout), self.sizes, first, first_pixel(self.said.kind))


def judge_boxes(said: SetSaid, frames: Frames) -> JudgedBoxes:
    """All boxes of a data set."""
    question = _Question(said, frames.sizes[said.objects.picture], in_wrong_scale(said.kind, said.objects.numbers))
    sound = {layout: question.are_sound(layout) for layout in OTHERS[said.kind]}
    layouts, mistakes = _find_layouts(question, sound)
    corners = question.corners(OWN[said.kind])
    faults = question.faults(OWN[said.kind])
    for layout in OTHERS[said.kind]:
        chosen = layouts == layout
        if chosen.any():
            corners[chosen], faults[chosen] = question.corners(layout)[chosen], question.faults(layout)[chosen]
    others, other_corners = layouts.copy(), corners.copy()
    for layout, of_all in reversed(sound.items()):
        chosen = of_all & (faults != SOUND)
        if chosen.any():
            others[chosen], other_corners[chosen] = layout, question.corners(layout)[chosen]
    return JudgedBoxes(corners, faults, question.wrong_scale, layouts, tuple(mistakes), others, other_corners)


def find_faults(
    corners: Float[np.ndarray, "G 4"],
    sizes: Int[np.ndarray, "G 2"],
    first: Float[np.ndarray, " G"],
    least_side: float,
) -> UInt8[np.ndarray, " G"]:
    """As `box_faults`, and TANGLED where that is why there is no area. `first`: what the file calls the first pixel."""
    faults = box_faults(corners, sizes, least_side)
    without_area = faults == NO_AREA
    mended = box_faults(untangled(corners, first), sizes, least_side)
    with np.errstate(invalid="ignore", over="ignore"):
        tangled = (corners[:, 2:] - corners[:, :2] - first[:, None] < 0).any(axis=1)
    faults[without_area & tangled & (mended != NO_AREA)] = TANGLED
    return faults


def untangled(corners: Float[np.ndarray, "G 4"], first: Float[np.ndarray, " G"]) -> Float[np.ndarray, "G 4"]:
    """With the ends of each side in order, in the numbers of the file: (xmin 9, xmax 5) becomes (5, 9)."""
    written = corners.copy()
    written[:, :2] += first[:, None]
    begin, end = np.minimum(written[:, :2], written[:, 2:]), np.maximum(written[:, :2], written[:, 2:])
    return np.concatenate((begin - first[:, None], end), axis=1)


def _find_layouts(
    question: _Question, sound: Mapping[int, Bool[np.ndarray, " G"]]
) -> tuple[UInt8[np.ndarray, " G"], list[Mistake]]:
    """The layout of each box, and where it is not the format's own: in the whole set, or else in some of its files."""
    said = question.said
    layouts = np.full(len(said.objects), OWN[said.kind], np.uint8)
    numbers = np.array(np.isfinite(said.objects.numbers).all(axis=1))
    broken = ~question.are_sound(OWN[said.kind]) & numbers
    every = np.flatnonzero(numbers)
    of_all = _other_layout(sound, broken, every)
    if of_all is not None:
        layouts[:] = of_all
        return layouts, [Mistake(None, None, of_all, len(every))]
    mistakes = []
    for file, rows in _files_with(question, broken):
        rows = rows[numbers[rows]]
        layout = _other_layout(sound, broken, rows)
        if layout is not None:
            layouts[rows] = layout
            mistakes.append(Mistake(file, int(said.objects.line[rows[0]]), layout, len(rows)))
    return layouts, mistakes


def _other_layout(
    sound: Mapping[int, Bool[np.ndarray, " G"]], broken: Bool[np.ndarray, " G"], rows: Int[np.ndarray, " _"]
) -> int | None:
    """The first in which so many boxes are sound, of some of which so many are broken in the format's own."""
    least, share = AMONG_MANY if len(rows) >= MANY else AMONG_FEW
    if broken[rows].sum() < max(LEAST_BROKEN, least * len(rows)):
        return None
    return next((layout for layout, of_all in sound.items() if of_all[rows].mean() >= share), None)


def _files_with(question: _Question, broken: Bool[np.ndarray, " G"]) -> Iterator[tuple[Path, Int[np.ndarray, " _"]]]:
    """Each file with broken boxes, and the rows of all its objects."""
    said = question.said
    files: dict[Path, int] = {}
    file_of_picture = np.array([files.setdefault(p.annotation, len(files)) for p in said.pictures], np.int64)
    file_of = file_of_picture[said.objects.picture]
    by_file = np.argsort(file_of, kind="stable")
    ends = np.searchsorted(file_of[by_file], np.arange(len(files) + 1))
    paths = list(files)
    for number in np.unique(file_of[broken]).tolist():
        yield paths[number], by_file[ends[number] : ends[number + 1]]
