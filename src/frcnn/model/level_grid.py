"""How many cells has each map, for a picture of any size? Asked of the network itself, before it has any weights.

A convolution or pooling of stride s makes (n + b) // s cells of n, where b says how it pads and rounds. Floors within
floors are one floor, so a whole chain of them makes (n + border) // stride, on each axis for itself.
"""

from bisect import bisect_right
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from frcnn.config import ModelConfig, override_sections
from frcnn.model.zoo import build_from_config


class LevelGrid(NamedTuple):
    """The rule of one level: its nominal stride, and what is added before the division."""

    stride: int
    border: int

    def cells(self, extents: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """How many cells lie along heights or widths of the network's input, padding included."""
        return (extents + self.border) // self.stride


@torch.no_grad()
def level_grids(config: ModelConfig) -> list[LevelGrid]:
    """The rule of each level, finest first, found in a few runs on the meta device, where tensors are only shapes.

    Raises ConfigError where rooms do not fit each other.
    """
    without_norms = override_sections(config, {"backbone": {"batch_norm": "folded"}})  # the same shapes, sooner
    with torch.device("meta"):
        backbone = build_from_config(without_norms, ["object"]).backbone

    @cache
    def cells(extent: int) -> list[int]:
        return [features.shape[-1] for features in backbone(torch.empty(1, 3, 1, extent, device="meta"))]

    start = max(backbone.strides)
    grids = []
    for level, stride in enumerate(backbone.strides):
        count = cells(start)[level]
        # Between `start` and `start + stride` the count rises once, by 1. Where it does tells the border.
        steps = bisect_right(range(stride), count, key=lambda more, level=level: cells(start + more)[level])
        grids.append(LevelGrid(stride, (count + 1) * stride - start - steps))
    return grids
