"""Smooth L1: square near zero, straight far away: no bad box rules the gradient (Fast R-CNN, Eq. 3).

And what losses are divided by.
"""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from frcnn.ops.boxes import at_least_float32

Normaliser = Callable[[int], float]  # from how many samples there are here to what their summed losses are divided by


def at_least_one(count: int) -> float:
    """A batch without any sample has losses of 0, not NaN."""
    return float(max(count, 1))


def smooth_l1_sum(predicted: Float[Tensor, "P 4"], wanted: Float[Tensor, "P 4"], beta: float) -> Float[Tensor, ""]:
    """Summed over boxes and coordinates; `beta` is where it turns from square to straight (1 / sigma^2)."""
    return F.smooth_l1_loss(at_least_float32(predicted), at_least_float32(wanted), beta=beta, reduction="sum")
