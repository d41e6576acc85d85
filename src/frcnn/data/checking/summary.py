"""How large a data set is, and what it holds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from frcnn.data.box_faults import SOUND
from frcnn.data.checking.class_rules import count_objects
from frcnn.data.checking.examination import Examination
from frcnn.data.checking.frames import UNSEEN
from frcnn.data.coco import SIZES

BELOW = (8, 16, 32, 64, 128, 256, 512)  # pixels: where the bars of sizes end
OBJECTS_BELOW = (1, 2, 3, 5, 9, 17, 33, 65)


@dataclass(frozen=True)
class Bars:
    """How many values lie below each end (and not below the one before, or `begin`); the last has no end."""

    ends: tuple[int, ...]
    counts: tuple[int, ...]
    begin: int = 0  # of the first


@dataclass(frozen=True)
class Summary:
    """Of all data sets together. Sizes are in pixels, medians of what can be seen."""

    sets: tuple[str, ...]
    formats: tuple[str, ...]
    pictures: dict[str, int]  # of each split
    objects: dict[str, int]
    classes: dict[str, dict[str, int]]  # objects of each class in each split
    pictures_without_objects: int
    pictures_in_no_split: int
    picture_width: dict[str, int]  # least, median, most
    picture_height: dict[str, int]
    objects_per_picture: dict[str, float]  # mean, most
    object_sizes: dict[str, int]  # by area: small, medium, large
    picture_sides: Bars  # the longer ones
    object_sides: Bars  # of squares of their area
    objects_in_pictures: Bars

    @property
    def all_pictures(self) -> int:
        """In whatever split, or none."""
        return sum(self.pictures.values()) + self.pictures_in_no_split

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def summarise(examination: Examination) -> Summary:
    """Count everything."""
    by_split = count_objects(examination)
    names = (
        sorted({name for one in examination.sets for name in one.said.class_names})
        if _is_voc(examination)
        else [*dict.fromkeys(name for one in examination.sets for name in one.said.class_names)]
    )
    sizes, per_picture, sides = _sizes(examination), _per_picture(examination), _sides(examination)
    splits = [picture for one in examination.sets for picture in one.splits]
    return Summary(
        sets=examination.names,
        formats=tuple(one.said.kind for one in examination.sets),
        pictures={split: sum(split in of_picture for of_picture in splits) for split in by_split},
        objects={split: sum(counts.values()) for split, counts in by_split.items()},
        classes={name: {split: counts.get(name, 0) for split, counts in by_split.items()} for name in names},
        pictures_without_objects=int((per_picture == 0).sum()),
        pictures_in_no_split=sum(not of_picture for of_picture in splits),
        picture_width=_spread(sizes[:, 1]),
        picture_height=_spread(sizes[:, 0]),
        objects_per_picture={
            "mean": round(float(per_picture.mean()), 2) if len(per_picture) else 0.0,
            "most": int(per_picture.max(initial=0)),
        },
        object_sizes={name: int(((sides >= low) & (sides < high)).sum()) for name, (low, high) in SIZES.items()},
        picture_sides=_round_bars(sizes.max(axis=1, initial=0)),
        object_sides=_bars(sides, BELOW),
        objects_in_pictures=_bars(per_picture, OBJECTS_BELOW),
    )


def _is_voc(examination: Examination) -> bool:
    return all(one.said.kind == "voc" for one in examination.sets)


def _sizes(examination: Examination) -> Int[np.ndarray, "N 2"]:
    """(height, width) of all pictures that can be seen."""
    found = [look.seen for one in examination.sets for look in one.looks if look is not None and not look.problem]
    return np.array(found, np.int64).reshape(-1, 2)


def _per_picture(examination: Examination) -> Int[np.ndarray, " N"]:
    counts = [np.bincount(one.said.objects.picture, minlength=len(one.said.pictures)) for one in examination.sets]
    return np.concatenate([np.zeros(0, np.int64), *counts])


def _sides(examination: Examination) -> Float[np.ndarray, " G"]:
    """The square roots of the areas of all sound boxes in pictures that can be seen."""
    found = [np.zeros(0)]
    for one in examination.sets:
        seen = one.frames.verdicts[one.said.objects.picture] != UNSEEN
        corners = one.boxes.corners[(one.boxes.faults == SOUND) & seen]
        found.append(np.sqrt(np.prod(corners[:, 2:] - corners[:, :2], axis=1)))
    return np.concatenate(found)


def _spread(values: Int[np.ndarray, " N"]) -> dict[str, int]:
    if not len(values):
        return {"least": 0, "median": 0, "most": 0}
    return {"least": int(values.min()), "median": int(np.median(values)), "most": int(values.max())}


def _bars(values: np.ndarray, ends: Sequence[int]) -> Bars:
    """The bar of a value is the first whose end is above it."""
    counts = np.bincount(np.searchsorted(ends, values, side="right"), minlength=len(ends) + 1)
    return Bars(tuple(ends), tuple(counts.tolist()))


def _round_bars(values: Int[np.ndarray, " N"]) -> Bars:
    """Some five in steps of 1, 2 or 5 times a power of ten: the names of more would not fit below their bars.

    They begin where the values do.
    """
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    step = next(f * 10**p for p in range(12) for f in (1, 2, 5) if (high - low) <= 4 * f * 10**p)
    first = low // step * step + step
    return replace(_bars(values, tuple(range(first, high + 1, step)) or (first,)), begin=first - step)
