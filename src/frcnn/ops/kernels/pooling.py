"""RoIPool over channels-last features: whole vectors of channels are compared, cell by cell of a bin.

N pictures of H x W cells and C channels, R boxes, P x P bins.
"""

import math
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int, Shaped

from frcnn.ops.kernels.alignment import APART, channels_last
from frcnn.ops.kernels.compiling import compiled
from frcnn.ops.kernels.numbers import widen

FAR = np.float32(1e9)  # cells
CELLS = 4  # compared in one pass over the channels


@compiled
@no_type_check
def bin_bounds(
    box: Float[np.ndarray, " 4"], axis: int, scale: float, cells: int, bounds: Int[np.ndarray, "P 2"]
) -> None:
    """The cells of each bin on an axis (0: x, 1: y), from floor to ceil: `bounds` (P, 2)."""
    number, bins = box.dtype.type, len(bounds)
    begin, end = round_away(box[axis] * number(scale)), round_away(box[axis + 2] * number(scale))
    size = number(max(end - begin + 1, 1)) / number(bins)
    for p in range(bins):
        bounds[p, 0] = min(max(math.floor(number(p) * size) + begin, 0), cells)
        bounds[p, 1] = min(max(math.ceil(number(p + 1) * size) + begin, 0), cells)


@compiled
@no_type_check
def round_away(value: np.floating) -> int:
    """C's `round`: Python's goes to the even neighbour. What no integer holds, and NaN, is far outside of any map."""
    value = value if value > -FAR else -FAR
    value = value if value < FAR else FAR
    whole = math.trunc(value)
    return int(whole + (1 if value - whole >= 0.5 else -1 if value - whole <= -0.5 else 0))


@compiled
@no_type_check
def pool(
    features: Shaped[np.ndarray, "N H W C"],
    boxes: Float[np.ndarray, "R 4"],
    picture: Int[np.ndarray, " R"],
    scale: float,
    regions: Float[np.ndarray, "R P P C"],
    winner: Int[np.ndarray, "R P P C"],
    begin: int,
    end: int,
) -> None:
    """Fill the regions of boxes `begin` to `end`, and `winner`, the cell of each maximum (-1 for none)."""
    _, height, width, _ = features.shape
    bins = regions.shape[1]
    rows, columns = np.empty((bins, 2), np.int64), np.empty((bins, 2), np.int64)
    for r in range(begin, end):
        of_picture = features[picture[r]]
        bin_bounds(boxes[r], 1, scale, height, rows)
        bin_bounds(boxes[r], 0, scale, width, columns)
        for p in range(bins):
            for q in range(bins):
                best, cell = regions[r, p, q], winner[r, p, q]
                empty = rows[p, 0] >= rows[p, 1] or columns[q, 0] >= columns[q, 1]
                best[:] = 0 if empty else -np.inf
                cell[:] = -1
                last = columns[q, 1] - 1
                for y in range(rows[p, 0], rows[p, 1]):
                    for x in range(columns[q, 0], columns[q, 1], CELLS):
                        take_better(of_picture[y], x, last, y * width, best, cell)


@compiled
@no_type_check
def take_better(
    row: Shaped[np.ndarray, "W C"],
    x: int,
    last: int,
    number: int,
    best: Float[np.ndarray, " C"],
    cell: Int[np.ndarray, " C"],
) -> None:
    """Four cells of a row from `x`, of which the row's first is `number`; what is past `last` is `last` once more."""
    second, third, fourth = min(x + 1, last), min(x + 2, last), min(x + 3, last)
    a, b, c, d = row[x], row[second], row[third], row[fourth]
    kind = cell.dtype.type  # as narrow as it is, so that registers hold many
    at_a, at_b, at_c, at_d = kind(number + x), kind(number + second), kind(number + third), kind(number + fourth)
    for k in range(len(best)):
        value, place = best[k], cell[k]
        candidate = widen(a[k])
        value, place = (candidate, at_a) if candidate > value else (value, place)
        candidate = widen(b[k])
        value, place = (candidate, at_b) if candidate > value else (value, place)
        candidate = widen(c[k])
        value, place = (candidate, at_c) if candidate > value else (value, place)
        candidate = widen(d[k])
        value, place = (candidate, at_d) if candidate > value else (value, place)
        best[k], cell[k] = value, place


@compiled
@no_type_check
def unpool(
    gradient: Shaped[np.ndarray, "R C P P"],
    winner: Int[np.ndarray, "R P P C"],
    picture: Int[np.ndarray, " R"],
    features: Float[np.ndarray, "N HW C"],
    begin: int,
    end: int,
) -> None:
    """The way back, for channels `begin` to `end`: each bin's gradient (R, C, P, P) goes to its maximum's cell."""
    count, _, bins, _ = gradient.shape
    arriving = np.empty((bins, bins, end - begin + APART), features.dtype)
    for r in range(count):
        of_picture = features[picture[r], :, begin:end]
        channels_last(gradient[r], arriving, begin, end)
        for p in range(bins):
            for q in range(bins):
                of_bin, cell = arriving[p, q], winner[r, p, q, begin:end]
                for k in range(end - begin):
                    if cell[k] >= 0:
                        of_picture[np.uint32(cell[k]), k] += of_bin[k]  # unsigned: no counting from the end
