"""RoIAlign over channels-last features: what each bin reads is settled once, then whole vectors of channels are added.

N pictures of H x W cells and C channels, R boxes, P x P bins, E entries. An axis of a box is a table: for each bin the
cells that it reads and what each weighs; the readings of a bin that fall on one cell are one entry. Entries come in
pairs (the last may weigh nothing), so that four cells are added at a time.
"""

import math
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int, Shaped

from frcnn.ops.kernels.compiling import compiled, compiled_to_reorder_sums
from frcnn.ops.kernels.numbers import narrow, widen

APART = 16  # channels between rows of a scratch array: a power of two would put them all into a few lines of the cache


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
def table_width(
    boxes: Float[np.ndarray, "R 4"], members: Int[np.ndarray, " M"], scale: float, bins: int, samples: int
) -> int:
    """As many entries as a bin of any of these boxes can have."""
    most = max(samples, 1)
    if samples <= 0:
        for r in members:
            box = boxes[r]
            for length in (box[2] - box[0], box[3] - box[1]):
                if length * scale > most * bins:  # not for NaN
                    most = math.ceil(length * scale / bins)
    return 2 * most + 2


@compiled
@no_type_check
def empty_table(
    bins: int, entries: int, boxes: Float[np.ndarray, "R 4"]
) -> tuple[Int[np.ndarray, "P E"], Float[np.ndarray, "P E"], Int[np.ndarray, " P"]]:
    """Room for the cells of each bin of an axis, their weights, and how many there are."""
    return np.empty((bins, entries), np.int64), np.empty((bins, entries), boxes.dtype), np.empty(bins, np.int64)


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
    members: Int[np.ndarray, " M"],
    scale: float,
    samples: int,
    aligned: bool,
    regions: Shaped[np.ndarray, "R P P C"],
    begin: int,
    end: int,
) -> None:
    """Fill the regions of the boxes whose numbers are `members[begin:end]`; `scale` is cells a pixel."""
    _, height, width, channels = features.shape
    bins = regions.shape[1]
    entries = table_width(boxes, members[begin:end], scale, bins, samples)
    rows, row_weights, num_rows = empty_table(bins, entries, boxes)
    columns, column_weights, num_columns = empty_table(bins, entries, boxes)
    total = np.empty(channels, boxes.dtype)
    for r in members[begin:end]:
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
                region = regions[r, p, q]
                for k in range(channels):
                    region[k] = narrow(total[k], region[k])


