"""Which of two pictures is told, and of what; the usual cases are planted in test_check.py."""

import numpy as np

from frcnn.data.checking.doubles import Double, find_doubles
from frcnn.data.checking.looks import Look
from frcnn.data.checking.splits import NO_SPLIT

TRAIN, VAL, TEST = 0, 1, 2
NOISE = np.random.default_rng(0).integers(0, 256, (9, 32, 32)).astype(np.uint8)


def look(content: int, stored: int = 0) -> Look:
    """Of a content, in one of several files that store it otherwise."""
    return Look(bytes([content, stored]), thumbnail=NOISE[content])


def test_by_hand() -> None:
    looks = {
        (0, 0): look(0),
        (0, 1): look(0, stored=1),
        (0, 2): look(1),
        (0, 3): look(2),
        (1, 0): look(0),
        (1, 1): look(1),
        (1, 2): look(2),
    }
    ranks = {(0, 0): TRAIN, (0, 1): TRAIN, (0, 2): VAL, (0, 3): NO_SPLIT, (1, 0): TRAIN, (1, 1): TEST, (1, 2): TEST}
    found = find_doubles(looks, ranks)
    assert found.leaks == [Double((0, 2), (1, 1), "bytes")]  # what is in no split leaks into none
    assert found.repeats == [Double((1, 0), (0, 0), "bytes"), Double((0, 1), (0, 0), "pixels")]


def test_a_picture_of_all_splits_leaks_into_the_last() -> None:
    looks = {(0, number): look(5) for number in range(3)}
    found = find_doubles(looks, {(0, 0): VAL, (0, 1): TEST, (0, 2): TRAIN})
    assert found.leaks == [Double((0, 0), (0, 1), "bytes"), Double((0, 2), (0, 1), "bytes")]
    assert found.repeats == []


def test_the_same_pixels_are_not_the_same_bytes() -> None:
    """However alike the thumbnails are."""
    found = find_doubles({(0, 0): look(3), (0, 1): look(3, stored=1)}, {(0, 0): TRAIN, (0, 1): TEST})
    assert found.leaks == [Double((0, 0), (0, 1), "pixels")]
    assert found.leaks[0].same


def test_none() -> None:
    assert find_doubles({}, {}) == ([], [])
