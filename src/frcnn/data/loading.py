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

from frcnn.config import InputConfig
from frcnn.data.dataset import Dataset, Example
from frcnn.data.pictures import REDUCTIONS, as_floats, read_picture, read_reduced_picture, to_bytes
from frcnn.errors import DataError, FrcnnError
from frcnn.model.preprocess import network_size
from frcnn.ops.boxes import flip_horizontally, scale_boxes
from frcnn.structures import Target

PREFETCH = 2  # batches that each worker keeps ready: what bounds their memory
# Forking starts at once, and needs no guard in a user's script; elsewhere it is unsafe (macOS) or absent (Windows).
_START_METHOD = "fork" if sys.platform == "linux" else "spawn"

Loaded = list[UInt8[Tensor, "3 _ _"]] | str  # the pictures of one batch, or why they cannot be loaded


@dataclass
class Batch:
    """Pictures of any sizes, what is in them (in the pixels of `images`), and where they come from."""

    pixels: list[UInt8[Tensor, "3 _ _"]]
    targets: list[Target]
    pictures: list[Path]

    @property
    def images(self) -> list[Float[Tensor, "3 _ _"]]:
        """The pictures as the model takes them, on the processor."""
        return self.images_on(torch.device("cpu"))

    def images_on(self, device: torch.device) -> list[Float[Tensor, "3 _ _"]]:
        """The pictures as the model takes them. Bytes travel: a quarter of what floats are; to CUDA without waiting."""
        if device.type == "cuda":
            return [as_floats(pixels.pin_memory().to(device, non_blocking=True)) for pixels in self.pixels]
        return [as_floats(pixels.to(device)) for pixels in self.pixels]


class Order(NamedTuple):
    """One picture to load: its number in the data set, is it mirrored, and by what are its sides divided?"""

    number: int
    flipped: bool
    reduction: int = 1


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
    reduce_to: InputConfig | None = None,
) -> Iterator[Batch]:
    """One epoch of training, each picture once: a function of seed and epoch alone, whatever the number of workers.

    Starts with the batch numbered `skip`, without loading those before it. Objects to be ignored are left out of the
    targets unless `ignore_regions`. Pictures at least twice as large as the network will see them by the rule
    `reduce_to` are reduced while they are decoded, which is most of the work on large photos; None leaves all as they
    are. Raises DataError naming the picture that cannot be read.
    """
    numbers = _training_order(dataset, batch_size, seed, epoch, group_by_aspect=group_by_aspect)
    reductions = [_reduction(example.size, reduce_to) for example in dataset.examples]
    orders = [[Order(i, _is_flipped(i, seed, epoch, flip), reductions[i]) for i in batch] for batch in numbers[skip:]]
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


def _reduction(size: tuple[int, int], rule: InputConfig | None) -> int:
    """The largest that leaves a picture of `size` no smaller than the network will see it; 1 where there is none."""
    if rule is None:
        return 1
    height, width = network_size(size, rule)
    fitting = (by for by in REDUCTIONS if size[0] >= by * height and size[1] >= by * width)
    return next(fitting, 1)


def _loaded(dataset: Dataset, orders: list[list[Order]], workers: int, *, whole_targets: bool) -> Iterator[Batch]:
    pictures = [example.picture for example in dataset.examples]
    loading = _in_processes(pictures, orders, workers)
    try:
        for order, images in zip(orders, loading, strict=True):
            if isinstance(images, str):
                raise DataError(images)
            examples = [dataset.examples[number] for number, _, _ in order]
            yield Batch(
                images,
                [
                    _target(example, (pixels.shape[1], pixels.shape[2]), one, whole=whole_targets)
                    for example, pixels, one in zip(examples, images, order, strict=True)
                ],
                [example.picture for example in examples],
            )
    finally:
        loading.close()


def _target(example: Example, size: tuple[int, int], order: Order, *, whole: bool) -> Target:
    """The objects in the pixels of the picture that was loaded, of (height, width) `size`."""
    target = example.target if whole else example.target.learnt()
    boxes = target.boxes
    if order.reduction > 1:
        boxes = _scaled(boxes, example.size, size)
    if order.flipped:
        boxes = flip_horizontally(boxes, size[1])
    return Target(boxes, target.class_ids, target.ignored)


def _scaled(boxes: Float[Tensor, "G 4"], size: tuple[int, int], new_size: tuple[int, int]) -> Float[Tensor, "G 4"]:
    """By the exact ratio of each axis: sides are rounded up, and a box that ends with its picture must still do so."""
    exact = boxes.double()  # in float32, 4001 * (2001 / 4001) is 2001.0001: outside the picture
    return scale_boxes(exact, (new_size[0] / size[0], new_size[1] / size[1])).float()


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
        path = self.paths[order.number]
        picture = read_picture(path) if order.reduction == 1 else read_reduced_picture(path, order.reduction)
        pixels = to_bytes(picture)  # bytes cross processes four times as fast
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
