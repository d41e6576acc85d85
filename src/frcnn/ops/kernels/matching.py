"""Which object does each candidate overlap most?  Chunk by chunk: the table of all overlaps is never in memory.

G objects, R candidates, J chunks of candidates.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int

from frcnn.ops.kernels.compiling import compiled

CHUNK = 256  # candidates whose corners, areas and overlaps stay in the processor's cache


@compiled
@no_type_check
def match_chunks(
    objects: Float[np.ndarray, "G 4"],
    candidates: Float[np.ndarray, "R 4"],
    thresholds: tuple[np.floating, np.floating, np.floating],
    verdicts: tuple[int, int, int],
    index: Int[np.ndarray, " R"],
    verdict: Int[np.ndarray, " R"],
    best_of_chunk: Float[np.ndarray, "J G"],
    begin: int,
    end: int,
) -> None:
    """For chunks `begin` to `end`: the object that each candidate overlaps most, the first among equals, and a verdict.

    Positive at the first of the `thresholds` or above; negative from the third to below the second; else ignored, as
    is a box with a NaN. Beside it the best overlap of each object in each chunk: -1 where all stay below what was seen
    before, or are 0.
    """
    number = candidates.dtype
    corners, overlap = np.empty((5, CHUNK), number), np.empty(CHUNK, number)
    highest, owner = np.empty(CHUNK, number), np.empty(CHUNK, np.int32)
    seen = np.full(len(objects), np.finfo(number).tiny, number)
    for chunk in range(begin, end):
        first = chunk * CHUNK
        count = min(CHUNK, len(candidates) - first)
        lay_out(candidates, first, count, corners)
        highest[:] = -1
        owner[:] = 0
        for g in range(len(objects)):
            overlaps(objects[g], corners, overlap)
            hits = 0  # counted, since a count fills vector registers where a running maximum would wait for itself
            for i in range(CHUNK):
                better = overlap[i] > highest[i]
                highest[i] = overlap[i] if better else highest[i]
                owner[i] = np.int32(g) if better else owner[i]
                hits += overlap[i] >= seen[g]
            best_of_chunk[chunk, g] = -1
            if hits:
                best_of_chunk[chunk, g] = seen[g] = largest(overlap)
        index[first : first + count] = owner[:count]
        judge(highest[:count], thresholds, verdicts, verdict[first : first + count])


@compiled
@no_type_check
def rescue(
    objects: Float[np.ndarray, "G 4"],
    candidates: Float[np.ndarray, "R 4"],
    best_of_chunk: Float[np.ndarray, "J G"],
    verdict: Int[np.ndarray, " R"],
    positive: int,
) -> None:
    """Make the best candidates of each object `positive`, ties included, if they overlap it at all."""
    corners, overlap = np.empty((5, CHUNK), candidates.dtype), np.empty(CHUNK, candidates.dtype)
    for g in range(len(objects)):
        best = best_of_chunk[:, g].max()
        for chunk in range(len(best_of_chunk)):
            if best > 0 and best_of_chunk[chunk, g] == best:
                first = chunk * CHUNK
                count = min(CHUNK, len(candidates) - first)
                lay_out(candidates, first, count, corners)
                overlaps(objects[g], corners, overlap)
                for i in range(count):
                    if overlap[i] == best:
                        verdict[first + i] = positive


@compiled
@no_type_check
def judge(
    best: Float[np.ndarray, " M"],
    thresholds: tuple[np.floating, np.floating, np.floating],
    verdicts: tuple[int, int, int],
    verdict: Int[np.ndarray, " M"],
) -> None:
    """Positive, negative or ignored (`verdicts` in this order) by the best overlaps of M candidates."""
    positive_above, negative_below, negative_from = thresholds
    positive, negative, ignored = verdicts
    for r in range(len(best)):
        is_negative = best[r] >= negative_from and best[r] < negative_below
        verdict[r] = positive if best[r] >= positive_above else negative if is_negative else ignored


@compiled
@no_type_check
def lay_out(
    candidates: Float[np.ndarray, "R 4"], first: int, count: int, corners: Float[np.ndarray, "5 CHUNK"]
) -> None:
    """Corners and areas of one chunk, each a row; what is missing at the end is a point, which overlaps nothing."""
    corners[:] = 0
    for i in range(count):
        x1, y1, x2, y2 = candidates[first + i]
        corners[0, i], corners[1, i], corners[2, i], corners[3, i] = x1, y1, x2, y2
        corners[4, i] = (x2 - x1) * (y2 - y1)


@compiled
@no_type_check
def overlaps(
    box: Float[np.ndarray, " 4"], corners: Float[np.ndarray, "5 CHUNK"], overlap: Float[np.ndarray, " CHUNK"]
) -> None:
    """IoU of one object with a chunk, in the order of `box_iou`: ties are exact."""
    zero, least = box.dtype.type(0), np.finfo(box.dtype).tiny
    left, top, right, bottom = box
    area = (right - left) * (bottom - top)
    for i in range(CHUNK):
        width = min(right, corners[2, i]) - max(left, corners[0, i])
        height = min(bottom, corners[3, i]) - max(top, corners[1, i])
        shared = (width if width > zero else zero) * (height if height > zero else zero)
        union = area + corners[4, i] - shared
        overlap[i] = shared / (least if union < least else union)


@compiled
@no_type_check
def largest(values: Float[np.ndarray, " CHUNK"]) -> np.floating:
    """The largest, NaN left out."""
    most = values.dtype.type(-1)
    for value in values:
        most = value if value > most else most
    return most
