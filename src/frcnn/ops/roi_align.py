"""RoIAlign: cut a P x P patch of features out of any box, without rounding (Mask R-CNN, Sec. 3)."""

from collections.abc import Callable, Sequence

import torch
import torchvision.ops
from jaxtyping import Float, Int
from torch import Tensor

from frcnn.ops import reference
from frcnn.ops.boxes import check_boxes
from frcnn.ops.kernels import operators


def roi_align(
    features: Float[Tensor, "N C H W"],
    boxes: Sequence[Float[Tensor, "_ 4"]],
    output_size: int,
    stride: float,
    samples: int = 2,
    aligned: bool = True,
) -> Float[Tensor, "R C P P"]:
    """Average `samples` x `samples` bilinear readings in each of the P x P bins of each box.

    `boxes`: one tensor a picture, in the pixels that `stride` divides into cells. `samples` 0 is adaptive: as many
    as the bin has cells, rounded up. `aligned` puts the value of a cell at its centre; without it (the first
    RoIAlign, torchvision's detectors) at its corner, and boxes are at least one cell wide. Readings outside
    -1...H are 0. Computed in float32 at least, returned in the features' type; fastest on channels-last features.
    The gradient also reaches boxes that ask for it (off the CPU by the readable form). Raises ValueError unless there
    is a tensor a picture.
    """
    levels = [torch.zeros(of_picture.shape[0], dtype=torch.long, device=features.device) for of_picture in boxes]
    return pyramid_roi_align([features], boxes, levels, output_size, [stride], samples, aligned)


def pyramid_roi_align(
    pyramid: Sequence[Float[Tensor, "N C _ _"]],
    boxes: Sequence[Float[Tensor, "_ 4"]],
    levels: Sequence[Int[Tensor, " _"]],
    output_size: int,
    strides: Sequence[float],
    samples: int = 2,
    aligned: bool = True,
) -> Float[Tensor, "R C P P"]:
    """RoIAlign of each box on the map of its level, in the boxes' order.

    Raises ValueError unless the maps are of the same pictures and channels, and each box has a level.
    """
    for features in pyramid:
        check_features(features, boxes)
    if len({features.shape[:2] for features in pyramid}) > 1:
        raise ValueError("the maps of a pyramid must be of the same pictures and channels")
    if [level.shape for level in levels] != [of_picture.shape[:1] for of_picture in boxes]:
        raise ValueError("each box must have a level")
    number = torch.float64 if pyramid[0].dtype == torch.float64 else torch.float32
    if pyramid[0].device.type == "cpu":
        flat, picture = operators.flatten(boxes, number)
        scales = [1 / stride for stride in strides]
        level = torch.cat(list(levels)) if levels else picture  # without a picture there is none
        return operators.align(list(pyramid), flat, picture, level, output_size, scales, samples, aligned)

    def align(features: Tensor, of_level: Sequence[Tensor], stride: float) -> Tensor:
        moves = any(of_picture.requires_grad for of_picture in of_level)  # torchvision's has no gradient for them
        if features.device.type != "cuda" or moves:
            return reference.roi_align(features, of_level, output_size, stride, samples, aligned)
        rows = [of_picture.to(number) for of_picture in of_level]
        readings = samples if samples > 0 else -1
        return torchvision.ops.roi_align(features.to(number), rows, output_size, 1 / stride, readings, aligned)

    return pool_level_by_level(align, pyramid, boxes, levels, strides).to(pyramid[0].dtype)


def pool_level_by_level(
    pool: Callable[[Tensor, Sequence[Tensor], float], Tensor],
    pyramid: Sequence[Float[Tensor, "N C _ _"]],
    boxes: Sequence[Float[Tensor, "_ 4"]],
    levels: Sequence[Int[Tensor, " _"]],
    strides: Sequence[float],
) -> Float[Tensor, "R C P P"]:
    """`pool(features, boxes, stride)` for each level that a box reads; the regions come in the boxes' order."""
    if len(pyramid) == 1:
        return pool(pyramid[0], boxes, strides[0])
    pooled, places = [], []
    level = torch.cat(list(levels))
    for number, (features, stride) in enumerate(zip(pyramid, strides, strict=True)):
        members = [of_picture[at == number] for of_picture, at in zip(boxes, levels, strict=True)]
        pooled.append(pool(features, members, stride))
        places.append((level == number).nonzero().squeeze(1))
    return torch.cat(pooled)[torch.cat(places).argsort()]


def check_features(features: Float[Tensor, "N C H W"], boxes: Sequence[Float[Tensor, "_ 4"]]) -> None:
    """Raises ValueError: compiled code would read what lies beside the features."""
    if features.ndim != 4 or 0 in features.shape[2:]:
        raise ValueError(f"features must be (N, C, H, W) with H and W at least 1, not {tuple(features.shape)}")
    if features.shape[0] != len(boxes):
        raise ValueError(
            f"{features.shape[0]} pictures of features but {len(boxes)} tensors of boxes: one each, please"
        )
    for of_picture in boxes:
        check_boxes(of_picture)
