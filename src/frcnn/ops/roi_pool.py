"""RoIPool: the strongest feature of each of the P x P bins of a box, on whole cells (Fast R-CNN, Sec. 2.1)."""

from collections.abc import Sequence

import torch
import torchvision.ops
from jaxtyping import Float
from torch import Tensor

from frcnn.ops import reference
from frcnn.ops.kernels import operators
from frcnn.ops.roi_align import check_features


def roi_pool(
    features: Float[Tensor, "N C H W"],
    boxes: Sequence[Float[Tensor, "_ 4"]],
    output_size: int,
    stride: float,
) -> Float[Tensor, "R C P P"]:
    """Maximum of the features in each bin, as Caffe has it; an empty bin is 0.

    Corners are rounded to cells half away from zero, both ends included; bins reach from floor to ceil and overlap.
    `boxes`: one tensor a picture, in the pixels that `stride` divides into cells. NaN is never a maximum. Raises
    ValueError unless there is a tensor a picture.
    """
    check_features(features, boxes)
    number = torch.float64 if features.dtype == torch.float64 else torch.float32
    if features.device.type == "cpu":
        flat, picture = operators.flatten(boxes, number)
        return operators.pool(features, flat, picture, output_size, 1 / stride)[0]
    rows = [of_picture.to(number) for of_picture in boxes]
    if features.device.type != "cuda" or torch.are_deterministic_algorithms_enabled():  # torchvision's adds atomically
        return reference.roi_pool(features, rows, output_size, stride)
    with torch.autocast("cuda", enabled=False):
        return torchvision.ops.roi_pool(features.to(number), rows, output_size, 1 / stride).to(features.dtype)
