"""The solver: gradient descent with the paper's parameter groups, and each step's rate (Sec. 3.1.3)."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from frcnn.config import TrainConfig

BODY_STAGES = "backbone.body.stages."  # the names of what ImageNet has taught
ADAM_BETA2 = 0.999  # how slowly the mean of squared gradients moves: its authors' value
LINEAR_SCALING_BATCH = 16  # "linear" rates are stated for a batch of 16 pictures


def base_learning_rate(config: TrainConfig) -> float:
    """The rate after the warm-up: as stated, or in proportion to the batch."""
    if config.lr_scaling == "linear":
        return config.lr * config.batch_size / LINEAR_SCALING_BATCH
    return config.lr


def learning_rate(step: int, total_steps: int, config: TrainConfig) -> float:
    """The rate of one step (counted from 0): a straight warm-up, then times `gamma` at each milestone, or a cosine.

    A pure function of the step, so that a resumed training cannot take another rate.
    """
    rate = base_learning_rate(config)
    if config.decay == "cosine":
        rate *= (1 + math.cos(math.pi * step / total_steps)) / 2
    else:
        rate *= config.gamma ** sum(step >= round(milestone * total_steps) for milestone in config.milestones)
    if step < config.warmup_steps:
        risen = step / config.warmup_steps
        rate *= config.warmup_factor * (1 - risen) + risen
    return rate


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """SGD or AdamW over what trains: weights and biases of each stage of the body, weights and biases of all else.

    The paper's is SGD. AdamW (Decoupled Weight Decay Regularization, Alg. 2) learns from fewer pictures and passes.
    """
    parameters = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    top = max((stage for name, _ in parameters if (stage := stage_of(name)) is not None), default=0)
    groups = [
        _group(parameters, config, stage, top, are_biases=are_biases)
        for stage in (*range(top + 1), None)
        for are_biases in (False, True)
    ]
    groups = [group for group in groups if group["params"]]
    rate = base_learning_rate(config)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=(config.momentum, ADAM_BETA2), fused=True)
    return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, fused=True)


def stage_of(name: str) -> int | None:
    """Which stage of the body a parameter is of; None for all that ImageNet has not taught."""
    return int(name.removeprefix(BODY_STAGES).partition(".")[0]) if name.startswith(BODY_STAGES) else None


def _group(
    parameters: Sequence[tuple[str, nn.Parameter]],
    config: TrainConfig,
    stage: int | None,
    top: int,
    *,
    are_biases: bool,
) -> dict[str, Any]:
    """The parameters of one kind that train, with their share of the rate and their decay."""
    chosen = [v for name, v in parameters if stage_of(name) == stage and name.endswith(".bias") == are_biases]
    of_body = 1.0 if stage is None else config.backbone_lr_factor * config.stage_lr_factor ** (top - stage)
    lr_factor = (config.bias_lr_factor if are_biases else 1.0) * of_body
    decays = config.bias_weight_decay or not are_biases
    return {"params": chosen, "lr_factor": lr_factor, "weight_decay": config.weight_decay if decays else 0.0}


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Every group takes its share of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_factor"]
