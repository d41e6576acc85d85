"""Which pictures of a data set are trained on, and which are held out: no picture is both, and none is of `test`.

Pictures are told apart by their names, since each of COCO's files has entries of its own.
"""

import random
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from frcnn.data.index import Index

Numbers = Int[np.ndarray, " _"]
NOTHING = np.zeros(0, np.int32)


class Division(NamedTuple):
    """Numbers of pictures in their index."""

    learnt: Numbers
    held_out: Numbers
    taken: int  # pictures that are not where a split names them, since test has them, or val


def divide(index: Index, validation: float, seed: int) -> Division:
    """`train` and `val`, or a seeded share of what there is; with `validation` 0 everything but `test` is learnt."""
    (train, val, both), taken = _without_test(index)
    if validation == 0:
        return Division(joined(both, train, val), NOTHING, taken)
    if len(train) and len(val):
        is_held_out = _among(index, train, _names(index, val))
        return Division(train[~is_held_out], val, taken + int(is_held_out.sum()))
    candidates = train if len(train) else both
    if len(val):  # a list of all pictures holds these too, which is no mistake
        return Division(candidates[~_among(index, candidates, _names(index, val))], val, taken)
    is_held_out = _seeded_share(len(candidates), validation, seed)
    return Division(candidates[~is_held_out], candidates[is_held_out], taken)


def joined(*parts: Numbers) -> Numbers:
    """One after another, each picture once, where it comes first."""
    together = np.concatenate(parts)
    return together[np.sort(np.unique(together, return_index=True)[1])]


def _without_test(index: Index) -> tuple[list[Numbers], int]:
    """`train`, `val` and `trainval` without the pictures of `test`, and how many these were."""
    named = [index.splits.get(name, NOTHING) for name in ("train", "val", "trainval")]
    test = _names(index, index.splits.get("test", NOTHING))
    if not test:
        return named, 0
    is_asked = [_among(index, numbers, test) for numbers in named]
    taken = joined(*(numbers[asked] for numbers, asked in zip(named, is_asked, strict=True)))
    return [numbers[~asked] for numbers, asked in zip(named, is_asked, strict=True)], len(taken)


def _seeded_share(count: int, validation: float, seed: int) -> Bool[np.ndarray, " {count}"]:
    """Which of `count` pictures are held out: at least one, and not all."""
    share = min(max(round(validation * count), 1), count - 1)
    is_held_out = np.zeros(count, bool)
    is_held_out[random.Random(f"validation {seed}").sample(range(count), max(share, 0))] = True
    return is_held_out


def _names(index: Index, numbers: Numbers) -> set[str]:
    return {index.picture_names[number] for number in numbers.tolist()}


def _among(index: Index, numbers: Numbers, names: set[str]) -> Bool[np.ndarray, " _"]:
    """Which of some pictures have one of these names."""
    return np.array([index.picture_names[number] in names for number in numbers.tolist()], bool)
