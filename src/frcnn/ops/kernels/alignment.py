"""RoIAlign over channels-last features: what each bin reads is settled once, then whole vectors of channels are added.

N pictures of H x W cells and C channels, R boxes, P x P bins, E entries. An axis of a box is a table: for each bin the
cells that it reads and what each weighs; the readings of a bin that fall on one cell are one entry. Entries come in
pairs (the last may weigh nothing), so that four cells are added at a time.
"""

import math
from typing import Any, no_type_check

import numpy as np
from jaxtyping import Float, Int, Shaped
from numba.core import types
from numba.extending import intrinsic

from frcnn.ops.kernels.compiling import compiled


@intrinsic
@no_type_check
def widen(_: Any, value: Any) -> Any:
    """A feature as a number: bfloat16, which comes as its bits, becomes float32; anything else stays."""
    if value != types.uint16:
        return value(value), lambda context, builder, signature, arguments: arguments[0]

    def bits_to_float(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = builder.zext(arguments[0], context.get_value_type(types.uint32))
        high = builder.shl(word, context.get_constant(types.uint32, 16))
        return builder.bitcast(high, context.get_value_type(types.float32))

    return types.float32(value), bits_to_float


@compiled
@no_type_check
def axis_table(
    start: np.floating,
    length: np.floating,
    cells: int,
    samples: int,
    index: Int[np.ndarray, "P E"],
    weight: Float[np.ndarray, "P E"],
    used: Int[np.ndarray, " P"],
) -> None:
    """Fill `index` and `weight` (P, entries) and `used` (P,), the number of entries of each bin.

    `start` and `length`, in cells, are of the boxes' float type, in which all is computed in torchvision's order: a
    reading may lie exactly on the border.
    """
    bins, number = len(used), weight.dtype.type
    size = length / number(bins)
    count = samples if samples > 0 else max(math.ceil(size), 0)
    for p in range(bins):
        entries = 0
        for s in range(count):
            position = start + number(p) * size + (number(s) + number(0.5)) * size / number(count)
            if not (position >= -1 and position <= cells):  # NaN reads nothing
                continue
            position = min(max(position, number(0)), number(cells - 1))
            low = int(position)
            share = position - number(low)
            entries = add_entry(index[p], weight[p], entries, low, (number(1) - share) / number(count))
            entries = add_entry(index[p], weight[p], entries, min(low + 1, cells - 1), share / number(count))
        if entries % 2:
            index[p, entries], weight[p, entries] = index[p, entries - 1], 0
            entries += 1
        used[p] = entries


@compiled
@no_type_check
def add_entry(
    index: Int[np.ndarray, " E"], weight: Float[np.ndarray, " E"], entries: int, cell: int, part: np.floating
) -> int:
    """One cell more for a bin, or more weight for one of the last two; gives the number of entries."""
    for entry in range(max(entries - 2, 0), entries):
        if index[entry] == cell:
            weight[entry] += part
            return entries
    index[entries], weight[entries] = cell, part
    return entries + 1


@compiled
@no_type_check
def table_width(boxes: Float[np.ndarray, "R 4"], scale: float, bins: int, samples: int) -> int:
    """As many entries as a bin of any of the boxes can have."""
    most = max(samples, 1)
    if samples <= 0:
        for box in boxes:
            for length in (box[2] - box[0], box[3] - box[1]):
                if length * scale > most * bins:  # not for NaN
                    most = math.ceil(length * scale / bins)
    return 2 * most + 2


@compiled
@no_type_check
def place(box: Float[np.ndarray, " 4"], axis: int, scale: float, aligned: bool) -> tuple[np.floating, np.floating]:
    """Where the box begins on an axis (0: x, 1: y), and how long it is, in cells."""
    number = box.dtype.type
    offset = number(0.5) if aligned else number(0)
    start = box[axis] * number(scale) - offset
    length = box[axis + 2] * number(scale) - offset - start
    return start, (length if aligned or length > 1 else number(1))


@compiled
@no_type_check
def align(
    features: Shaped[np.ndarray, "N H W C"],
    boxes: Float[np.ndarray, "R 4"],
    picture: Int[np.ndarray, " R"],
    scale: float,
    samples: int,
    aligned: bool,
    regions: Float[np.ndarray, "R P P C"],
    begin: int,
    end: int,
) -> None:
    """Fill the regions of boxes `begin` to `end`; `scale` is cells a pixel."""
    _, height, width, channels = features.shape
    bins = regions.shape[1]
    entries = table_width(boxes[begin:end], scale, bins, samples)
    rows, columns = np.empty((bins, entries), np.int64), np.empty((bins, entries), np.int64)
    row_weights, column_weights = np.empty((bins, entries), boxes.dtype), np.empty((bins, entries), boxes.dtype)
    num_rows, num_columns = np.empty(bins, np.int64), np.empty(bins, np.int64)
    total = np.empty(channels, boxes.dtype)
    for r in range(begin, end):
        of_picture = features[picture[r]]
        start, length = place(boxes[r], 1, scale, aligned)
        axis_table(start, length, height, samples, rows, row_weights, num_rows)
        start, length = place(boxes[r], 0, scale, aligned)
        axis_table(start, length, width, samples, columns, column_weights, num_columns)
        for p in range(bins):
            for q in range(bins):
                total[:] = 0
                for i in range(0, num_rows[p], 2):
                    upper, lower = of_picture[rows[p, i]], of_picture[rows[p, i + 1]]
                    for j in range(0, num_columns[q], 2):
                        a, b = upper[columns[q, j]], upper[columns[q, j + 1]]
                        c, d = lower[columns[q, j]], lower[columns[q, j + 1]]
                        wa = row_weights[p, i] * column_weights[q, j]
                        wb = row_weights[p, i] * column_weights[q, j + 1]
                        wc = row_weights[p, i + 1] * column_weights[q, j]
                        wd = row_weights[p, i + 1] * column_weights[q, j + 1]
                        for k in range(channels):
                            total[k] += wa * widen(a[k]) + wb * widen(b[k]) + wc * widen(c[k]) + wd * widen(d[k])
                regions[r, p, q] = total


@compiled
@no_type_check
def spread(
    gradient: Float[np.ndarray, "R C P P"],
    boxes: Float[np.ndarray, "R 4"],
    picture: Int[np.ndarray, " R"],
    scale: float,
    samples: int,
    aligned: bool,
    features: Float[np.ndarray, "N H W C"],
    begin: int,
    end: int,
) -> None:
    """The way back, for channels `begin` to `end`: the gradient of the regions is added to that of the features.

    Parts share out the channels, not the boxes, so that no two write to one place, and the sums have one order.
    """
    _, height, width, _ = features.shape
    bins = gradient.shape[2]
    arriving = np.empty((bins, bins, end - begin), gradient.dtype)
    entries = table_width(boxes, scale, bins, samples)
    rows, columns = np.empty((bins, entries), np.int64), np.empty((bins, entries), np.int64)
    row_weights, column_weights = np.empty((bins, entries), boxes.dtype), np.empty((bins, entries), boxes.dtype)
    num_rows, num_columns = np.empty(bins, np.int64), np.empty(bins, np.int64)
    for r in range(len(boxes)):
        of_picture = features[picture[r]]
        start, length = place(boxes[r], 1, scale, aligned)
        axis_table(start, length, height, samples, rows, row_weights, num_rows)
        start, length = place(boxes[r], 0, scale, aligned)
        axis_table(start, length, width, samples, columns, column_weights, num_columns)
        channels_last(gradient[r], arriving, begin)
        for p in range(bins):
            for q in range(bins):
                of_bin = arriving[p, q]
                for i in range(num_rows[p]):
                    for j in range(num_columns[q]):
                        weight = row_weights[p, i] * column_weights[q, j]
                        cell = of_picture[rows[p, i], columns[q, j], begin:end]
                        for k in range(end - begin):
                            cell[k] += weight * of_bin[k]


@compiled
@no_type_check
def channels_last(region: Float[np.ndarray, "C P P"], turned: Float[np.ndarray, "P P K"], begin: int) -> None:
    """K channels of one region from `begin`, as vectors: in the processor's cache, where turning costs little."""
    bins, _, channels = turned.shape
    for k in range(channels):
        for p in range(bins):
            for q in range(bins):
                turned[p, q, k] = region[begin + k, p, q]
