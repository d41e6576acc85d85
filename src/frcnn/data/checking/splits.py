"""In which splits a picture is, and from which it has to go when it is in two.

What is learnt must not be asked: a picture that is in `test` or `val` is taken out of what comes before it.
"""

from collections import defaultdict
from collections.abc import Iterable

from frcnn.data.checking.statements import Listing, SetSaid

RANKS = {"train": 0, "trainval": 0, "val": 1, "test": 2}
NO_SPLIT = -1


def splits_of_pictures(said: SetSaid) -> list[tuple[str, ...]]:
    """Those of each picture, in the order train, val, test; `trainval` only where it is in neither of its parts."""
    found: list[set[str]] = [set() for _ in said.pictures]
    for listing in said.listings:
        found[listing.picture].add(listing.split)
    return [in_parts(splits) for splits in found]


def in_parts(splits: Iterable[str]) -> tuple[str, ...]:
    """Without `trainval` where one of its parts is there."""
    parts = set(splits)
    if parts & {"train", "val"}:
        parts.discard("trainval")
    return tuple(sorted(parts, key=lambda split: (RANKS.get(split, 0), split)))


def rank_of(splits: Iterable[str]) -> int:
    """The latest: in test a picture is in test, whatever else it is in."""
    return max((RANKS.get(split, 0) for split in splits), default=NO_SPLIT)


def is_misplaced(split: str, rank: int) -> bool:
    """Has a picture whose latest split has that rank to leave this one? What is in `val` is in `trainval` too."""
    return RANKS.get(split, 0) < rank and not (split == "trainval" and rank == RANKS["val"])


def listings_by_picture(said: SetSaid) -> dict[int, list[Listing]]:
    """All listings of each picture, in their order."""
    found: dict[int, list[Listing]] = defaultdict(list)
    for listing in said.listings:
        found[listing.picture].append(listing)
    return found
