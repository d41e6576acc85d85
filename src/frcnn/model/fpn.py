"""Feature pyramid: every level gets the meaning of the coarse maps and the place of its own (FPN, Sec. 3)."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from frcnn.config import BackboneConfig
from frcnn.model.backbone import Stages

LEAST_GROUP = 8  # channels that group norm takes together


class FPN(nn.Module):
    """1 x 1 laterals, a top-down path of nearest neighbours, a 3 x 3 convolution on each level.

    One more level, of twice the coarsest stride, is sampled from the coarsest: the RPN reads it, RoI pooling doesn't.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int, norm: str = "none") -> None:
        super().__init__()
        self.laterals = nn.ModuleList(_convolution(c, out_channels, 1, norm) for c in in_channels)
        self.outputs = nn.ModuleList(_convolution(out_channels, out_channels, 3, norm) for _ in in_channels)

    def forward(self, maps: Sequence[Float[Tensor, "N _ _ _"]]) -> list[Tensor]:
        """Maps of any channels, finest first, to maps of `out_channels`, one more than came."""
        merged = self.laterals[-1](maps[-1])
        pyramid = [self.outputs[-1](merged)]
        for level in range(len(maps) - 2, -1, -1):
            lateral = self.laterals[level](maps[level])
            merged = lateral + F.interpolate(merged, size=lateral.shape[-2:], mode="nearest")
            pyramid.insert(0, self.outputs[level](merged))
        pyramid.append(F.max_pool2d(pyramid[-1], kernel_size=1, stride=2))
        return pyramid


class FeaturePyramid(nn.Module):
    """A body and what stands on it: the maps that the RPN and RoI pooling read.

    `strides`: input pixels per cell of each map. `roi_levels`: how many of them, from the finest, serve RoI pooling.
    """

    def __init__(self, body: Stages, config: BackboneConfig) -> None:
        super().__init__()
        self.body = body
        self.strides, self.channels, self.roi_levels = body.strides, body.channels[-1], len(body.strides)
        self.fpn = None
        if config.neck == "fpn":
            self.fpn = FPN(body.channels, config.neck_channels, config.neck_norm)
            self.strides, self.channels = (*body.strides, body.strides[-1] * 2), config.neck_channels

    def forward(self, pixels: Float[Tensor, "N C H W"]) -> list[Tensor]:
        """One map a level, finest first."""
        maps = self.body(pixels)
        return maps if self.fpn is None else self.fpn(maps)


def _convolution(channels_in: int, channels_out: int, kernel: int, norm: str) -> nn.Sequential:
    layer = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=norm == "none")
    nn.init.kaiming_uniform_(layer.weight, a=1)  # Xavier's, as no ReLU follows
    if norm == "none":
        nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]  (there is a bias)
        return nn.Sequential(layer)
    return nn.Sequential(layer, nn.BatchNorm2d(channels_out) if norm == "batch" else group_norm(channels_out))


def group_norm(channels: int) -> nn.GroupNorm:
    """Groups of at least eight channels: what it computes depends on no other picture (Group Normalization, Sec. 3)."""
    return nn.GroupNorm(math.gcd(channels, max(channels // LEAST_GROUP, 1)), channels)
