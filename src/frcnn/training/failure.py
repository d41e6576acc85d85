"""A step that failed: its batch as the network met it, and the weights, kept to compute it again."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import UInt8
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from frcnn.config import Config, InputConfig, parse_config
from frcnn.data.loading import Batch
from frcnn.data.order import Order, Part
from frcnn.device import Precision, autocast
from frcnn.errors import DiskError, FrcnnError
from frcnn.files import make_folder, written_whole
from frcnn.model.detector import FasterRCNN
from frcnn.ops.losses import at_least_one
from frcnn.structures import Target
from frcnn.training.objectives import NamedLosses
from frcnn.training.pieces import added_up, by_its_share, make_piece, seeds_of
from frcnn.training.schedules import set_modes, stages_of, train_only
from frcnn.training.synced_batch_norm import synced
from frcnn.weights.model_file import load_as_it_is, save_model
from frcnn.weights.state_file import read_safetensors

BATCH, MODEL = "batch.safetensors", "model.safetensors"
OF_PROCESS = "process"  # and its number: the folder of its part, where several train together

Item = TypeVar("Item")
Proposals = list[Tensor] | None  # of a piece's pictures; None where the stage reads none


@dataclass(frozen=True)
class FailedStep:
    """All that the losses of a step are made of."""

    model: FasterRCNN
    config: Config
    precision: Precision
    stage: int  # of the schedule, counted from 0
    step: int  # how many were taken before it
    pieces: list[Batch]
    proposals: list[Proposals]  # for each piece
    device: str = "cpu"
    processes: int = 1
    message: str = ""


def folder_of(out: Path, process: int, processes: int) -> Path:
    """Where a process of a run keeps its part."""
    return out / "failure" / f"{OF_PROCESS}{process}" if processes > 1 else out / "failure"


def forget_failure(out: Path) -> None:
    """Remove what an earlier attempt has kept in a run's folder."""
    for folder in (*(out / "failure").glob(f"{OF_PROCESS}*"), out / "failure"):
        for name in (BATCH, MODEL):
            (folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # it is absent, or holds something else
            folder.rmdir()


def keep(folder: Path, failed: FailedStep) -> None:
    """Write it down: `replay` computes it again. Raises FrcnnError."""
    make_folder(folder)
    tensors: dict[str, Tensor] = {}
    for number, (batch, proposals) in enumerate(zip(failed.pieces, failed.proposals, strict=True)):
        for place in range(len(batch.pixels)):
            tensors |= {f"{number}.{place}.{name}": value for name, value in _of_picture(batch, proposals, place)}
    with written_whole(folder / BATCH) as aside:
        try:
            save_file(tensors, aside, _metadata(failed))
        except SafetensorError as error:
            raise DiskError(f"{folder}: cannot be written ({error})") from error
    save_model(failed.model, folder / MODEL)


def read(folder: Path) -> FailedStep:
    """What was kept, of all processes together, and the weights whatever they are. Raises FrcnnError without."""
    folders = sorted(folder.glob(f"{OF_PROCESS}[0-9]*"), key=lambda each: int(each.name.removeprefix(OF_PROCESS)))
    if (folder / BATCH).is_file() or not folders:
        return _read(folder)
    parts = [_read(each) for each in folders]
    if len(parts) < parts[0].processes:
        raise FrcnnError(f"{folder}: lacks the parts of some of {parts[0].processes} processes: name {folders[0]}")
    return _together(parts)


def replay(folder: Path) -> NamedLosses:
    """The losses that a failed run spoke of, computed again as it did: the same bytes on the same machine.

    `folder` is the one that the run spoke of. Of several processes it holds a folder for each, and their losses
    together are the same but for rounding; those of one are its own share. Gradients can be computed from them.
    Raises FrcnnError where it holds none.
    """
    with torch.random.fork_rng(range(torch.cuda.device_count())):  # whoever looks has seeds of their own
        return losses_of(read(folder))


def losses_of(failed: FailedStep) -> NamedLosses:
    """The losses of a step, by their names."""
    stage, rule = stages_of(failed.config.train, 1)[failed.stage], failed.config.model.input
    train_only(failed.model, stage.trains, frozenset(n for n, v in failed.model.named_parameters() if v.requires_grad))
    set_modes(failed.model, stage.trains)
    model = failed.model.to(_device(failed.device)).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (not in torch's types)
    parts: list[NamedLosses] = []
    for batch, proposals in zip(failed.pieces, failed.proposals, strict=True):
        seeds = seeds_of(batch, failed.config.train.seed, failed.step)
        piece = make_piece(batch, model, rule, seeds, at_least_one, proposals)
        with autocast(_device(failed.device), failed.precision):
            losses = stage.losses_of(model, piece)
        parts.append(by_its_share(losses, batch))
    return dict(zip(parts[0], added_up(parts).unbind(), strict=True))


def _of_picture(batch: Batch, proposals: Proposals, place: int) -> list[tuple[str, Tensor]]:
    target = batch.targets[place]
    parts = {
        "pixels": batch.pixels[place],
        "boxes": target.boxes,
        "class_ids": target.class_ids,
        "ignored": target.ignored,
        "proposals": None if proposals is None else proposals[place],
    }
    return [(name, value.contiguous()) for name, value in parts.items() if value is not None]


def _metadata(failed: FailedStep) -> dict[str, str]:
    step = {
        "config": failed.config.model_dump(mode="json"),
        "precision": failed.precision,
        "stage": failed.stage,
        "step": failed.step,
        "parts": [_plain(batch.part) for batch in failed.pieces],
        "device": failed.device,
        "processes": failed.processes,
    }
    pictures = [[str(path) for path in batch.pictures] for batch in failed.pieces]
    return {"pictures": json.dumps(pictures), "message": failed.message, "step": json.dumps(step)}


def _plain(part: Part) -> dict[str, Any]:
    """Which pictures, and by which rule; their views have become pixels and boxes."""
    return {
        "numbers": [order.number for order in part.orders],
        "rule": None if part.rule is None else part.rule.model_dump(mode="json"),
        "canvas": part.canvas,
        "weight": part.weight,
        "batch_size": part.batch_size,
    }


def _read(folder: Path) -> FailedStep:
    """What one process has kept."""
    if not (folder / BATCH).is_file():
        raise FrcnnError(f"{folder}: holds no {BATCH}: name the folder that the failed run spoke of")
    file = read_safetensors(folder / BATCH)
    step, pictures = (json.loads(file.metadata[key]) for key in ("step", "pictures"))
    pieces, proposals = [], []
    for number, (part, paths) in enumerate(zip(step.pop("parts"), pictures, strict=True)):
        found = [_below(file.state, f"{number}.{place}.") for place in range(len(paths))]
        pieces.append(_batch(found, [Path(path) for path in paths], part))
        proposals.append([of_picture["proposals"] for of_picture in found] if "proposals" in found[0] else None)
    config = parse_config(step.pop("config"), str(folder / BATCH))
    model = load_as_it_is(folder / MODEL)
    synced(model)  # as in a run: torch's batch norm refuses a single feature
    return FailedStep(model, config, pieces=pieces, proposals=proposals, message=file.metadata["message"], **step)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What stands under the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _batch(found: Sequence[Mapping[str, Tensor]], pictures: list[Path], part: Mapping[str, Any]) -> Batch:
    return Batch(
        [_as_loaded(each["pixels"]) for each in found],
        [Target(each["boxes"], each["class_ids"], each.get("ignored")) for each in found],
        pictures,
        Part(
            [Order(number) for number in part["numbers"]],
            None if part["rule"] is None else InputConfig.model_validate(part["rule"]),
            (part["canvas"][0], part["canvas"][1]),
            part["weight"],
            part["batch_size"],
        ),
    )


def _as_loaded(pixels: UInt8[Tensor, "3 H W"]) -> UInt8[Tensor, "3 H W"]:
    """Channels last in memory, as batches come: sums may be of another order otherwise."""
    return pixels.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def _together(parts: Sequence[FailedStep]) -> FailedStep:
    """The step of all processes, each picture in its place; what only stood in for one is left out."""
    pieces, proposals = [], []
    for of_piece in zip(*(zip(part.pieces, part.proposals, strict=True) for part in parts), strict=True):
        real = [(batch, read) for batch, read in of_piece if batch.part.weight > 0]
        pieces.append(_dealt_back([batch for batch, _ in real]))
        proposals.append(None if real[0][1] is None else _by_turns([read or [] for _, read in real]))
    return replace(parts[0], pieces=pieces, proposals=proposals)


def _dealt_back(shares: Sequence[Batch]) -> Batch:
    """One piece, which was dealt out picture by picture."""
    return Batch(
        _by_turns([share.pixels for share in shares]),
        _by_turns([share.targets for share in shares]),
        _by_turns([share.pictures for share in shares]),
        replace(shares[0].part, orders=_by_turns([share.part.orders for share in shares])),
    )


def _by_turns(shares: Sequence[Sequence[Item]]) -> list[Item]:
    """The first of each, then the second of each."""
    return [share[turn] for turn in range(max(map(len, shares))) for share in shares if turn < len(share)]


def _device(name: str) -> torch.device:
    """The run's own, where there is such a one here."""
    return torch.device(name if name == "cpu" or torch.cuda.is_available() else "cpu")
