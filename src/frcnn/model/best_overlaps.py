"""How near does any anchor come to each object? Found without the table of all objects and all anchors.

The anchors of one kind (one size, one ratio, one level) are one box moved over a grid. Along each axis, whatever the
other, what such a box shares with an object falls with the distance of their centres: so of each kind the anchor that
is nearest to the object's centre, axis by axis, has the largest IoU, and no other needs to be looked at.

G = number of objects. What is (2, G) has x before y, as corners have.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from frcnn.config import ModelConfig, RPNConfig
from frcnn.model.level_grid import LevelGrid
from frcnn.model.preprocess import TORCHVISION_MULTIPLE
from frcnn.ops.anchors import cell_anchors
from frcnn.ops.boxes import at_least_float32

AT_ONCE = 2**13  # objects: so few that torch does not share them out among threads, which costs more than it brings


class Grid(NamedTuple):
    """Where the anchors of one level stand in the picture of each object, as the network sees it."""

    extents: Int[Tensor, "2 G"]  # of the picture
    padded: Int[Tensor, "2 G"]  # with its own padding, where it has some
    cells: Int[Tensor, "2 G"]
    stride: Float[Tensor, "2 G"]
    offset: Float[Tensor, "2 G"]


@torch.no_grad()
def best_overlaps(
    boxes: Float[Tensor, "G 4"], sizes: Int[Tensor, "G 2"], levels: Sequence[LevelGrid], config: ModelConfig
) -> Float[Tensor, " G"]:
    """The largest IoU of each object with any anchor that trains; 0 where none overlaps it (Sec. 3.1.2).

    `boxes` in network pixels; `sizes`: (height, width) of each object's picture as the network sees it, alone: beside
    a larger one its padding may leave out further anchors.
    """
    boxes = at_least_float32(boxes)
    parts = zip(boxes.split(AT_ONCE), sizes.split(AT_ONCE), strict=True)
    return torch.cat([boxes.new_zeros(0), *(_best_overlaps(*part, levels, config) for part in parts)])


def _best_overlaps(
    boxes: Float[Tensor, "G 4"], sizes: Int[Tensor, "G 2"], levels: Sequence[LevelGrid], config: ModelConfig
) -> Float[Tensor, " G"]:
    corners = boxes.T.contiguous()  # (4, G): long rows are fast
    best = boxes.new_zeros(len(boxes))
    for level, of_level in zip(levels, config.anchors.sizes, strict=True):
        grid = _grid(level, sizes.T.flip(0).contiguous(), config)
        cells = cell_anchors(of_level, config.anchors.ratios, config.anchors.rounding).to(boxes.device)
        for cell in cells:
            best = best.maximum(_overlaps_of_nearest(corners, cell, grid, config.rpn))
    return best


def _grid(level: LevelGrid, extents: Int[Tensor, "2 G"], config: ModelConfig) -> Grid:
    padded = extents
    if config.input.padding == "torchvision":
        padded = -(-extents // TORCHVISION_MULTIPLE) * TORCHVISION_MULTIPLE
    cells = level.cells(padded)
    stride = padded // cells if config.anchors.stride == "measured" else torch.full_like(padded, level.stride)
    offset = stride / 2 if config.anchors.centred else torch.zeros_like(stride)
    return Grid(extents, padded, cells, stride.float(), offset.float())


def _overlaps_of_nearest(
    corners: Float[Tensor, "4 G"], cell: Float[Tensor, "4"], grid: Grid, rpn: RPNConfig
) -> Float[Tensor, " G"]:
    """IoU of each object with the anchor of this kind that is nearest to it; 0 where none of the kind trains."""
    start, end = corners[:2], corners[2:]
    low, high = cell[:2, None], cell[2:, None]  # (2, 1)
    first, last = _trained(low, high, grid, rpn)
    nearest = ((start + end - low - high + grid.stride) / 2 - grid.offset) // grid.stride  # rounded: the half is added
    place = nearest.maximum(first).minimum(last) * grid.stride + grid.offset
    low, high = place + low, place + high  # (2, G)
    shared = _area((end.minimum(high) - start.maximum(low)).clamp(min=0))
    union = _area(end - start) + _area(high - low) - shared
    overlap = shared / union.clamp(min=torch.finfo(union.dtype).tiny)
    return torch.where((first <= last).all(dim=0), overlap, 0.0)


def _trained(
    low: Float[Tensor, "2 1"], high: Float[Tensor, "2 1"], grid: Grid, rpn: RPNConfig
) -> tuple[Float[Tensor, "2 G"], Float[Tensor, "2 G"]]:
    """The first and the last column and row whose anchors `trainable_anchors` keeps; first > last where none is."""
    first, last = torch.zeros_like(grid.stride), (grid.cells - 1).to(grid.stride.dtype)
    last_inside = (grid.extents - high - grid.offset) // grid.stride
    if not rpn.cross_border_anchors:
        first_inside = -((low + grid.offset) // grid.stride)  # rounded up
        return first.maximum(first_inside), last.minimum(last_inside)
    if not rpn.anchors_over_padding:
        last = torch.where(grid.extents < grid.padded, last.minimum(last_inside), last)
    return first, last


def _area(sides: Float[Tensor, "2 G"]) -> Float[Tensor, " G"]:
    return sides[0] * sides[1]
