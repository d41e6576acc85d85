"""The same work as most tutorials write it: loops over boxes, in Python."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Corners = Sequence[float]


def overlaps_by_loops(objects: Sequence[Corners], anchors: Sequence[Corners]) -> list[list[float]]:
    """IoU of every object with every anchor, pair by pair."""
    overlaps = []
    for box in objects:
        row = []
        for anchor in anchors:
            row.append(overlap(box, anchor))
        overlaps.append(row)
    return overlaps


def overlap(a: Corners, b: Corners) -> float:
    """Intersection over union of one pair."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def suppress_by_loops(boxes: Sequence[Corners], scores: Sequence[float], threshold: float) -> list[int]:
    """NMS: take the best of what is left, look at all the others, until nothing is left."""
    left = sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)
    kept = []
    while left:
        best, *others = left
        kept.append(best)
        left = [i for i in others if overlap(boxes[best], boxes[i]) <= threshold]
    return kept


def pool_by_loops(
    features: Float[Tensor, "1 C H W"], boxes: Float[Tensor, "R 4"], output_size: int, stride: float
) -> Float[Tensor, "R C P P"]:
    """RoI pooling: cut each box out of the features, and pool what was cut out."""
    regions = []
    for x1, y1, x2, y2 in (boxes / stride).round().long().tolist():
        regions.append(F.adaptive_max_pool2d(features[:, :, y1 : y2 + 1, x1 : x2 + 1], output_size))
    return torch.cat(regions)
