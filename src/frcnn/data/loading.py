"""From a data set to batches of pictures, loaded in worker processes. The same batches for the same seed and epoch.

H, W = height and width of a picture.
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.utils.data import Dataset as Map

from frcnn.config import InputConfig
from frcnn.data.dataset import Dataset
from frcnn.data.loading_processes import in_processes
from frcnn.data.order import (
    Chances,
    Order,
    Part,
    Share,
    cut,
    dealt,
    number_of_pieces,
    ordered,
    rule_of_step,
    training_order,
)
from frcnn.data.pictures import as_floats, read_picture, read_reduced_picture, to_bytes
from frcnn.errors import DataError, FrcnnError
from frcnn.structures import Target

ALONE = Share()

Loaded = list[UInt8[Tensor, "3 _ _"]] | str  # the pictures of one batch, or why they cannot be loaded


@dataclass
class Batch:
    """Pictures of any sizes, what is in them (in the pixels of `images`), and where they come from."""

    pixels: list[UInt8[Tensor, "3 _ _"]]
    targets: list[Target]
    pictures: list[Path]
    part: Part  # which of the data set's pictures they are, and how they are to be seen

    @property
    def images(self) -> list[Float[Tensor, "3 _ _"]]:
        """The pictures as the model takes them, on the processor."""
        return self.images_on(torch.device("cpu"))

    def images_on(self, device: torch.device) -> list[Float[Tensor, "3 _ _"]]:
        """The pictures as the model takes them. Bytes travel: a quarter of what floats are; to CUDA without waiting."""
        if device.type == "cuda":
            return [as_floats(pixels.pin_memory().to(device, non_blocking=True)) for pixels in self.pixels]
        return [as_floats(pixels.to(device)) for pixels in self.pixels]


def steps(
    dataset: Dataset,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    chances: Chances,
    group_by_aspect: bool,
    workers: int,
    ignore_regions: bool,
    skip: int = 0,
    seen_by: InputConfig | None = None,
    reduce: bool = False,
    scales: Sequence[int] = (),
    share: Share = ALONE,
    pieces: int = 1,
    pad_to_multiple: int = 1,
) -> Generator[list[Batch], None, None]:
    """One epoch of training, each picture once: a function of seed and epoch alone, whatever the number of workers.

    A step is the pieces of a batch, of which a process gets its `share`. Starts with the step numbered `skip`, without
    loading those before it. Objects to be ignored are left out of the targets unless `ignore_regions`. `seen_by` is
    how the network will see the pictures, `scales` other short sides for it, one drawn for each step; with `reduce`
    pictures at least twice as large are reduced while they are decoded, which is most of the work on large photos;
    a batch's sides are padded to `pad_to_multiple`. Raises DataError naming the picture that cannot be read.
    """
    numbers = training_order(dataset, batch_size, seed, epoch, group_by_aspect=group_by_aspect)

    def planned() -> Iterator[Part]:
        for number, batch in enumerate(numbers[skip:], start=skip):
            rule = rule_of_step(seen_by, scales, seed, epoch, number)
            orders = [ordered(dataset, i, seed, epoch, chances, rule if reduce else None) for i in batch]
            yield from dealt(dataset, orders, rule, share, pieces=pieces, multiple=pad_to_multiple)

    loaded = _loaded(dataset, planned(), len(numbers) - skip, workers, whole_targets=ignore_regions)
    try:
        for batch in numbers[skip:]:
            yield [next(loaded) for _ in range(number_of_pieces(len(batch), pieces))]
    finally:
        loaded.close()


def batches(
    dataset: Dataset, batch_size: int, flip: float = 0.0, reduce_to: InputConfig | None = None, **options: Any
) -> Iterator[Batch]:
    """`steps` of one process, whose batches are not cut into pieces; pictures larger than `reduce_to` are reduced."""
    views = {"chances": Chances(flip), "seen_by": reduce_to, "reduce": reduce_to is not None}
    for step in steps(dataset, batch_size, **(views | options)):
        yield from step


def evaluation_batches(dataset: Dataset, batch_size: int, workers: int = 0) -> Generator[Batch, None, None]:
    """Every picture once, in the data set's order, as it is, with all its objects. Raises DataError."""
    numbers = cut(range(len(dataset)), batch_size)
    parts = (Part([Order(i) for i in batch]) for batch in numbers)
    return _loaded(dataset, parts, len(numbers), workers, whole_targets=True)


def _loaded(
    dataset: Dataset, parts: Iterator[Part], count: int, workers: int, *, whole_targets: bool
) -> Generator[Batch, None, None]:
    """The parts' pictures and objects. Parts are planned as the processes ask for them, `count` at the least."""
    under_way: deque[Part] = deque()

    def asked_for() -> Iterator[list[Order]]:
        for part in parts:
            under_way.append(part)
            yield part.orders

    loading = in_processes(_Pictures(dataset), asked_for(), min(workers, count))
    try:
        for images in loading:
            part = under_way.popleft()
            if isinstance(images, str):
                raise DataError(images)
            examples = [dataset.examples[order.number] for order in part.orders]
            yield Batch(
                images,
                [
                    order.view.target(example.target if whole_targets else example.target.learnt(), example.size)
                    for example, order in zip(examples, part.orders, strict=True)
                ],
                [example.picture for example in examples],
                part,
            )
    finally:
        loading.close()


class _Pictures(Map[Loaded]):
    """What a loading process holds: an index that all share; an error is a value, since processes lose its words."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, orders: list[Order]) -> Loaded:
        pixels: list[UInt8[Tensor, "3 _ _"]] = []
        for order in orders:
            try:
                pixels.append(self._load(order))
            except FrcnnError as error:
                return str(error)
            except Exception as error:  # whatever it is: it happened on this picture
                reason = " ".join((f"{type(error).__name__}:", *str(error).split())).removesuffix(":")
                return f"{self.dataset.picture(order.number)}: cannot be loaded ({reason})"
        return pixels

    def _load(self, order: Order) -> UInt8[Tensor, "3 H W"]:
        path, reduction = self.dataset.picture(order.number), order.view.reduction
        picture = read_picture(path) if reduction == 1 else read_reduced_picture(path, reduction)
        self._check_size(path, picture.size, order)
        pixels = order.view.pixels(to_bytes(picture)).permute(1, 2, 0).contiguous()  # bytes cross processes faster
        return pixels.permute(2, 0, 1)  # (3, H, W), and channels last on the way

    def _check_size(self, path: Path, found: tuple[int, int], order: Order) -> None:
        """Boxes of another size of picture would lie elsewhere. Raises DataError."""
        height, width = (-(-int(side) // order.view.reduction) for side in self.dataset.sizes[order.number])
        if found != (width, height):
            said = "x".join(str(side) for side in reversed(self.dataset.sizes[order.number].tolist()))
            raise DataError(
                f"{path}: its annotation is of a picture of {said} pixels, but it is another: frcnn data check tells "
                "such pictures"
            )
