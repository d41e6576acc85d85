"""RoIAlign: cut a P x P patch of features out of any box, without rounding (Mask R-CNN, Sec. 3)."""

from collections.abc import Sequence

import torch
import torchvision.ops
from jaxtyping import Float
from torch import Tensor

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
    """
    check_one_tensor_a_picture(features, boxes)
    number = torch.float64 if features.dtype == torch.float64 else torch.float32
    if features.device.type == "cpu":
        flat, picture = operators.flatten(boxes, number)
        return operators.align(features, flat, picture, output_size, 1 / stride, samples, aligned)
    regions = torchvision.ops.roi_align(
        features.to(number),
        [box.to(number) for box in boxes],
        output_size,
        spatial_scale=1 / stride,
        sampling_ratio=samples if samples > 0 else -1,
        aligned=aligned,
    )
    return regions.to(features.dtype)


def check_one_tensor_a_picture(features: Float[Tensor, "N C H W"], boxes: Sequence[Float[Tensor, "_ 4"]]) -> None:
    """Raises ValueError."""
    if len(features) != len(boxes):
        raise ValueError(f"{len(features)} pictures of features but {len(boxes)} tensors of boxes: one each, please")
