"""Better anchors for a data set: k-means proposes, the exact overlaps decide, small steps better what was proposed.

As many sizes and ratios as there were stay where they were, level by level: the network keeps its layers.

G objects of all views, V views, S sizes, R ratios.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, product
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from frcnn.config import AnchorConfig, ModelConfig
from frcnn.data.anchor_advice.kmeans import Shapes, cluster
from frcnn.data.anchor_advice.shares import EASY, GOOD, reached
from frcnn.data.anchor_advice.views import joined
from frcnn.data.learnt_objects import SeenObjects, box_sizes
from frcnn.model.best_overlaps import best_overlaps
from frcnn.model.level_grid import LevelGrid

STEPS = (1.3, 1.15, 1.07)
MANY = 100  # objects, from which on a class counts as much as any
PRICE = 2  # of a share that is lost, in shares that are won


class Measured(NamedTuple):
    """Some anchors, and how near they come to the objects."""

    anchors: AnchorConfig
    reached: Float[Tensor, "2 3"]  # the shares that reach each bound: in the first view, and in the mean of all
    lost: float  # of the shares that are to be kept
    worth: float


@dataclass(frozen=True)
class Problem:
    """The objects for which anchors are sought, the network that will have them, and what there is to keep."""

    views: tuple[SeenObjects, ...]  # as detection sees them; and as training does, where that is something else
    config: ModelConfig
    levels: Sequence[LevelGrid]
    kept: Float[Tensor, "2 3"] | None = None  # shares that must not fall; None: those of the anchors there are

    @cached_property
    def objects(self) -> SeenObjects:
        """Of all views."""
        return joined(self.views)

    @cached_property
    def weights(self) -> Float[Tensor, " G"]:
        """Classes count alike, as in the mean AP; those with few objects less, of which chance says more."""
        counts = self.objects.class_ids.bincount()[self.objects.class_ids]
        weights = 1 / counts.clamp(min=MANY)
        return weights / weights.sum()

    @cached_property
    def repeats(self) -> bool:
        """Has every level the same sizes?"""
        return len(set(self.config.anchors.sizes)) == 1

    @cached_property
    def strides(self) -> Float[Tensor, " S"]:
        """Of the level of each size: of the finest where all levels have the same sizes."""
        strides = torch.tensor([float(level.stride) for level in self.levels[: 1 if self.repeats else None]])
        return strides.repeat_interleave(len(self.config.anchors.sizes[0]))

    @cached_property
    def to_keep(self) -> Float[Tensor, "2 3"]:
        """The shares that must not fall."""
        return self.reached(self.overlaps(self.config.anchors)) if self.kept is None else self.kept

    @cached_property
    def overlaps_of_kind(self) -> Callable[[int, float, float], Float[Tensor, " G"]]:
        """The best IoU of each object with anchors of one level, size and ratio; remembered, as steps change few."""

        def overlaps(level: int, size: float, ratio: float) -> Float[Tensor, " G"]:
            anchors = self.config.anchors.model_copy(update={"sizes": ((size,),), "ratios": (ratio,)})
            config = self.config.model_copy(update={"anchors": anchors})
            return best_overlaps(self.objects.boxes, self.objects.sizes, [self.levels[level]], config)

        return cache(overlaps)

    def overlaps(self, anchors: AnchorConfig) -> Float[Tensor, " G"]:
        """The best IoU of each object, exactly."""
        kinds = [
            self.overlaps_of_kind(level, size, ratio)
            for level, of_level in enumerate(anchors.sizes)
            for size, ratio in product(of_level, anchors.ratios)
        ]
        return torch.stack(kinds).amax(dim=0)

    def reached(self, overlaps: Float[Tensor, " G"]) -> Float[Tensor, "2 3"]:
        """The shares of objects that reach each bound: in the first view, and in the mean of all."""
        parts = overlaps.split([len(view.boxes) for view in self.views])
        of_each = torch.stack([reached(part, self.config.rpn) for part in parts])
        return torch.stack((of_each[0], of_each.mean(dim=0)))

    def measured(self, anchors: AnchorConfig) -> Measured:
        """An object is worth its IoU, and as much as 1 again where it is reached easily, and well."""
        overlaps = self.overlaps(anchors)
        found = self.reached(overlaps)
        lost = float((self.to_keep - found).clamp(min=0).sum())
        worth = float((overlaps + (overlaps >= EASY).float() + (overlaps >= GOOD).float()) @ self.weights)
        return Measured(anchors, found, lost, worth)

    def shapes(self, anchors: AnchorConfig) -> Shapes:
        """Sizes that are the same on all levels stand here once."""
        sizes = anchors.sizes[:1] if self.repeats else anchors.sizes
        return Shapes(torch.tensor([size for of_level in sizes for size in of_level]), torch.tensor(anchors.ratios))

    def anchors(self, shapes: Shapes) -> AnchorConfig | None:
        """As people write them; None where sizes or ratios don't rise, or a size is below its level's stride."""
        sizes = [float(round(size)) for size in shapes.sizes.tolist()]
        ratios = tuple(float(f"{ratio:.2g}") for ratio in shapes.ratios.tolist())
        if not (_rises(sizes) and _rises(ratios)) or bool((torch.tensor(sizes) < self.strides).any()):
            return None
        count = len(self.config.anchors.sizes[0])
        of_levels = tuple(tuple(sizes[start : start + count]) for start in range(0, len(sizes), count))
        repeated = of_levels * (len(self.levels) if self.repeats else 1)
        return self.config.anchors.model_copy(update={"sizes": repeated, "ratios": ratios})


def best_anchors(problem: Problem) -> Measured:
    """The best that was found: what there is, where nothing is better."""
    starts = [problem.measured(anchors) for anchors in (problem.config.anchors, *_proposed(problem))]
    eased = [_bettered(problem, start, _with_a_price) for start in starts]
    return max((_bettered(problem, each, _without_loss) for each in (*starts, *eased)), key=_without_loss)


def _proposed(problem: Problem) -> Iterator[AnchorConfig]:
    """k-means from what there is, and from objects spread evenly over the order of their sizes and ratios.

    Its sizes also beside the ratios there are: those are known to suit what the border of a picture cuts.
    """
    boxes = problem.objects.boxes
    sides = boxes[:, 2:] - boxes[:, :2]
    own = problem.shapes(problem.config.anchors)
    even = Shapes(_spread(box_sizes(boxes), len(own.sizes)), _spread(sides[:, 1] / sides[:, 0], len(own.ratios)))
    for start in (own, even):
        found = cluster(sides, problem.weights, problem.strides, start)
        proposed = (problem.anchors(found), problem.anchors(Shapes(found.sizes, own.ratios)))
        yield from (anchors for anchors in proposed if anchors is not None)


def _bettered(problem: Problem, best: Measured, rank: Callable[[Measured], Any]) -> Measured:
    """Each size and ratio a little larger or smaller, as long as that makes anything better."""
    places = len(problem.strides) + len(best.anchors.ratios)
    for step in STEPS:
        before = None
        while best is not before:
            before = best
            for place, factor in product(range(places), (1 / step, step)):
                nudged = problem.anchors(_nudged(problem.shapes(best.anchors), place, factor))
                if nudged is not None:
                    best = max(best, problem.measured(nudged), key=rank)
    return best


def _with_a_price(found: Measured) -> float:
    """By this, a search gets past anchors from which every step loses something."""
    return found.worth - PRICE * found.lost


def _without_loss(found: Measured) -> tuple[float, float]:
    """By this, nothing may be lost; then what is worth most is best."""
    return -found.lost, found.worth


def _nudged(shapes: Shapes, place: int, factor: float) -> Shapes:
    """One of the sizes and ratios times a factor."""
    numbers = torch.cat(shapes)
    numbers[place] *= factor
    return Shapes(*numbers.split([len(shapes.sizes), len(shapes.ratios)]))


def _spread(values: Float[Tensor, " G"], count: int) -> Float[Tensor, " K"]:
    """The middle ones of so many parts with as many objects each."""
    ordered = values.sort().values
    return ordered[((torch.arange(count) + 0.5) / count * len(ordered)).long()]


def _rises(numbers: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(numbers))
