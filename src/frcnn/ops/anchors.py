"""Anchors: the fixed grid of guesses the RPN scores and refines (Faster R-CNN, Sec. 3.1.1).

A anchors a cell, R = H * W * A anchors a map; their order is always (H, W, A).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

PY_FASTER_RCNN_CELL = 16.0  # py-faster-rcnn rounds the shapes of a 16 px anchor, then multiplies them


def cell_anchors(
    sizes: Sequence[float],
    aspect_ratios: Sequence[float],
    rounding: Literal["none", "torchvision", "py-faster-rcnn"] = "none",
) -> Float[Tensor, "A 4"]:
    """Anchors of one cell, centred on (0, 0): every size at every ratio, ratio-major.

    `size` is sqrt(area) in input pixels; `aspect_ratio` is height / width. `rounding`: exact (the paper), corners to
    whole pixels (torchvision), or widths and heights as py-faster-rcnn has them (184 x 96, 128 x 128, 88 x 176, ...).
    """
    size = torch.tensor(sizes, dtype=torch.float32)
    ratio = torch.tensor(aspect_ratios, dtype=torch.float32)
    if rounding == "py-faster-rcnn":
        width = (PY_FASTER_RCNN_CELL / ratio.sqrt()).round()
        height = (width * ratio).round()
        size = size / PY_FASTER_RCNN_CELL
    else:
        width, height = 1 / ratio.sqrt(), ratio.sqrt()
    width = (size[None, :] * width[:, None]).flatten()
    height = (size[None, :] * height[:, None]).flatten()
    anchors = torch.stack((-width, -height, width, height), dim=1) / 2
    return anchors.round() if rounding == "torchvision" else anchors


def grid_anchors(
    cells: Float[Tensor, "A 4"],
    grid_size: tuple[int, int],
    stride: float | tuple[float, float],
    offset: float | tuple[float, float] = 0.0,
) -> Float[Tensor, "R 4"]:
    """Copy the cell anchors to every position of an (H, W) feature map, row by row.

    `stride` is one number or one per axis (y, x). `offset`, in pixels, moves the anchors from the cells' corners (0)
    to their centres (stride / 2).
    """
    height, width = grid_size
    stride_y, stride_x = stride if isinstance(stride, tuple) else (stride, stride)
    offset_y, offset_x = offset if isinstance(offset, tuple) else (offset, offset)
    ys = torch.arange(height, device=cells.device, dtype=cells.dtype) * stride_y + offset_y
    xs = torch.arange(width, device=cells.device, dtype=cells.dtype) * stride_x + offset_x
    y, x = torch.meshgrid(ys, xs, indexing="ij")  # (H, W) each
    corners = torch.stack((x, y, x, y), dim=-1)  # (H, W, 4)
    return (corners[:, :, None, :] + cells).reshape(-1, 4)  # (H, W, A, 4) -> (H*W*A, 4)
