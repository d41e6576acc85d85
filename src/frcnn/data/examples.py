"""The pictures of a split with their objects, each made when it is asked for, from indices that all processes share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from frcnn.data.index import NO_IDENTITY, Index
from frcnn.structures import Target


@dataclass(frozen=True)
class Example:
    """One picture and its objects. `target.ignored` marks the difficult ones and crowds."""

    picture: Path
    annotation: Path
    size: tuple[int, int]  # (height, width) as `read_picture` gives it
    target: Target
    identity: int = NO_IDENTITY  # COCO's id of the picture
    areas: Float[Tensor, " G"] | None = None  # of the objects' outlines, NaN where the file does not say; COCO


@dataclass(frozen=True)
class Chosen:
    """Some pictures of one data set."""

    root: Path
    index: Index
    pictures: Int[np.ndarray, " P"]  # their numbers in the index
    class_ids: Int[np.ndarray, " C"]  # what the index's classes are called here

    @property
    def rows(self) -> Int[np.ndarray, " _"]:
        """The rows of all their objects, in the order of the pictures."""
        begins, ends = self.index.first_object[self.pictures], self.index.first_object[self.pictures + 1]
        counts = ends - begins
        before = np.cumsum(counts) - counts
        return np.repeat(begins - before, counts) + np.arange(int(counts.sum()))

    def sound_rows(self, place: int) -> Int[np.ndarray, " G"]:
        """The rows of the sound boxes of the picture at a place among these."""
        number = int(self.pictures[place])
        rows = np.arange(self.index.first_object[number], self.index.first_object[number + 1])
        return rows[self.index.faults[rows] == 0]

    def example(self, place: int) -> Example:
        """The picture at a place among these, with its sound boxes."""
        index, number = self.index, int(self.pictures[place])
        height, width = index.sizes[number].tolist()
        rows = self.sound_rows(place)
        borders = np.array((width, height, width, height), np.float32)
        boxes = np.minimum(np.maximum(index.boxes[rows], 0), borders)  # faster than torch for a few numbers
        target = Target(
            torch.from_numpy(boxes),
            torch.from_numpy(self.class_ids[index.class_ids[rows]]),
            torch.from_numpy(index.flags[rows] != 0),
        )
        return Example(
            self.root / index.picture_names[number],
            self.root / index.annotation_names[int(index.annotation_of[number])],
            (height, width),
            target,
            int(index.identities[number]),
            torch.from_numpy(index.areas[rows]),
        )


@dataclass(frozen=True)
class Examples(Sequence[Example]):
    """The pictures of all parts, one part after another."""

    parts: tuple[Chosen, ...]

    @cached_property
    def ends(self) -> Int64[np.ndarray, " S"]:
        """How many pictures there are up to each part."""
        return np.cumsum([len(part.pictures) for part in self.parts], dtype=np.int64)

    @cached_property
    def sizes(self) -> Int[np.ndarray, "N 2"]:
        """(height, width) of each picture."""
        return np.concatenate([np.zeros((0, 2), np.int32), *(p.index.sizes[p.pictures] for p in self.parts)])

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    @overload
    def __getitem__(self, number: int) -> Example: ...
    @overload
    def __getitem__(self, number: slice) -> list[Example]: ...
    def __getitem__(self, number: int | slice) -> Example | list[Example]:
        """One, or a list of some."""
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        part, place = self._place(number)
        return part.example(place)

    def picture(self, number: int) -> Path:
        """The file of one, without its objects."""
        part, place = self._place(number)
        return part.root / part.index.picture_names[int(part.pictures[place])]

    def rows_of(self, number: int) -> tuple[Index, Int[np.ndarray, " G"]]:
        """The index that one comes from, and the rows of its objects there."""
        part, place = self._place(number)
        return part.index, part.sound_rows(place)

    def count_bad_boxes(self) -> int:
        """Objects whose boxes are left out."""
        return sum(int(np.count_nonzero(part.index.faults[part.rows])) for part in self.parts)

    def count_learnt(self) -> int:
        """Objects that are trained on: with sound boxes, and not to be ignored."""
        return sum(int(np.sum((p.index.faults[p.rows] | p.index.flags[p.rows]) == 0)) for p in self.parts)

    def _place(self, number: int) -> tuple[Chosen, int]:
        if not -len(self) <= number < len(self):
            raise IndexError(f"there is no picture {number} among {len(self)}")
        number %= len(self)
        part = int(np.searchsorted(self.ends, number, side="right"))
        return self.parts[part], number - (int(self.ends[part - 1]) if part else 0)


def area_of(example: Example) -> Float[np.ndarray, " G"]:
    """Square pixels of the objects: of the outline where it is known, else of the box."""
    boxes = example.target.boxes.double()
    of_boxes = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).numpy()
    if example.areas is None:
        return of_boxes
    said = example.areas.double().numpy()
    return np.where(np.isnan(said), of_boxes, said)
