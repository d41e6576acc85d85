"""Pictures that come twice: learnt and asked (leaks), or again in their own split (repeats)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from frcnn.data.checking.likeness import find_likest
from frcnn.data.checking.looks import Look
from frcnn.data.checking.splits import NO_SPLIT

Place = tuple[int, int]  # the number of a data set, and of a picture in it


class Double(NamedTuple):
    """A picture, and another of the same bytes, of the same pixels stored otherwise, or of the same scene."""

    picture: Place
    other: Place
    by: Literal["bytes", "pixels", "scene"]

    @property
    def same(self) -> bool:
        """Are they one picture?"""
        return self.by != "scene"


class Doubles(NamedTuple):
    """`leaks` are learnt, or validated on, although a later split has the other; `repeats` stand behind the other."""

    leaks: list[Double]
    repeats: list[Double]


def find_doubles(looks: Mapping[Place, Look], ranks: Mapping[Place, int]) -> Doubles:
    """Among pictures that could be decoded. `ranks`: of the split of each, see `splits`.

    What its bytes tell of a picture is not told of its pixels again.
    """
    by_bytes: dict[bytes, list[Place]] = defaultdict(list)
    for place, look in looks.items():
        by_bytes[look.digest].append(place)
    leaks = [leak for places in by_bytes.values() for leak in _leaks(places, ranks)]
    repeats = [repeat for places in by_bytes.values() for repeat in _repeats(places, ranks)]
    listed = [place for place in looks if ranks[place] > NO_SPLIT]
    return Doubles(
        leaks + _alike(looks, _without(listed, leaks), ranks, "higher"),
        repeats + _alike(looks, _without(looks, repeats), ranks, "earlier"),
    )


def _leaks(places: Sequence[Place], ranks: Mapping[Place, int]) -> list[Double]:
    last = max(places, key=lambda place: ranks[place])
    return [Double(place, last, "bytes") for place in places if NO_SPLIT < ranks[place] < ranks[last]]


def _repeats(places: Sequence[Place], ranks: Mapping[Place, int]) -> list[Double]:
    first: dict[int, Place] = {}
    return [
        Double(place, other, "bytes") for place in places if (other := first.setdefault(ranks[place], place)) != place
    ]


def _without(places: Iterable[Place], doubles: Sequence[Double]) -> list[Place]:
    told = {double.picture for double in doubles}
    return [place for place in places if place not in told]


def _alike(
    looks: Mapping[Place, Look],
    places: Sequence[Place],
    ranks: Mapping[Place, int],
    among: Literal["earlier", "higher"],
) -> list[Double]:
    thumbnails = [image for place in places if (image := looks[place].thumbnail) is not None]
    if not thumbnails:
        return []
    likest = find_likest(np.stack(thumbnails), np.array([ranks[place] for place in places]), among=among)
    return [
        Double(places[number], places[partner], "pixels" if likest.same[number] else "scene")
        for number, partner in enumerate(likest.partner.tolist())
        if partner >= 0
    ]
