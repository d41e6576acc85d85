"""From a data set to batches of pictures, loaded in worker processes. The same batches for the same seed and epoch.

H, W = height and width of a picture.
"""

import random
import signal
import sys
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Map

from frcnn.data.dataset import Dataset, Example
from frcnn.data.pictures import as_floats, read_picture, to_bytes
from frcnn.errors import DataError, FrcnnError
from frcnn.ops.boxes import flip_horizontally
from frcnn.structures import Target

PREFETCH = 2  # batches that each worker keeps ready: what bounds their memory
# Forking starts at once, and needs no guard in a user's script; elsewhere it is unsafe (macOS) or absent (Windows).
_START_METHOD = "fork" if sys.platform == "linux" else "spawn"

Loaded = list[UInt8[Tensor, "3 _ _"]] | str  # the pictures of one batch, or why they cannot be loaded


@dataclass
class Batch:
    """Pictures of any sizes, what is in them, and where they come from."""

    images: list[Float[Tensor, "3 _ _"]]
    targets: list[Target]
    pictures: list[Path]


class Order(NamedTuple):
    """One picture to load: its number in the data set, and is it mirrored?"""

    number: int
    flipped: bool


def batches(
    dataset: Dataset,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    flip: float,
    group_by_aspect: bool,
    workers: int,
    ignore_regions: bool,
    skip: int = 0,
) -> Iterator[Batch]:
    """One epoch of training, each picture once: a function of seed and epoch alone, whatever the number of workers.

    Starts with the batch numbered `skip`, without loading those before it. Objects to be ignored are left out of the
    targets unless `ignore_regions`. Raises DataError naming the picture that cannot be read.
    """
    numbers = _training_order(dataset, batch_size, seed, epoch, group_by_aspect=group_by_aspect)
    orders = [[Order(i, _is_flipped(i, seed, epoch, flip)) for i in batch] for batch in numbers[skip:]]
    return _loaded(dataset, orders, workers, whole_targets=ignore_regions)


def evaluation_batches(dataset: Dataset, batch_size: int, workers: int = 0) -> Iterator[Batch]:
    """Every picture once, in the data set's order, as it is, with all its objects. Raises DataError."""
    numbers = range(len(dataset))
    orders = [[Order(i, False) for i in batch] for batch in _cut(numbers, batch_size)]
    return _loaded(dataset, orders, workers, whole_targets=True)


def number_of_batches(dataset: Dataset, batch_size: int, group_by_aspect: bool = False) -> int:
    """How many batches make an epoch."""
    return sum(-(-len(group) // batch_size) for group in _groups(dataset, group_by_aspect))


def _training_order(
    dataset: Dataset, batch_size: int, seed: int, epoch: int, *, group_by_aspect: bool
) -> list[list[int]]:
    """Shuffled batches of shuffled pictures: the smaller batch left over in a group comes anywhere in the epoch."""
    chance = random.Random(f"order {seed} {epoch}")
    cut: list[list[int]] = []
    for group in _groups(dataset, group_by_aspect):
        chance.shuffle(group)
        cut += _cut(group, batch_size)
    chance.shuffle(cut)
    return cut


def _groups(dataset: Dataset, by_aspect: bool) -> list[list[int]]:
    """Wide pictures and tall ones, since a batch is padded to its largest sides."""
    sizes = [example.size for example in dataset.examples]
    if not by_aspect:
        return [list(range(len(sizes)))]
    wide = [i for i, (height, width) in enumerate(sizes) if width >= height]
    tall = [i for i, (height, width) in enumerate(sizes) if width < height]
    return [wide, tall]


def _cut(numbers: Sequence[int], batch_size: int) -> list[list[int]]:
    return [list(numbers[i : i + batch_size]) for i in range(0, len(numbers), batch_size)]


def _is_flipped(number: int, seed: int, epoch: int, probability: float) -> bool:
    return random.Random(f"flip {seed} {epoch} {number}").random() < probability


def _loaded(dataset: Dataset, orders: list[list[Order]], workers: int, *, whole_targets: bool) -> Iterator[Batch]:
    pictures = [example.picture for example in dataset.examples]
    loading = _in_processes(pictures, orders, workers)
    try:
        for order, images in zip(orders, loading, strict=True):
            if isinstance(images, str):
                raise DataError(images)
            examples = [dataset.examples[number] for number, _ in order]
            yield Batch(
                [as_floats(pixels) for pixels in images],
                [
                    _target(example, pixels.shape[2], flipped, whole=whole_targets)
                    for example, pixels, (_, flipped) in zip(examples, images, order, strict=True)
                ],
                [example.picture for example in examples],
            )
    finally:
        loading.close()


def _target(example: Example, width: int, flipped: bool, *, whole: bool) -> Target:
    target = example.target if whole else example.target.learnt()
    return Target(flip_horizontally(target.boxes, width), target.class_ids, target.ignored) if flipped else target


class _Pictures(Map[Loaded]):
    """What a loading process holds: no tensors, and an error is a value, since processes lose exceptions' words."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __getitem__(self, orders: list[Order]) -> Loaded:
        try:
            return [self._load(order) for order in orders]
        except FrcnnError as error:
            return str(error)

    def _load(self, order: Order) -> UInt8[Tensor, "3 H W"]:
        pixels = to_bytes(read_picture(self.paths[order.number]))  # bytes cross processes four times as fast
        return pixels.flip(2) if order.flipped else pixels


def _in_processes(pictures: list[Path], orders: list[list[Order]], workers: int) -> Generator[Loaded, None, None]:
    """The pictures of each batch, in order; the processes end with this generator, however it ends."""
    running = _started(pictures, orders, min(workers, len(orders)))
    try:
        yield from running
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        hint = "out of memory or shared memory? Lower data.workers or the batch size"
        raise FrcnnError(f"a process that loads pictures ended unexpectedly ({hint})") from error
    finally:
        del running  # ends the processes


def _started(pictures: list[Path], orders: list[list[Order]], workers: int) -> Iterator[Loaded]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # more workers than cores, and a fork beside threads: both are meant
        loader = DataLoader(
            _Pictures(pictures),
            batch_size=None,
            sampler=orders,
            num_workers=workers,
            prefetch_factor=PREFETCH if workers else None,
            collate_fn=_as_it_is,
            worker_init_fn=_ignore_interrupts,
            multiprocessing_context=_START_METHOD if workers else None,
            generator=torch.Generator(),  # it draws a seed: not from the generator that training draws from
        )
        return iter(loader)


def _as_it_is(loaded: Loaded) -> Loaded:
    return loaded


def _ignore_interrupts(_: int) -> None:
    """Ctrl-C is for the parent, which then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
