"""The readable PyTorch form of what has a compiled one: the same names, arguments and results, slower.

R boxes, C channels, an H x W map, P x P bins.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from frcnn.ops.boxes import at_least_float32, box_iou
from frcnn.ops.matching import match_by_table

FAR = 1e9  # cells: a side that no integer holds, and one that is no number, lies so far outside of any map

match_boxes = match_by_table


def nms(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, " R"],
    iou_threshold: float,
    max_keep: int | None = None,
) -> Int[Tensor, " K"]:
    """Indices of the kept boxes, best score first: every box suppresses the worse ones that overlap it too much."""
    order = scores.argsort(descending=True, stable=True)
    overlaps = box_iou(boxes[order], boxes[order]) > iou_threshold
    alive = torch.ones(len(order), dtype=torch.bool, device=boxes.device)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~overlaps[i, i + 1 :]
    return order[alive][:max_keep]


def batched_nms(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, " R"],
    groups: Int[Tensor, " R"],
    iou_threshold: float,
    max_keep: int | None = None,
) -> Int[Tensor, " K"]:
    """NMS of each group alone, then all survivors by score."""
    survives = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for group in groups.unique():
        members = (groups == group).nonzero().squeeze(1)
        survives[members[nms(boxes[members], scores[members], iou_threshold)]] = True
    order = scores.argsort(descending=True, stable=True)
    return order[survives[order]][:max_keep]


def roi_align(
    features: Float[Tensor, "N C H W"],
    boxes: Sequence[Float[Tensor, "_ 4"]],
    output_size: int,
    stride: float,
    samples: int = 2,
    aligned: bool = True,
) -> Float[Tensor, "R C P P"]:
    """Each axis is a matrix of bilinear weights, so a region is rows @ features @ columns.

    Differentiable in the features and, unlike torchvision's, in the boxes.
    """
    regions = [
        _align_one(picture, box, output_size, stride, samples, aligned)
        for picture, of_picture in zip(features, boxes, strict=True)
        for box in of_picture
    ]
    empty = features.new_zeros(0, features.shape[1], output_size, output_size)
    return torch.stack(regions) if regions else empty


def _align_one(
    features: Float[Tensor, "C H W"],
    box: Float[Tensor, " 4"],
    output_size: int,
    stride: float,
    samples: int,
    aligned: bool,
) -> Float[Tensor, "C P P"]:
    x1, y1, x2, y2 = (at_least_float32(box) / stride - (0.5 if aligned else 0.0)).unbind()
    width, height = x2 - x1, y2 - y1
    if not aligned:
        width, height = width.clamp(min=1), height.clamp(min=1)
    rows = _bilinear_bins(y1, height, features.shape[1], output_size, samples)  # (P, H)
    columns = _bilinear_bins(x1, width, features.shape[2], output_size, samples)  # (P, W)
    region = torch.einsum("ph,chw,qw->cpq", rows, features.to(rows.dtype), columns)
    return region.to(features.dtype)


def _bilinear_bins(
    start: Float[Tensor, ""], length: Float[Tensor, ""], cells: int, output_size: int, samples: int
) -> Float[Tensor, "P cells"]:
    """How much each cell of one axis weighs in each bin: the mean of a hat function around each reading."""
    count = samples if samples > 0 else math.ceil(float(length) / output_size)
    if count <= 0:  # adaptive, and the box has no extent: nothing is read
        return start.new_zeros(output_size, cells)
    steps = (torch.arange(output_size * count, device=start.device, dtype=start.dtype) + 0.5) / (output_size * count)
    position = start + length * steps  # (P * count,), in cells
    hat = (1 - (position.clamp(0, cells - 1)[:, None] - torch.arange(cells, device=start.device)).abs()).clamp(min=0)
    readable = (position >= -1) & (position <= cells)
    return torch.where(readable[:, None], hat, 0).unflatten(0, (output_size, count)).mean(dim=1)


def roi_pool(
    features: Float[Tensor, "N C H W"],
    boxes: Sequence[Float[Tensor, "_ 4"]],
    output_size: int,
    stride: float,
) -> Float[Tensor, "R C P P"]:
    """Round the box to cells, cut each axis into bins, take the maximum of each bin."""
    regions = [
        _pool_one(picture, box, output_size, stride)
        for picture, of_picture in zip(features, boxes, strict=True)
        for box in of_picture
    ]
    empty = features.new_zeros(0, features.shape[1], output_size, output_size)
    return torch.stack(regions) if regions else empty


def _pool_one(
    features: Float[Tensor, "C H W"], box: Float[Tensor, " 4"], output_size: int, stride: float
) -> Float[Tensor, "C P P"]:
    scaled = at_least_float32(box) * (1 / stride)
    corners = _round_half_away_from_zero(scaled.nan_to_num(nan=-FAR).clamp(-FAR, FAR))
    rows = _pool_bins(corners[1], corners[3], features.shape[1], output_size)
    columns = _pool_bins(corners[0], corners[2], features.shape[2], output_size)
    region = features.new_zeros(features.shape[0], output_size, output_size)  # an empty bin stays 0
    for p, row in enumerate(rows):
        for q, column in enumerate(columns):
            cell = features[:, row, column]
            if cell.shape[1] and cell.shape[2]:
                region[:, p, q] = torch.where(cell.isnan(), -math.inf, cell).amax(dim=(1, 2))
    return region


def _pool_bins(first: Float[Tensor, ""], last: Float[Tensor, ""], cells: int, output_size: int) -> list[slice]:
    """The cells of each bin along one axis: floor to ceil, so that neighbours may share a cell."""
    bin_size = (last - first + 1).clamp(min=1) / output_size
    bins = torch.arange(output_size, device=first.device, dtype=first.dtype)
    begin = ((bins * bin_size).floor() + first).clamp(0, cells).int().tolist()
    end = (((bins + 1) * bin_size).ceil() + first).clamp(0, cells).int().tolist()
    return [slice(b, e) for b, e in zip(begin, end, strict=True)]


def _round_half_away_from_zero(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """C's `round`; `torch.round` goes to the even neighbour, and 8 / 16 would become 0."""
    whole = values.trunc()
    return whole + values.sign() * ((values - whole).abs() >= 0.5)