@compiled
@no_type_check
def spread(
    gradient: Shaped[np.ndarray, "R C P P"],
    boxes: Float[np.ndarray, "R 4"],
    picture: Int[np.ndarray, " R"],
    members: Int[np.ndarray, " M"],
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
    arriving = np.empty((bins, bins, end - begin + APART), features.dtype)
    entries = table_width(boxes, members, scale, bins, samples)
    rows, row_weights, num_rows = empty_table(bins, entries, boxes)
    columns, column_weights, num_columns = empty_table(bins, entries, boxes)
    for r in members:
        of_picture = features[picture[r]]
        start, length = place(boxes[r], 1, scale, aligned)
        axis_table(start, length, height, samples, rows, row_weights, num_rows)
        start, length = place(boxes[r], 0, scale, aligned)
        axis_table(start, length, width, samples, columns, column_weights, num_columns)
        channels_last(gradient[r], arriving, begin, end)
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
def channels_last(
    region: Shaped[np.ndarray, "C P P"], turned: Float[np.ndarray, "P P K"], begin: int, end: int
) -> None:
    """Channels `begin` to `end` of one region, as vectors: in the processor's cache, where turning costs little."""
    bins = len(turned)
    for k in range(end - begin):
        for p in range(bins):
            for q in range(bins):
                turned[p, q, k] = widen(region[begin + k, p, q])


@compiled
@no_type_check
def lean(
    gradient: Shaped[np.ndarray, "R C P P"],
    features: Shaped[np.ndarray, "N H W C"],
    boxes: Float[np.ndarray, "R 4"],
    picture: Int[np.ndarray, " R"],
    members: Int[np.ndarray, " M"],
    scale: float,
    samples: int,
    aligned: bool,
    pull: Float[np.ndarray, "R 4"],
    begin: int,
    end: int,
) -> None:
    """The way back to the boxes: `pull` (R, 4), by how much the loss rises as each side of `members[begin:end]` moves.

    A reading slides with the sides of its box; how fast it changes is the slope of the plane between its four cells.
    """
    _, height, width, channels = features.shape
    bins = gradient.shape[2]
    arriving = np.empty((bins, bins, channels + APART), boxes.dtype)
    number = boxes.dtype.type
    for r in members[begin:end]:
        of_picture = features[picture[r]]
        channels_last(gradient[r], arriving, 0, channels)
        rows, row_moves = readings(boxes[r], 1, scale, samples, aligned, height, bins)
        columns, column_moves = readings(boxes[r], 0, scale, samples, aligned, width, bins)
        of_bin = number(bins * bins) / number(max(len(rows) * len(columns), 1))  # one over the readings of a bin
        for i in range(len(rows)):
            for j in range(len(columns)):
                if rows[i] >= 0 and columns[j] >= 0:
                    of_reading = arriving[i * bins // len(rows), j * bins // len(columns)]
                    slope_y, slope_x = slopes(of_reading, of_picture, rows[i], columns[j])
                    for far in range(2):
                        pull[r, 2 * far + 1] += of_bin * slope_y * row_moves[i, far]
                        pull[r, 2 * far] += of_bin * slope_x * column_moves[j, far]


@compiled
@no_type_check
def readings(
    box: Float[np.ndarray, " 4"], axis: int, scale: float, samples: int, aligned: bool, cells: int, bins: int
) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, "T 2"]]:
    """Where on an axis the T readings of a box are taken (-1: nowhere), and by how much each moves with either side.

    One that is held at the border stays, as does what a box that is held at one cell has behind its beginning.
    """
    number = box.dtype.type
    start, length = place(box, axis, scale, aligned)
    stretches = aligned or (box[axis + 2] - box[axis]) * number(scale) > 1
    count = bins * (samples if samples > 0 else max(math.ceil(length / number(bins)), 0))
    position, moves = np.full(count, -1, box.dtype), np.zeros((count, 2), box.dtype)
    for t in range(count):
        along = (number(t) + number(0.5)) / number(count)
        reading = start + along * length
        if reading >= -1 and reading <= cells:  # not for NaN
            position[t] = min(max(reading, number(0)), number(cells - 1))
            if reading > 0 and reading < cells - 1:
                share = along if stretches else number(0)
                moves[t, 0], moves[t, 1] = number(scale) * (number(1) - share), number(scale) * share
    return position, moves


@compiled_to_reorder_sums
@no_type_check
def slopes(
    arriving: Float[np.ndarray, " C"], features: Shaped[np.ndarray, "H W C"], y: np.floating, x: np.floating
) -> tuple[np.floating, np.floating]:
    """How the loss changes as a reading at (y, x) moves down, and right, by a cell."""
    height, width, channels = features.shape
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    a, b, c, d = features[top, left], features[top, right], features[bottom, left], features[bottom, right]
    at_a, at_b, at_c, at_d = y * 0, y * 0, y * 0, y * 0
    for k in range(channels):
        at_a += arriving[k] * widen(a[k])
        at_b += arriving[k] * widen(b[k])
        at_c += arriving[k] * widen(c[k])
        at_d += arriving[k] * widen(d[k])
    down, across = y - top, x - left
    slope_y = (1 - across) * (at_c - at_a) + across * (at_d - at_b)
    return slope_y, (1 - down) * (at_b - at_a) + down * (at_d - at_c)
