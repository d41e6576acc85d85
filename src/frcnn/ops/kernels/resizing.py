"""Pictures into a batch: normalised, resized and padded in one pass over what is written, row by row.

A picture has H x W pixels of C = 3 channels and becomes h x w of them, at the upper left of a canvas of Y x X.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float, Integer

from frcnn.ops.kernels.compiling import compiled

CHANNELS = 3

Taps = tuple[Integer[np.ndarray, " _"], Float[np.ndarray, " _"]]  # the first of two neighbours, the share of the second


def taps_of(width: int, wanted: int, *, reverse: bool) -> Taps:
    """Of each number in a row: which number of the picture's row is the first; the second lies a pixel further.

    With `reverse` the channels change their order.
    """
    first, share = rows_of(width, wanted)
    channel = np.arange(CHANNELS)[:: -1 if reverse else 1]
    numbers = (first[:, None] * CHANNELS + channel).ravel()
    return numbers.astype(np.uint32), np.repeat(share, CHANNELS)  # unsigned: never counted from the end, so faster


def rows_of(height: int, wanted: int) -> Taps:
    """Of each row, by the middles of cells: bilinear, corners not aligned. Beyond the last cell it counts twice."""
    scale = float(np.float32(height / wanted))  # torch has a rounded scale, and rounds a place once
    place = np.maximum((np.arange(wanted) + 0.5) * scale - 0.5, 0).astype(np.float32)
    first = np.minimum(place.astype(np.int64), height - 1)
    return first, place - first.astype(np.float32)


@compiled
@no_type_check
def resize(
    picture: Float[np.ndarray, "H W*C"],
    rows: Taps,
    taps: Taps,
    factor: Float[np.ndarray, " W*C"],
    offset: Float[np.ndarray, " W*C"],
    canvas: Float[np.ndarray, "Y X*C"],
    begin: int,
    end: int,
) -> None:
    """Fill the rows `begin` to `end` of the canvas: the picture times `factor` plus `offset`, and zeros beside it."""
    (upper, lower_share), (first, share) = rows, taps
    length, written = picture.shape[1], len(first)
    line = np.empty(length + CHANNELS, np.float32)
    for y in range(begin, end):
        target = canvas[y]
        if y >= len(upper):
            target[:] = 0
            continue
        above, below = picture[upper[y]], picture[min(upper[y] + 1, len(picture) - 1)]
        lower = lower_share[y]
        for i in range(length):
            line[i] = (above[i] + (below[i] - above[i]) * lower) * factor[i] + offset[i]
        for i in range(CHANNELS):
            line[length + i] = line[length - CHANNELS + i]
        for i in range(written):
            left = line[first[i]]
            target[i] = left + (line[first[i] + CHANNELS] - left) * share[i]
        target[written:] = 0
