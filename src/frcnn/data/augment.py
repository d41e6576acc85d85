"""Pictures seen otherwise than they are: a window of them, mirrored, in other light. Boxes go where their pixels go.

What is drawn is a function of seed, epoch and picture alone.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from frcnn.ops.boxes import clip, flip_horizontally, resize_boxes, smaller_side
from frcnn.structures import Target

LEAST_SIDE = 0.4  # of a window, as a share of the picture's; SSD begins at .3, for which our pictures are too few
TAKES_ALL = 1.0


class Window(NamedTuple):
    """A part of a picture, in its whole pixels."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.bottom - self.top, self.right - self.left

    def reduced(self, by: int) -> "Window":
        """The least window that holds it where the picture's sides are divided `by` a number, and rounded up."""
        return Window(self.top // by, self.left // by, -(-self.bottom // by), -(-self.right // by))


class View(NamedTuple):
    """How a picture is seen."""

    flipped: bool = False
    reduction: int = 1  # by what its sides are divided while it is decoded
    window: Window | None = None  # in pixels of the picture as it is; None: all of it
    light: int | None = None  # the seed of a change of colours; None: as they are

    def pixels(self, picture: UInt8[Tensor, "3 _ _"]) -> UInt8[Tensor, "3 _ _"]:
        """The decoded picture, whose sides are divided already, in this view."""
        if self.window is not None:
            top, left, bottom, right = self.window.reduced(self.reduction)
            picture = picture[:, top:bottom, left:right]
        if self.light is not None:
            picture = in_other_light(picture, self.light)
        return picture.flip(2) if self.flipped else picture

    def boxes(self, boxes: Float[Tensor, "G 4"], size: tuple[int, int]) -> Float[Tensor, "G 4"]:
        """The boxes of a picture of (height, width) `size` in this view of it, clipped to what is seen."""
        seen = size
        if self.reduction > 1:
            seen = (-(-size[0] // self.reduction), -(-size[1] // self.reduction))
            boxes = resize_boxes(boxes, size, seen)
        if self.window is not None:
            window = self.window.reduced(self.reduction)
            seen = window.size
            boxes = clip(boxes - boxes.new_tensor([window.left, window.top, window.left, window.top]), seen)
        return flip_horizontally(boxes, seen[1]) if self.flipped else boxes

    def target(self, target: Target, size: tuple[int, int]) -> Target:
        """The objects that are seen: those whose centre is in the window, and what is seen of those to be ignored."""
        boxes = self.boxes(target.boxes, size)
        if self.window is None:
            return Target(boxes, target.class_ids, target.ignored)
        keep = _has_its_centre_in(target.boxes, self.window)
        if target.ignored is None:
            return Target(boxes[keep], target.class_ids[keep])
        keep = torch.where(target.ignored, smaller_side(boxes) > 0, keep)
        return Target(boxes[keep], target.class_ids[keep], target.ignored[keep])


def draw_window(size: tuple[int, int], boxes: Sequence[Sequence[float]], chance: random.Random) -> Window:
    """A window of a picture of (height, width) `size` that holds one of its objects whole, if it has any.

    Each side is at least `LEAST_SIDE` of the picture's (SSD, Sec. 2.2, crops in this spirit).
    """
    box = chance.choice(boxes) if boxes else (0.0, 0.0, 0.0, 0.0)
    left, right = _draw_side(size[1], box[0], box[2], chance)
    top, bottom = _draw_side(size[0], box[1], box[3], chance)
    return Window(top, left, bottom, right)


def in_other_light(pixels: UInt8[Tensor, "3 H W"], seed: int) -> UInt8[Tensor, "3 H W"]:
    """Other brightness, contrast, saturation and hue, each half of the time (torchvision's, after SSD)."""
    from torchvision.transforms.v2 import RandomPhotometricDistort

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RandomPhotometricDistort()(pixels)


def _draw_side(side: int, low: float, high: float, chance: random.Random) -> tuple[int, int]:
    """Where a window begins and ends on one axis, such that it holds what reaches from `low` to `high`."""
    first, last = int(low), min(side, -int(-high // 1))
    length = max(round(side * chance.uniform(LEAST_SIDE, TAKES_ALL)), last - first, 1)
    start = (
        chance.randint(max(0, last - length), min(first, side - length))
        if last > first
        else chance.randint(0, side - length)
    )
    return start, start + length


def _has_its_centre_in(boxes: Float[Tensor, "G 4"], window: Window) -> Bool[Tensor, " G"]:
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    return (x > window.left) & (x < window.right) & (y > window.top) & (y < window.bottom)
