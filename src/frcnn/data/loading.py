"""Batches: which pictures, in which order, flipped or not; read by worker processes.

The order is a function of seed and epoch, a flip of seed, epoch and picture: never of a worker or of the clock.
"""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from frcnn.data.dataset import Dataset, Example
from frcnn.data.pictures import read_picture, to_tensor
from frcnn.errors import DataError
from frcnn.ops.boxes import flip_horizontally
from frcnn.structures import Target


@dataclass(frozen=True)
class Batch:
    """Pictures as the model takes them, their objects, and where they came from."""

    images: list[Tensor]  # (3, H, W) each, float32 in [0, 1]
    targets: list[Target]
    pictures: list[Path]


@dataclass(frozen=True)
class _Wanted:
    """One picture to be read: its number in the data set, mirrored or not."""

    number: int
    flipped: bool


def batches(
    dataset: Dataset,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    flip: float = 0.5,
    group_by_aspect: bool = True,
    workers: int = 0,
    ignore_regions: bool = False,
    skip: int = 0,
) -> Iterator[Batch]:
    """One epoch of training: every picture once, in an order drawn from (seed, epoch); `skip` leaves out the first.

    Ignored objects are removed unless `ignore_regions`. Raises DataError naming a picture that cannot be read.
    """
    order = training_order(dataset, batch_size, seed=seed, epoch=epoch, group_by_aspect=group_by_aspect)
    flips = _draw(len(dataset), seed, epoch, stream=1) < flip
    wanted = [[_Wanted(number, bool(flips[number])) for number in batch] for batch in order[skip:]]
    return _load(dataset, wanted, workers, keep_ignored=ignore_regions)


def evaluation_batches(dataset: Dataset, batch_size: int, workers: int = 0) -> Iterator[Batch]:
    """Every picture in the data set's order, as it is, with all its objects."""
    numbers = range(len(dataset))
    wanted = [
        [_Wanted(number, flipped=False) for number in numbers[start : start + batch_size]]
        for start in range(0, len(dataset), batch_size)
    ]
    return _load(dataset, wanted, workers, keep_ignored=True)


def number_of_batches(dataset: Dataset, batch_size: int, *, group_by_aspect: bool = True) -> int:
    """How many batches one epoch of training has."""
    return len(training_order(dataset, batch_size, seed=0, epoch=0, group_by_aspect=group_by_aspect))


def training_order(
    dataset: Dataset, batch_size: int, *, seed: int, epoch: int, group_by_aspect: bool
) -> list[list[int]]:
    """Batches of picture numbers. Wide pictures go with wide ones, tall with tall, so that less is padded."""
    order = _draw(len(dataset), seed, epoch, stream=0).argsort().tolist()
    wide = [n for n in order if not group_by_aspect or _is_wide(dataset.examples[n])]
    tall = [n for n in order if group_by_aspect and not _is_wide(dataset.examples[n])]
    groups = [g[start : start + batch_size] for g in (wide, tall) for start in range(0, len(g), batch_size)]
    place = _draw(len(groups), seed, epoch, stream=2).argsort().tolist()
    return [groups[number] for number in place]


def _is_wide(example: Example) -> bool:
    return example.size[1] >= example.size[0]


def _draw(count: int, seed: int, epoch: int, stream: int) -> Tensor:
    """Uniform numbers that depend on nothing but the arguments."""
    mixed = (seed * 1_000_003 + epoch) * 8 + stream
    return torch.rand(count, generator=torch.Generator().manual_seed(mixed % 2**63), dtype=torch.float64)


class _Pictures(TorchDataset):
    """What a worker does: read one picture and its objects. An error is handed over, to be raised once, outside."""

    def __init__(self, examples: Sequence[Example], keep_ignored: bool) -> None:
        self.examples, self.keep_ignored = examples, keep_ignored

    def __getitem__(self, wanted: _Wanted) -> tuple[Tensor, Target, Path] | DataError:
        example = self.examples[wanted.number]
        try:
            image = to_tensor(read_picture(example.picture))
        except DataError as error:
            return error
        if tuple(image.shape[1:]) != example.size:
            (height, width), (real_height, real_width) = example.size, image.shape[1:]
            return DataError(
                f"{example.annotation}: says the picture is {width} x {height}, but {example.picture.name} "
                f"is {real_width} x {real_height}: mend the one or the other"
            )
        target = example.target if self.keep_ignored else example.target.learnt()
        if wanted.flipped:
            boxes = flip_horizontally(target.boxes, image.shape[2])
            image, target = image.flip(2), Target(boxes, target.class_ids, target.ignored)
        return image, target, example.picture


def _load(dataset: Dataset, wanted: list[list[_Wanted]], workers: int, *, keep_ignored: bool) -> Iterator[Batch]:
    loader = DataLoader(
        _Pictures(dataset.examples, keep_ignored),
        batch_sampler=wanted,  # pyright: ignore[reportArgumentType]  (any iterable of batches of keys will do)
        num_workers=min(workers, len(wanted)),
        collate_fn=_collate,
        worker_init_fn=_leave_interrupts_to_the_parent,
    )
    for loaded in loader:
        if isinstance(loaded, DataError):
            raise loaded
        yield loaded


def _collate(loaded: Sequence[tuple[Tensor, Target, Path] | DataError]) -> Batch | DataError:
    read = [item for item in loaded if not isinstance(item, DataError)]
    for item in loaded:
        if isinstance(item, DataError):
            return item
    images, targets, pictures = zip(*read, strict=True)
    return Batch(list(images), list(targets), list(pictures))


def _leave_interrupts_to_the_parent(_: int) -> None:
    """Ctrl-C reaches the whole group of processes; only the one that trains decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
