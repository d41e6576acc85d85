"""Box deltas: how the network says "move this box there" (Faster R-CNN, Eq. 2)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from frcnn.ops.boxes import at_least_float32

MAX_LOG_SCALE = math.log(1000 / 16)  # a 16 px anchor may grow to 1000 px, no further: exp never overflows


def encode(
    reference: Float[Tensor, "R 4"],
    target: Float[Tensor, "R 4"],
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Tensor, "R 4"]:
    """Deltas (dx, dy, dw, dh), times `weights`, that carry each reference box onto its target box."""
    reference, target = at_least_float32(reference), at_least_float32(target)
    reference_centre, reference_size = _centre_and_size(reference)
    target_centre, target_size = _centre_and_size(target)
    shift = (target_centre - reference_centre) / reference_size
    scale = torch.log(target_size / reference_size)
    return torch.cat((shift, scale), dim=1) * shift.new_tensor(weights)


def decode(
    reference: Float[Tensor, "R 4"],
    deltas: Float[Tensor, "R 4"],
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Tensor, "R 4"]:
    """Inverse of `encode`, in at least float32 whatever autocast says, with growth capped."""
    reference, deltas = at_least_float32(reference), at_least_float32(deltas)
    shift, scale = (deltas / deltas.new_tensor(weights)).split(2, dim=1)
    centre, size = _centre_and_size(reference)
    centre = centre + shift * size
    half = size * torch.exp(scale.clamp(max=MAX_LOG_SCALE)) / 2
    return torch.cat((centre - half, centre + half), dim=1)


def _centre_and_size(boxes: Float[Tensor, "R 4"]) -> tuple[Float[Tensor, "R 2"], Float[Tensor, "R 2"]]:
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + size / 2, size
