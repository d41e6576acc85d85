"""Trainings of a second: what they are asked for, and what they leave."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from frcnn.training import loop
from frcnn.training.begin import train

SMALL = (
    "model.input.short_side=64",
    "model.input.long_side=96",
    "train.batch_size=2",
    "train.epochs=3",
    "train.warmup_steps=2",
    "train.log_every=1",
    "data.workers=0",
    "data.validation=0.25",
)
IN_FLOAT64 = (  # in which nothing but the rounding of sums differs, and no picture changes what is said of another
    "train.precision=float64",
    "train.optimizer=sgd",
    "train.lr=0.1",
    "train.warmup_steps=0",
    "train.clip_gradient=0",
    "model.backbone.neck_norm=none",
    "model.backbone.batch_norm=frozen",
)


def run(data: Path, out: Path, *overrides: str, **arguments: Any) -> str:
    """Train preset tiny, with `overrides` unless it resumes; what was said."""
    console = Console(file=io.StringIO(), width=200)
    if not arguments.get("resume"):
        arguments["overrides"] = (*SMALL, *overrides)
    train("tiny", data, out, console=console, **arguments)
    return console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def lines(out: Path, event: str | None = None) -> list[dict[str, Any]]:
    """metrics.jsonl; of one kind of event alone, where that is asked for."""
    found = [json.loads(text) for text in (out / "metrics.jsonl").read_text().splitlines()]
    return [line for line in found if event in (None, line["event"])]


def last(out: Path) -> dict[str, torch.Tensor]:
    """The weights at the run's end."""
    return load_file(out / "last.safetensors")


def last_bytes(out: Path) -> bytes:
    """The model file at the run's end."""
    return (out / "last.safetensors").read_bytes()


def newest_state(out: Path) -> dict[str, torch.Tensor]:
    """What --resume would go on with, in the precision of the training."""
    return load_file(max((out / "state").iterdir()))


def rooms_that_differ(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
    """The rooms of a model of which anything at all differs: weights, means and variances, counts."""
    assert one.keys() == other.keys()
    return {name.partition(".")[0] for name in one if not torch.equal(one[name], other[name])}


def stop_before_step(patch: pytest.MonkeyPatch, number: int) -> None:
    """Ctrl-C before the step of this number, counted from 0."""
    real: Callable[..., loop.Step] = loop.train_step

    def interrupted(training: loop.Training, batches: Any) -> loop.Step:
        if training.progress.step == number:
            raise KeyboardInterrupt
        return real(training, batches)

    patch.setattr(loop, "train_step", interrupted)


def stopped_and_resumed(data: Path, out: Path, number: int, *overrides: str, **arguments: Any) -> str:
    """A run that is stopped before a step and goes on; what was said when it did."""
    with pytest.MonkeyPatch.context() as patch:
        stop_before_step(patch, number)
        with pytest.raises(KeyboardInterrupt):
            run(data, out, *overrides, **arguments)
    return run(data, out, resume=True)
