"""The solver: stochastic gradient descent with the paper's parameter groups, and each step's rate (Sec. 3.1.3)."""

import torch
from torch import nn

from frcnn.config import TrainConfig

LINEAR_SCALING_BATCH = 16  # "linear" rates are stated for a batch of 16 pictures


def base_learning_rate(config: TrainConfig) -> float:
    """The rate after the warm-up: as stated, or in proportion to the batch."""
    if config.lr_scaling == "linear":
        return config.lr * config.batch_size / LINEAR_SCALING_BATCH
    return config.lr


def learning_rate(step: int, total_steps: int, config: TrainConfig) -> float:
    """The rate of one step (counted from 0): a straight warm-up, then times `gamma` at each milestone.

    A pure function of the step, so that a resumed training cannot take another rate.
    """
    rate = base_learning_rate(config)
    for milestone in config.milestones:
        if step >= round(milestone * total_steps):
            rate *= config.gamma
    if step < config.warmup_steps:
        risen = step / config.warmup_steps
        rate *= config.warmup_factor * (1 - risen) + risen
    return rate


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.SGD:
    """SGD over what trains: weights in one group, biases (of their own rate and decay) in another."""
    trained = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    weights = [value for name, value in trained if not name.endswith(".bias")]
    biases = [value for name, value in trained if name.endswith(".bias")]
    groups = [
        {"params": weights, "lr_factor": 1.0, "weight_decay": config.weight_decay},
        {
            "params": biases,
            "lr_factor": config.bias_lr_factor,
            "weight_decay": config.weight_decay if config.bias_weight_decay else 0.0,
        },
    ]
    return torch.optim.SGD(groups, lr=base_learning_rate(config), momentum=config.momentum)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Every group takes its share of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_factor"]
