"""The average of the weights over the last steps, which detects better than the last step's alone."""

import copy

import torch
from torch import nn

from frcnn.model.detector import FasterRCNN


class AverageModel:
    """An exponential moving average of all weights and buffers (Polyak and Juditsky; as used by Mean Teacher).

    It follows faster while it is young: with `decay` from the start it would be made of the first random weights.
    """

    def __init__(self, model: FasterRCNN, decay: float) -> None:
        self.model, self.decay = copy.deepcopy(model).requires_grad_(False), decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after a step, counted from 0."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for mean, value in zip(_tensors(self.model), _tensors(model), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)  # a count


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]
