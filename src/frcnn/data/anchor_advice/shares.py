"""Which share of the objects do anchors reach: of all, by size, by class?

G objects.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from frcnn.config import RPNConfig
from frcnn.data.anchor_fit import AnchorFit
from frcnn.data.coco import SIZES
from frcnn.data.dataset import Dataset
from frcnn.data.learnt_objects import LearntObjects, box_sizes

EASY, GOOD = 0.5, 0.7  # IoU: from .5 on a box is regressed easily, from .7 on an anchor is positive
NAMED_PICTURES = 3


class Group(NamedTuple):
    """Some of the objects; their sizes are medians."""

    kind: str  # all, size or class
    name: str
    objects: int
    size: float  # in pixels of the pictures
    size_seen: float  # in network pixels
    reached: tuple[float, float, float]  # shares, at each bound


class Unreached(NamedTuple):
    """The objects of one class with which no anchor reaches the IoU below which it is negative."""

    class_name: str
    unreached: int
    objects: int  # all of the class
    pictures: tuple[str, ...]  # where some of them are


def bounds(rpn: RPNConfig) -> tuple[float, float, float]:
    """IoU: below the first an anchor is negative, from the second on it is easily regressed, from the third good."""
    return rpn.negative_below, EASY, GOOD


def reached(overlaps: Float[Tensor, " G"], rpn: RPNConfig) -> Float[Tensor, "3"]:
    """The shares of objects whose best anchor reaches each bound; 0 where there are no objects."""
    reaching = overlaps[:, None] >= overlaps.new_tensor(bounds(rpn))
    return reaching.double().sum(dim=0) / max(len(overlaps), 1)


def groups(objects: LearntObjects, fit: AnchorFit) -> list[Group]:
    """All objects, those of each of COCO's sizes in the pictures, those of each class: where there are any."""
    sizes, everything = box_sizes(objects.boxes), torch.ones(len(objects), dtype=torch.bool)
    parts = [("all", "all", everything)]
    parts += [("size", name, (sizes >= low) & (sizes < high)) for name, (low, high) in SIZES.items()]
    parts += [("class", name, objects.class_ids == number) for number, name in enumerate(objects.class_names)]
    return [_group(kind, name, sizes, fit, which) for kind, name, which in parts if which.any()]


def unreached(dataset: Dataset, objects: LearntObjects, fit: AnchorFit) -> list[Unreached]:
    """The classes that have such objects, those with most of them first."""
    hardly, found = fit.unmatched | fit.weak, []
    for name, count in fit.by_class(hardly).items():
        of_class = fit.class_ids == fit.class_names.index(name)
        pictures = objects.pictures[hardly & of_class].unique()[:NAMED_PICTURES].tolist()
        names = tuple(dataset.picture(number).name for number in pictures)
        found.append(Unreached(name, count, int(of_class.sum()), names))
    return found


def _group(kind: str, name: str, sizes: Float[Tensor, " G"], fit: AnchorFit, which: Bool[Tensor, " G"]) -> Group:
    low, easy, good = reached(fit.overlaps[which], fit.config.rpn).tolist()
    seen = float(box_sizes(fit.boxes[which]).median())
    return Group(kind, name, int(which.sum()), float(sizes[which].median()), seen, (low, easy, good))
