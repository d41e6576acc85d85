"""Which pictures of data sets are trained on, and which are held out: no picture is both, and none is of `test`.

A picture is its file, however it is spelled and whichever set names it: each of COCO's files has entries of its own.
"""

import random
from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int64

from frcnn.data.index import OpenSet

Numbers = Int[np.ndarray, " _"]  # of pictures in their index
Rows = Int64[np.ndarray, " _"]  # of pictures in all indices, one after another
NOTHING = np.zeros(0, np.int64)


class Division(NamedTuple):
    """Of each set, numbers of pictures in its index."""

    learnt: list[Numbers]
    held_out: list[Numbers]
    taken: int  # pictures that are not where a split names them, since test has them, or val


class _Part(NamedTuple):
    learnt: Rows
    held_out: Rows
    taken: Rows


def divide(sets: Sequence[OpenSet], validation: float, seed: int) -> Division:
    """`train` and `val`, or a seeded share of what there is; with `validation` 0 everything but `test` is learnt.

    What lies in one folder is one set: COCO's files may be named one by one.
    """
    pictures = _Pictures(sets)
    test = pictures.named("test", range(len(sets)))
    parts = [_divide_folder(pictures, members, test, validation, seed) for members in _by_folder(sets)]
    learnt, held_out, taken = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    is_held_out = pictures.among(learnt, held_out)  # by another folder
    taken = np.concatenate((taken, learnt[is_held_out]))
    return Division(
        pictures.of_each_set(learnt[~is_held_out]), pictures.of_each_set(held_out), pictures.count_files(taken)
    )


def without_test(sets: Sequence[OpenSet], numbers: Sequence[Numbers]) -> list[Numbers]:
    """Of each set, those of some pictures that no set's `test` names."""
    pictures = _Pictures(sets)
    rows = np.concatenate([NOTHING, *(own + begin for own, begin in zip(numbers, pictures.first, strict=False))])
    return pictures.of_each_set(pictures.without(rows, pictures.named("test", range(len(sets)))))


def split_names(sets: Sequence[OpenSet]) -> set[str]:
    """The splits that there are, in whichever set."""
    return {split for members in _by_folder(sets) for split in _names_of_folder(sets, members)}


def pictures_of(sets: Sequence[OpenSet], split: str) -> list[Numbers]:
    """Of each set, the pictures of a split; `trainval` is what train and val make where a folder has no such split."""
    pictures = _Pictures(sets)
    rows = [NOTHING]
    for members in _by_folder(sets):
        is_made = split == "trainval" and not any(split in sets[number].index.splits for number in members)
        parts = ("train", "val") if is_made and split in _names_of_folder(sets, members) else (split,)
        rows.append(pictures.joined(*(pictures.named(part, members) for part in parts)))
    return pictures.of_each_set(np.concatenate(rows))


def _names_of_folder(sets: Sequence[OpenSet], members: Iterable[int]) -> set[str]:
    names = {split for number in members for split in sets[number].index.splits}
    return names | {"trainval"} if {"train", "val"} <= names else names


def as_met(things: Iterable[Hashable]) -> Int64[np.ndarray, " _"]:
    """A number for each, from 0 in the order in which they are met: one for those that are equal."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(thing, len(known)) for thing in things], np.int64)


def count_met(numbers: Int64[np.ndarray, " _"]) -> int:
    """How many things of their own `as_met` has numbered."""
    return int(numbers.max(initial=-1)) + 1


class _Pictures:
    """Those of all sets together."""

    def __init__(self, sets: Sequence[OpenSet]) -> None:
        self.sets = sets
        self.first = np.cumsum([0, *(len(one.index) for one in sets)]).tolist()  # of each set's rows, and the end

    @cached_property
    def files(self) -> Int64[np.ndarray, " P"]:
        """A number for each picture's file; a million take a second, so that only who asks waits."""
        return as_met(file for one in self.sets for file in one.picture_files())

    def named(self, split: str, members: Iterable[int]) -> Rows:
        """What a split of some of the sets names."""
        found = [self.sets[number].index.splits.get(split, NOTHING) + self.first[number] for number in members]
        return np.concatenate([NOTHING, *found])

    def among(self, rows: Rows, others: Rows) -> Bool[np.ndarray, " _"]:
        """Which of them are files of the others."""
        if not len(rows) or not len(others):
            return np.zeros(len(rows), bool)
        return np.isin(self.files[rows], self.files[others])

    def without(self, rows: Rows, others: Rows) -> Rows:
        """Those that are no file of the others."""
        return rows[~self.among(rows, others)]

    def joined(self, *parts: Rows) -> Rows:
        """One after another, without what an earlier one has."""
        together = NOTHING
        for rows in parts:
            together = np.concatenate((together, self.without(rows, together)))
        return together

    def of_each_set(self, rows: Rows) -> list[Numbers]:
        """In their order, by their numbers."""
        return [
            rows[(rows >= begin) & (rows < end)] - begin
            for begin, end in zip(self.first[:-1], self.first[1:], strict=True)
        ]

    def count_files(self, rows: Rows) -> int:
        """Of rows that may be of one file."""
        return len(np.unique(self.files[rows])) if len(rows) else 0


def _by_folder(sets: Sequence[OpenSet]) -> list[list[int]]:
    """The numbers of the sets."""
    folders: dict[str, list[int]] = {}
    for number, one in enumerate(sets):
        folders.setdefault(str(one.root.resolve()), []).append(number)
    return list(folders.values())


def _divide_folder(pictures: _Pictures, members: Sequence[int], test: Rows, validation: float, seed: int) -> _Part:
    named = [pictures.named(split, members) for split in ("train", "val", "trainval")]
    is_asked = [pictures.among(rows, test) for rows in named]
    train, val, both = (rows[~asked] for rows, asked in zip(named, is_asked, strict=True))
    taken = np.concatenate([rows[asked] for rows, asked in zip(named, is_asked, strict=True)])
    if validation == 0:
        return _Part(pictures.joined(both, train, val), NOTHING, taken)
    if len(val):  # that a list of all pictures holds these too is no mistake
        is_held_out = pictures.among(train, val)
        learnt = train[~is_held_out]
        taken = np.concatenate((taken, train[is_held_out]))
        return _Part(learnt if len(learnt) else pictures.without(both, val), val, taken)
    candidates = pictures.joined(both, train)
    is_held_out = _seeded_share(as_met(pictures.files[candidates].tolist()), validation, seed)
    return _Part(candidates[~is_held_out], candidates[is_held_out], taken)


def _seeded_share(files: Int64[np.ndarray, " C"], validation: float, seed: int) -> Bool[np.ndarray, " C"]:
    """Which pictures are held out: at least one file, and not all."""
    count = count_met(files)
    share = min(max(round(validation * count), 1), count - 1)
    return np.isin(files, random.Random(f"validation {seed}").sample(range(count), max(share, 0)))
