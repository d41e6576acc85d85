"""Anchors for the shapes of a data set's objects: k-means with 1 - IoU as the distance (YOLO9000, Sec. 2).

Plain k-means finds boxes of any shape. A model has sizes, each on a level with a stride, times ratios that all levels
share: so the centres here are that product. An object belongs to the nearest of all S x R anchors; a size moves to the
median size of the objects that are with it, whatever their ratio, and a ratio to the median ratio, whatever their size.

G objects, S sizes, R ratios. `sides` are (width, height), `ratios` height / width, as in the configuration.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

MOST_ROUNDS = 50  # most end after 20: nothing becomes better any more
MEAN_MISS = 0.25  # strides between centres that lie anywhere and the nearest of a grid, along each axis, on average


class Shapes(NamedTuple):
    """The anchors of all levels: S sizes, rising, times R ratios, rising."""

    sizes: Float[Tensor, " S"]
    ratios: Float[Tensor, " R"]


def cluster(
    sides: Float[Tensor, "G 2"], weights: Float[Tensor, " G"], strides: Float[Tensor, " S"], start: Shapes
) -> Shapes:
    """Better shapes, from those of `start` on, and never worse ones; `strides`, rising: of each size's level.

    No size falls below its stride: between anchors so far apart, objects as small would lie in gaps. What no object is
    with stays where it is.
    """
    best, highest = start, mean_overlap(sides, weights, strides, start)
    for _ in range(MOST_ROUNDS):
        moved = _moved(sides, weights, strides, best)
        reached = mean_overlap(sides, weights, strides, moved)
        if reached <= highest:
            break
        best, highest = moved, reached
    return best


def mean_overlap(
    sides: Float[Tensor, "G 2"], weights: Float[Tensor, " G"], strides: Float[Tensor, " S"], shapes: Shapes
) -> float:
    """What k-means raises: the mean IoU of each object with the nearest anchor."""
    nearest = shape_overlaps(sides, strides, shapes).flatten(1).amax(dim=1)
    return float((nearest * weights).sum() / weights.sum())


def shape_overlaps(sides: Float[Tensor, "G 2"], strides: Float[Tensor, " S"], shapes: Shapes) -> Float[Tensor, "G S R"]:
    """IoU of each object and each anchor, as far apart as the centres of a grid and of objects are on average."""
    root = shapes.ratios.sqrt()
    widths, heights = shapes.sizes[:, None] / root, shapes.sizes[:, None] * root  # (S, R)
    miss = MEAN_MISS * strides[:, None]
    width, height = sides[:, 0, None, None], sides[:, 1, None, None]  # (G, 1, 1)
    shared = _shared(width, widths, miss) * _shared(height, heights, miss)
    return shared / (width * height + widths * heights - shared)


def _shared(
    length: Float[Tensor, "G 1 1"], other: Float[Tensor, "S R"], apart: Float[Tensor, "S 1"]
) -> Float[Tensor, "G S R"]:
    """How much two intervals share whose centres are so far apart."""
    return torch.minimum(length.minimum(other), (length + other) / 2 - apart).clamp(min=0)


def _moved(
    sides: Float[Tensor, "G 2"], weights: Float[Tensor, " G"], strides: Float[Tensor, " S"], shapes: Shapes
) -> Shapes:
    nearest = shape_overlaps(sides, strides, shapes).flatten(1).argmax(dim=1)
    count = len(shapes.ratios)
    sizes = _medians(sides.prod(dim=1).sqrt(), weights, nearest // count, shapes.sizes)
    ratios = _medians(sides[:, 1] / sides[:, 0], weights, nearest % count, shapes.ratios)
    return Shapes(sizes.sort().values.maximum(strides), ratios.sort().values)


def _medians(
    values: Float[Tensor, " G"], weights: Float[Tensor, " G"], group: Int[Tensor, " G"], present: Float[Tensor, " K"]
) -> Float[Tensor, " K"]:
    """The weighted median of each group; of an empty one what is `present`."""
    ordered, order = values.sort()
    is_in = group[order] == torch.arange(len(present))[:, None]  # (K, G)
    reached = torch.where(is_in, weights[order], 0.0).cumsum(dim=1)
    place = (reached < reached[:, -1:] / 2).sum(dim=1)
    return torch.where(is_in.any(dim=1), ordered[place], present)
