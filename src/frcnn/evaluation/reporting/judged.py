"""Which pictures to look at: those with the worst errors of each kind, and some ordinary ones.

N pictures; D detections and G objects, of all pictures together or of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int

from frcnn.data.dataset import Dataset, Example
from frcnn.evaluation.error_types import ErrorTypes, Fate, Verdict
from frcnn.evaluation.flat import NO_OBJECT
from frcnn.structures import Detections

MISSED = "missed"
WRONG = (Verdict.LOCALISATION, Verdict.CLASS, Verdict.BOTH, Verdict.DUPLICATE, Verdict.BACKGROUND)
KINDS = (*(verdict.key for verdict in WRONG), MISSED)

Item = TypeVar("Item")


@dataclass(frozen=True)
class JudgedPicture:
    """One picture, the detections in it that are believed, and what became of them and of its objects."""

    example: Example
    detections: Detections
    verdicts: tuple[Verdict, ...]
    objects: tuple[int, ...]  # the row of the object that decided a verdict; NO_OBJECT where there is none
    fates: tuple[Fate, ...]

    def of_kind(self, kind: str) -> list[int]:
        """The rows of the detections with this verdict."""
        return [row for row, verdict in enumerate(self.verdicts) if verdict.key == kind]

    def with_fate(self, fate: Fate) -> list[int]:
        """The rows of the objects with it."""
        return [row for row, of_object in enumerate(self.fates) if of_object == fate]


@dataclass(frozen=True)
class Judged:
    """A whole data set with its detections; `objects` says how many each picture has."""

    dataset: Dataset
    detections: Sequence[Detections]
    errors: ErrorTypes
    objects: Int[np.ndarray, " N"]

    @cached_property
    def first_found(self) -> Int[np.ndarray, " _"]:
        """Where the detections of each picture begin, and all of them end."""
        return np.cumsum([0, *map(len, self.detections)])

    @cached_property
    def first_object(self) -> Int[np.ndarray, " _"]:
        """The same of the objects."""
        return np.append(0, np.cumsum(self.objects))

    @cached_property
    def scores(self) -> Float[np.ndarray, " D"]:
        """Of all detections."""
        return torch.cat([torch.zeros(0), *(found.scores for found in self.detections)]).double().numpy()

    def badness(self, kind: str) -> Float[np.ndarray, " N"]:
        """For each picture the scores of its errors of a kind, summed up; the number of its missed objects."""
        number = len(self.detections)
        if kind == MISSED:
            rows = np.flatnonzero(self.errors.fates == Fate.MISSED)
            return np.bincount(_picture_of(rows, self.first_object), minlength=number).astype(np.float64)
        is_kind = self.errors.verdicts == Verdict[kind.upper()]
        rows = np.flatnonzero(is_kind & (self.scores >= self.errors.threshold))
        sums = np.bincount(_picture_of(rows, self.first_found), weights=self.scores[rows], minlength=number)
        return sums.astype(np.float64)  # of nothing it makes whole numbers

    def worst(self, kind: str, most: int) -> list[int]:
        """The numbers of the pictures with the most, and the most confident, errors of a kind."""
        badness = self.badness(kind)
        return [number for number in np.argsort(-badness, kind="stable")[:most].tolist() if badness[number] > 0]

    def faultless(self, most: int) -> list[int]:
        """Pictures in which everything was found and nothing else, evenly over the set."""
        wrong = sum(self.badness(kind) for kind in KINDS)
        return spread(np.flatnonzero((wrong == 0) & (self.badness(Verdict.RIGHT.key) > 0)).tolist(), most)

    def ordinary(self, most: int) -> list[int]:
        """Pictures in which there is something to see, evenly over the set."""
        believed = np.flatnonzero(self.scores >= self.errors.threshold)
        found = np.bincount(_picture_of(believed, self.first_found), minlength=len(self.detections))
        return spread(np.flatnonzero((found > 0) | (self.objects > 0)).tolist(), most)

    def picture(self, number: int) -> JudgedPicture:
        """One of them."""
        example, found = self.dataset.examples[number], self.detections[number]
        first, last = self.first_found[number], self.first_found[number + 1]
        first_object, last_object = self.first_object[number], self.first_object[number + 1]
        rows = np.flatnonzero(self.scores[first:last] >= self.errors.threshold)
        nearest = self.errors.object_index[first:last][rows]
        return JudgedPicture(
            example,
            found[torch.from_numpy(rows)],
            tuple(Verdict(verdict) for verdict in self.errors.verdicts[first:last][rows].tolist()),
            tuple(np.where(nearest == NO_OBJECT, NO_OBJECT, nearest - first_object).tolist()),
            tuple(Fate(fate) for fate in self.errors.fates[first_object:last_object].tolist()),
        )


def judged(dataset: Dataset, detections: Sequence[Detections], errors: ErrorTypes) -> Judged:
    """The pictures of a data set with what was found in them, in the same order."""
    objects = np.array([len(example.target.boxes) for example in dataset.examples], dtype=np.int64)
    return Judged(dataset, detections, errors, objects)


def spread(items: Sequence[Item], number: int) -> list[Item]:
    """At most `number` of the items, evenly over all of them."""
    if len(items) <= number:
        return list(items)
    return [items[(2 * i + 1) * len(items) // (2 * number)] for i in range(number)]


def _picture_of(rows: Int[np.ndarray, " R"], first: Int[np.ndarray, " _"]) -> Int[np.ndarray, " R"]:
    return np.searchsorted(first, rows, side="right") - 1
