"""What is said where the numbers of a training are no numbers any more, and what the facts advise."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from frcnn.config import TrainConfig

REMEMBERED = 5  # gradient norms of the steps before
GROWN = 10.0  # times the least of them: the training runs away
LARGEST_WEIGHT = 1e3  # no published network of this kind has learnt one


class Weights(NamedTuple):
    """Those that a step met."""

    broken: str | None  # the name of the first one that is not finite
    largest: float


class Failure(NamedTuple):
    """A step whose losses or gradient are not finite, and what was so before it."""

    step: int  # counted from 1, as the log does
    losses: Mapping[str, float]
    gradient_norm: float
    rate: float
    norms_before: Sequence[float]  # of the gradients of the last steps
    weights: Weights
    is_first: bool  # no step has moved the weights yet


def is_finite(losses: Mapping[str, float], gradient_norm: float) -> bool:
    """May this step move the weights?"""
    return all(map(math.isfinite, losses.values())) and math.isfinite(gradient_norm)


@torch.no_grad()
def weights_of(model: nn.Module) -> Weights:
    """What a model's weights say of a failure; what batch norm has counted has met the batch already, and is none."""
    broken = next((name for name, value in model.named_parameters() if not value.isfinite().all()), None)
    return Weights(broken, max((float(value.abs().max()) for value in model.parameters()), default=0.0))


def describe_failure(failure: Failure, train: TrainConfig, pictures: Sequence[Path], kept: Path) -> str:
    """One line: what is not finite, where, and what to do."""
    what = "the gradient" if all(map(math.isfinite, failure.losses.values())) else "the loss"
    parts = ", ".join(f"{name} {loss:.4g}" for name, loss in failure.losses.items())
    before = ", ".join(f"{norm:.4g}" for norm in failure.norms_before)
    shown = ", ".join(str(path) for path in pictures)
    return (
        f"step {failure.step}: {what} is not finite ({parts}; gradient norm {failure.gradient_norm:.4g}"
        f"{f', of the steps before {before}' if before else ''}) at rate {failure.rate:.4g} on {shown}: "
        f"{advice(failure, train)} (the batch and the weights are kept in {kept})"
    )


def advice(failure: Failure, train: TrainConfig) -> str:
    """The rate, where the training ran away before this step; else the pictures, and what of them."""
    weights, norms = failure.weights, failure.norms_before
    if weights.broken is not None:
        return (
            f"the weights were not finite any more after step {failure.step - 1} ({weights.broken}), whatever these "
            f"pictures are: {calmer(train)}"
        )
    if weights.largest > LARGEST_WEIGHT:
        return f"the steps before have driven weights to {weights.largest:.3g}: {calmer(train)}"
    if norms and norms[-1] > GROWN * min(norms):
        return f"the gradient has grown in the steps before: {calmer(train)}"
    look = f"look at these pictures{_what_of_them(failure.losses)}"
    if failure.is_first:
        return f"{look}: no step has moved the weights yet"
    return f"{look}; if nothing is wrong with them, {calmer(train)}"


def calmer(train: TrainConfig) -> str:
    """What keeps weights from running away, of what is not set already."""
    clip = "" if train.clip_gradient else " or train.clip_gradient=10"
    return f"start anew with train.lr below {train.lr:g}{clip}"


def _what_of_them(losses: Mapping[str, float]) -> str:
    """Boxes make box losses; where classes are lost as well, or none is, it may be anything."""
    broken = [name for name, loss in losses.items() if not math.isfinite(loss)]
    return "' boxes" if broken and all(name.endswith("_box") for name in broken) else " and their boxes"
