"""When the numbers of a step are no numbers: what is said, and what is kept to see it again."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from frcnn.data.loading import Batch
from frcnn.errors import FrcnnError
from frcnn.files import make_folder, written_whole
from frcnn.model.detector import FasterRCNN
from frcnn.structures import Losses, Target
from frcnn.weights.model_file import load_model, save_model

ADVICE = "look at these pictures' boxes, or start anew with a lower train.lr or train.clip_gradient=10"


def is_finite(losses: Mapping[str, float], gradient_norm: float) -> bool:
    """May this step move the weights?"""
    return all(map(math.isfinite, losses.values())) and math.isfinite(gradient_norm)


def describe_failure(
    step: int, losses: Mapping[str, float], gradient_norm: float, rate: float, pictures: Sequence[Path], kept: Path
) -> str:
    """One line: what is not finite, where, and what to do."""
    what = "the loss" if not all(map(math.isfinite, losses.values())) else "the gradient"
    parts = ", ".join(f"{name} {loss:.4g}" for name, loss in losses.items())
    shown = ", ".join(str(path) for path in pictures)
    return (
        f"step {step}: {what} is not finite ({parts}; gradient norm {gradient_norm:.4g}) at rate {rate:.4g} "
        f"on {shown}: {ADVICE} (the batch and the weights are kept in {kept})"
    )


def keep_batch(folder: Path, model: FasterRCNN, batches: Sequence[Batch], said: str) -> None:
    """Write the batch that failed and the weights that it met: `replay` computes it again. Raises FrcnnError."""
    make_folder(folder)
    tensors: dict[str, torch.Tensor] = {}
    examples = [example for batch in batches for example in zip(batch.pixels, batch.targets, strict=True)]
    for number, (pixels, target) in enumerate(examples):
        tensors[f"{number}.pixels"] = pixels.contiguous()
        tensors[f"{number}.boxes"] = target.boxes.contiguous()
        tensors[f"{number}.class_ids"] = target.class_ids.contiguous()
        ignored = torch.zeros(len(target.boxes), dtype=torch.bool) if target.ignored is None else target.ignored
        tensors[f"{number}.ignored"] = ignored.contiguous()
    pictures = [str(path) for batch in batches for path in batch.pictures]
    with written_whole(folder / "batch.safetensors") as aside:
        try:
            save_file(tensors, aside, {"pictures": json.dumps(pictures), "message": said})
        except SafetensorError as error:
            raise FrcnnError(f"{folder}: cannot be written ({error})") from error
    for buffer in model.buffers():
        buffer.nan_to_num_()  # live batch norm has met the batch already; training, and `replay`, do not read these
    save_model(model, folder / "model.safetensors")


def replay(folder: Path) -> Losses:
    """The losses of the batch that a failed run has kept, with the weights that it met, all layers as in training.

    Pictures are seen at the model's own scale, and regions are drawn from seed 0. Raises FrcnnError where the folder
    holds none.
    """
    if not (folder / "batch.safetensors").is_file():
        raise FrcnnError(f"{folder}: holds no batch.safetensors: name the folder that the failed run spoke of")
    tensors = load_file(folder / "batch.safetensors")
    numbers = range(sum(name.endswith(".pixels") for name in tensors))
    images = [tensors[f"{i}.pixels"].float() / 255 for i in numbers]
    targets = [Target(*(tensors[f"{i}.{part}"] for part in ("boxes", "class_ids", "ignored"))) for i in numbers]
    return load_model(folder / "model.safetensors").train()(images, targets, torch.Generator().manual_seed(0))
