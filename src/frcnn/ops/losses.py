"""Smooth L1: square near zero, straight far away: no bad box rules the gradient (Fast R-CNN, Eq. 3)."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from frcnn.ops.boxes import at_least_float32


def smooth_l1_sum(predicted: Float[Tensor, "P 4"], wanted: Float[Tensor, "P 4"], beta: float) -> Float[Tensor, ""]:
    """Summed over boxes and coordinates; `beta` is where it turns from square to straight (1 / sigma^2)."""
    return F.smooth_l1_loss(at_least_float32(predicted), at_least_float32(wanted), beta=beta, reduction="sum")
