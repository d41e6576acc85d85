"""What bounds a detector: the convolutions and matrix products of one pass alone, layer after layer."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from frcnn.benchmarking.timing import Work
from frcnn.device import Precision, autocast
from frcnn.model.detector import FasterRCNN

DENSE = (nn.Conv2d, nn.Linear)


class DenseCall(NamedTuple):
    """A layer and what it was given."""

    layer: nn.Module
    given: Tensor


@torch.no_grad()
def record_dense(model: FasterRCNN, images: Sequence[Tensor]) -> list[DenseCall]:
    """Every call of a convolution or a linear layer in one pass, in order."""
    calls: list[DenseCall] = []
    hooks = [
        layer.register_forward_hook(lambda layer, given, _: calls.append(DenseCall(layer, given[0])))
        for layer in model.modules()
        if isinstance(layer, DENSE)
    ]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def dense_arithmetic(model: FasterRCNN, images: Sequence[Tensor], device: torch.device, precision: Precision) -> Work:
    """The dense layers of one pass as a work of its own: channels last, in `precision`, on what they were given."""
    ready = [_made_ready(call, device, precision) for call in record_dense(model, images)]

    @torch.no_grad()
    def run() -> None:
        with autocast(device, precision):
            for layer, given in ready:
                layer(given)

    return run


def _made_ready(call: DenseCall, device: torch.device, precision: Precision) -> DenseCall:
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    given = call.given.to(device, kind)
    if isinstance(call.layer, nn.Linear) and kind == torch.float32:
        return DenseCall(call.layer.to(device), given)  # no copy: the largest layers are these
    layer = copy.deepcopy(call.layer).to(device, kind)
    if given.ndim == 4:
        return DenseCall(layer.to(memory_format=torch.channels_last), _channels_last(given))
    return DenseCall(layer, given)


def _channels_last(features: Tensor) -> Tensor:
    return features.contiguous(memory_format=torch.channels_last)
