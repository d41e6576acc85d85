"""RoIPool: the strongest feature of each of the P x P bins of a box, on whole cells (Fast R-CNN, Sec. 2.1)."""

from collections.abc import Sequence

import torch
import torchvision.ops
from jaxtyping import Float
from torch import Tensor


def roi_pool(
    features: Float[Tensor, "N C H W"],
    boxes: Sequence[Float[Tensor, "_ 4"]],
    output_size: int,
    stride: float,
) -> Float[Tensor, "R C P P"]:
    """Maximum of the features in each bin, as Caffe has it; an empty bin is 0.

    Corners are rounded to cells half away from zero, both ends included; bins reach from floor to ceil and overlap.
    `boxes`: one tensor a picture, in the pixels that `stride` divides into cells. bfloat16 goes through float32,
    which holds it exactly.
    """
    if len(features) != len(boxes):
        raise ValueError(f"{len(features)} pictures of features but {len(boxes)} tensors of boxes: one each, please")
    compiled = features if features.dtype == torch.float64 else features.float()
    with torch.autocast(features.device.type, enabled=False):  # its autocast rule fails on the CPU
        regions = torchvision.ops.roi_pool(
            compiled, [box.to(compiled.dtype) for box in boxes], output_size, spatial_scale=1 / stride
        )
    return regions.to(features.dtype)
