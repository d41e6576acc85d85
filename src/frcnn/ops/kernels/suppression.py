"""Non-maximum suppression that stops when it has what is wanted, in memory that grows with the boxes alone.

R boxes, G groups, K kept.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int

from frcnn.ops.kernels.compiling import compiled

CHUNK = 32  # kept boxes compared at a time, without a branch between them, so that they fill vector registers


@compiled
@no_type_check
def suppress(
    boxes: Float[np.ndarray, "R 4"],
    order: Int[np.ndarray, " R"],
    group: Int[np.ndarray, " R"],
    starts: Int[np.ndarray, " G"],
    threshold: np.floating,
    max_keep: int,
) -> Int[np.ndarray, " K"]:
    """Indices of the kept boxes, in `order` (best first), at most `max_keep`; `threshold` is of the boxes' type.

    `group` says whose each box is, from 0; `starts` where a group's places begin, as many as it has boxes.
    """
    count, zero = len(order), boxes.dtype.type(0)
    x1, y1 = np.empty(count, boxes.dtype), np.empty(count, boxes.dtype)
    x2, y2, area = np.empty(count, boxes.dtype), np.empty(count, boxes.dtype), np.empty(count, boxes.dtype)
    ends = starts.copy()
    kept = np.empty(min(count, max_keep), np.int64)
    found = 0
    for index in order:
        if found == len(kept):
            break
        first, end = starts[group[index]], ends[group[index]]
        left, top, right, bottom = boxes[index]
        own = (right - left) * (bottom - top)
        hits = 0
        for begin in range(first, end, CHUNK):
            for k in range(begin, min(begin + CHUNK, end)):
                # Written out so that NaN falls as in torchvision's std::max(kept, candidate).
                width = (right if right < x2[k] else x2[k]) - (left if x1[k] < left else x1[k])
                height = (bottom if bottom < y2[k] else y2[k]) - (top if y1[k] < top else y1[k])
                shared = (width if width > zero else zero) * (height if height > zero else zero)
                hits += shared / (area[k] + own - shared) > threshold
            if hits:
                break
        if not hits:
            x1[end], y1[end], x2[end], y2[end], area[end] = left, top, right, bottom, own
            ends[group[index]] = end + 1
            kept[found] = index
            found += 1
    return kept[:found]
