"""Which pictures each step takes, how it sees them, and which process loads them: a function of seed and epoch alone.

A step's batch is cut into pieces (gradients are accumulated over them), each piece is dealt out to the processes that
train together. So the same pictures make the same step, on however many processes.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from frcnn.config import InputConfig
from frcnn.data.augment import View, Window, draw_window
from frcnn.data.dataset import Dataset
from frcnn.data.pictures import REDUCTIONS
from frcnn.model.preprocess import at_scale, network_size


class Order(NamedTuple):
    """One picture to load: its number in the data set, and how it is seen."""

    number: int
    view: View = View()


@dataclass(frozen=True)
class Chances:
    """How often pictures are seen otherwise than they are: shares of all pictures of all epochs."""

    flip: float = 0.0
    crop: float = 0.0
    light: float = 0.0


@dataclass(frozen=True)
class Share:
    """One process, counted from 0, of those that train together."""

    number: int = 0
    of: int = 1


@dataclass(frozen=True)
class Part:
    """What one process loads, and computes at once."""

    orders: list[Order]
    rule: InputConfig | None = None  # by which the network sees these pictures
    canvas: tuple[int, int] = (0, 0)  # the (height, width) to which every process pads its part of the piece
    weight: float = 1.0  # the piece's share of its batch; 0 for a stand-in, where there are too few pictures for all
    batch_size: int = 1  # pictures of the whole batch


def number_of_batches(dataset: Dataset, batch_size: int, group_by_aspect: bool = False) -> int:
    """How many batches make an epoch."""
    return sum(-(-len(group) // batch_size) for group in _groups(dataset, group_by_aspect))


def training_order(
    dataset: Dataset, batch_size: int, seed: int, epoch: int, *, group_by_aspect: bool
) -> list[list[int]]:
    """Shuffled batches of shuffled pictures: the smaller batch left over in a group comes anywhere in the epoch."""
    chance = random.Random(f"order {seed} {epoch}")
    batches: list[list[int]] = []
    for group in _groups(dataset, group_by_aspect):
        chance.shuffle(group)
        batches += cut(group, batch_size)
    chance.shuffle(batches)
    return batches


def dealt(
    dataset: Dataset,
    orders: Sequence[Order],
    rule: InputConfig | None,
    share: Share,
    *,
    pieces: int,
    multiple: int = 1,
) -> list[Part]:
    """The parts of one batch that a process takes, one of each piece; a piece too small for all gives a stand-in.

    The sides of a canvas are multiples of `multiple`.
    """
    sizes = [_seen_size(dataset.examples[order.number].size, order.view) for order in orders]
    parts = []
    for piece in cut(range(len(orders)), piece_size(len(orders), pieces)):
        mine = [orders[i] for i in piece[share.number :: share.of]]
        canvas = (0, 0) if rule is None else _common_size([sizes[i] for i in piece], rule, multiple)
        weight = len(piece) / len(orders) if mine else 0.0
        parts.append(Part(mine or [orders[piece[0]]], rule, canvas, weight, len(orders)))
    return parts


def piece_size(pictures: int, pieces: int) -> int:
    """How many pictures of a batch pass through the network at once, through that of all processes together."""
    return -(-pictures // pieces)


def number_of_pieces(pictures: int, pieces: int) -> int:
    """Into how many pieces a batch is cut: fewer than asked for, where it has few pictures."""
    return -(-pictures // piece_size(pictures, pieces))


def ordered(
    dataset: Dataset, number: int, seed: int, epoch: int, chances: Chances, reduce_to: InputConfig | None
) -> Order:
    """How this picture is seen in this epoch; where it is far larger than `reduce_to` asks for, it is reduced."""
    example = dataset.examples[number]
    drawn = random.Random(f"view {seed} {epoch} {number}")
    is_cropped, is_lit = drawn.random() < chances.crop, drawn.random() < chances.light
    light = drawn.getrandbits(62) if is_lit else None
    window = draw_window(example.size, example.target.learnt().boxes.tolist(), drawn) if is_cropped else None
    size = example.size if window is None else window.size
    flipped = is_flipped(number, seed, epoch, chances.flip)
    return Order(number, View(flipped, reduction(size, reduce_to), window, light))


def is_flipped(number: int, seed: int, epoch: int, probability: float) -> bool:
    """Is this picture mirrored in this epoch?"""
    return random.Random(f"flip {seed} {epoch} {number}").random() < probability


def rule_of_step(
    rule: InputConfig | None, scales: Sequence[int], seed: int, epoch: int, step: int
) -> InputConfig | None:
    """The rule at one of the `scales`, drawn for the step of this number in its epoch; without scales as it is."""
    if rule is None or not scales:
        return rule
    return at_scale(rule, random.Random(f"scale {seed} {epoch} {step}").choice(list(scales)))


def reduction(size: tuple[int, int], rule: InputConfig | None) -> int:
    """The largest that leaves a picture of `size` no smaller than the network will see it; 1 where there is none."""
    if rule is None:
        return 1
    height, width = network_size(size, rule)
    fitting = (by for by in REDUCTIONS if size[0] >= by * height and size[1] >= by * width)
    return next(fitting, 1)


def cut(numbers: Sequence[int], size: int) -> list[list[int]]:
    """Pieces of `size`, the last one perhaps smaller."""
    return [list(numbers[i : i + size]) for i in range(0, len(numbers), size)]


def _seen_size(size: tuple[int, int], view: View) -> tuple[int, int]:
    """The (height, width) that is loaded."""
    window = view.window or Window(0, 0, *size)
    return window.reduced(view.reduction).size


def _common_size(sizes: Sequence[tuple[int, int]], rule: InputConfig, multiple: int) -> tuple[int, int]:
    """The largest sides of pictures as the network sees them, rounded up."""
    seen = [network_size(size, rule) for size in sizes]
    height, width = (-(-max(sides) // multiple) * multiple for sides in zip(*seen, strict=True))
    return height, width


def _groups(dataset: Dataset, by_aspect: bool) -> list[list[int]]:
    """Wide pictures and tall ones, since a batch is padded to its largest sides."""
    if not by_aspect:
        return [list(range(len(dataset)))]
    is_tall = dataset.sizes[:, 1] < dataset.sizes[:, 0]
    return [np.flatnonzero(~is_tall).tolist(), np.flatnonzero(is_tall).tolist()]
