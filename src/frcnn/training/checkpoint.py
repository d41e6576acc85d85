"""What `--resume` needs: weights, the solver's memory, the place in the schedule. Whole or absent; the last two stay.

Random numbers need no room here: they are drawn anew from the seed and the step.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from frcnn.errors import DiskError, FrcnnError
from frcnn.files import make_folder, written_whole

KEPT = 2
MEMORY_OF_SGD = {"momentum_buffer"}
MEMORY_OF_ADAMW = {"exp_avg", "exp_avg_sq", "step"}
MEMORY = sorted(MEMORY_OF_SGD | MEMORY_OF_ADAMW)


@dataclass
class Progress:
    """Where a training stands. Steps are counted as finished ones."""

    step: int = 0
    evaluated_step: int = 0
    best_map: float = -1.0
    best_loss: float = math.inf  # of the best evaluation, which decides between equal ones
    seconds: float = 0.0  # spent training, over all starts
    stage: int = 0  # which of the schedule's stages
    in_vain: int = 0  # evaluations since the best one
    ended_early: bool = False
    data: str = ""  # the fingerprint of what is trained on
    settings: str = ""  # as TOML
    beginning: str = ""  # the fingerprint of the backbone that a later stage begins with anew


def save_state(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    average: nn.Module | None = None,
) -> Path:
    """Write the state of this step and remove all but the last two. Raises DiskError where the disk refuses.

    `average`: the mean of the weights, where one is kept.
    """
    path = folder / f"step_{progress.step:08d}.safetensors"
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= _memory(model, optimizer)
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    metadata = {"progress": json.dumps(asdict(progress)), "class_names": json.dumps(_class_names(model))}
    _write(path, tensors, metadata)
    whole = [state for state in states(folder) if state <= path and read_progress(state) is not None]
    for old in set(states(folder)) - set(whole[-KEPT:]):  # what is newer than this one was torn, and passed over
        old.unlink(missing_ok=True)
    return path


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    make_folder(path.parent)
    with written_whole(path) as aside:
        try:
            save_file(tensors, aside, metadata=metadata)
        except SafetensorError as error:
            raise DiskError(f"{path}: cannot be written ({error})") from error


def states(folder: Path) -> list[Path]:
    """The states in a run's folder, oldest first."""
    return sorted(folder.glob("step_*.safetensors"))


def newest_state(folder: Path) -> Path | None:
    """The newest state that is whole; one torn by a crash of the disk is passed over."""
    return next((path for path in reversed(states(folder)) if read_progress(path) is not None), None)


def load_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, average: nn.Module | None = None
) -> Progress:
    """Put a state back. Raises FrcnnError if it is torn or of another model."""
    progress = read_progress(path)
    if progress is None:
        raise FrcnnError(f"{path}: is no whole state; remove it, and --resume goes on from the one before")
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        learnt = json.loads(file.metadata().get("class_names", "[]"))
    if learnt != _class_names(model):
        raise FrcnnError(
            f"{path}: was learnt with the classes {', '.join(learnt)}, but the data has "
            f"{', '.join(_class_names(model))}: resume with the same data, or give another --out"
        )
    _restore(path, tensors, model, optimizer, average)
    return progress


def read_progress(path: Path) -> Progress | None:
    """Where the training of this state stands; None where the file is torn: its header tells how long it must be."""
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            json.loads(file.metadata().get("class_names", "[]"))
            return progress if isinstance(progress.step, int) and progress.step >= 0 else None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None


def _restore(
    path: Path,
    tensors: dict[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: nn.Module | None,
) -> None:
    try:
        model.load_state_dict(_below(tensors, "model."))
        if average is not None:
            average.load_state_dict(_below(tensors, "average."))
    except RuntimeError as error:
        raise FrcnnError(f"{path}: is the state of another model; start a new run with another --out") from error
    wanted = MEMORY_OF_ADAMW if isinstance(optimizer, torch.optim.AdamW) else MEMORY_OF_SGD
    for name, parameter in model.named_parameters():
        memory = {key: tensors[f"{key}.{name}"] for key in MEMORY if f"{key}.{name}" in tensors}
        if memory and not (memory.keys() == wanted and _fits(parameter, memory)):
            raise FrcnnError(f"{path}: is the state of another solver, or damaged: remove it, or give another --out")
        for key, buffer in memory.items():
            optimizer.state[parameter][key] = (
                _laid_out_like(parameter, buffer) if buffer.dim() else buffer.to(parameter.device, copy=True)
            )


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What stands under the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _fits(parameter: Tensor, memory: dict[str, Tensor]) -> bool:
    return all(buffer.shape == (() if key == "step" else parameter.shape) for key, buffer in memory.items())


def _laid_out_like(parameter: Tensor, buffer: Tensor) -> Tensor:
    """A copy in the parameter's memory format, which fused solvers take for granted."""
    return torch.empty_like(parameter, dtype=buffer.dtype, requires_grad=False).copy_(buffer)


def _class_names(model: nn.Module) -> list[str]:
    return list(getattr(model, "class_names", ()))


def _memory(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the solver remembers of each parameter that it has moved."""
    return {
        f"{key}.{name}": optimizer.state[parameter][key]
        for name, parameter in model.named_parameters()
        for key in MEMORY
        if optimizer.state.get(parameter, {}).get(key) is not None
    }
