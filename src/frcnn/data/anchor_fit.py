"""How well can the anchors of a configuration answer for the objects of a data set? Found out before training."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from frcnn.config import Config, ModelConfig
from frcnn.data.dataset import Dataset
from frcnn.data.learnt_objects import LearntObjects, box_sizes, learnt_objects
from frcnn.model.best_overlaps import best_overlaps
from frcnn.model.level_grid import LevelGrid, level_grids
from frcnn.model.preprocess import at_scale

WORTH_A_LINE = 0.05  # the share of weakly overlapped objects from which there is one
NAMED_CLASSES = 5  # in one line


@dataclass(frozen=True)
class AnchorFit:
    """The largest IoU of each object that is learnt with any anchor that trains, and what follows (Sec. 3.1.2)."""

    overlaps: Float[Tensor, " G"]
    boxes: Float[Tensor, "G 4"]  # in network pixels
    class_ids: Int[Tensor, " G"]
    class_names: tuple[str, ...]
    config: ModelConfig = field(repr=False)
    scales: tuple[int, ...] = ()  # short sides, of which each object is seen at the one that suits it best
    crops: bool = False  # are pictures also seen through windows? These are not counted

    def __len__(self) -> int:
        return len(self.overlaps)

    @property
    def unmatched(self) -> Bool[Tensor, " G"]:
        """Objects that no anchor overlaps: the RPN learns nothing of them."""
        return self.overlaps == 0

    @property
    def weak(self) -> Bool[Tensor, " G"]:
        """Objects that anchors overlap, but none by `rpn.negative_below`: by rule (i) the best of them answers."""
        return ~self.unmatched & (self.overlaps < self.config.rpn.negative_below)

    def share_reaching(self, overlap: float) -> float:
        """The share of objects that some anchor overlaps by this IoU at least; 1 where there are no objects."""
        return float((self.overlaps >= overlap).double().mean()) if len(self) else 1.0

    def by_class(self, chosen: Bool[Tensor, " G"]) -> dict[str, int]:
        """How many of the chosen objects are of each class that has any, most first."""
        counts = self.class_ids[chosen].bincount(minlength=len(self.class_names)).tolist()
        found = [(name, count) for name, count in zip(self.class_names, counts, strict=True) if count]
        return dict(sorted(found, key=lambda item: -item[1]))

    def describe(self) -> list[str]:
        """What to read before training, a line each: none where all is well."""
        unmatched, weak, lines = int(self.unmatched.sum()), int(self.weak.sum()), []
        of_all = f"of {len(self):,} objects"
        if unmatched:
            lines.append(
                f"no anchor that trains overlaps {unmatched:,} {of_all}{self._where()}, so the RPN "
                f"{self._what_is_learnt()} ({self._named(self.unmatched)}): "
                f"{self._what_would_reach_them()}"
            )
        if weak and self._is_worth_a_line(self.weak):
            lines.append(
                f"no anchor overlaps {weak:,} {of_all} by {self.config.rpn.negative_below:g} or more{self._where()}, "
                f"so only the nearest answers for each ({self._named(self.weak)}): {self._what_would_fit_them()}"
            )
        return lines

    def _is_worth_a_line(self, chosen: Bool[Tensor, " G"]) -> bool:
        """Are they a good part of all objects, or most of some class?"""
        everything = self.by_class(torch.ones_like(chosen))
        most_of_a_class = any(2 * count > everything[name] for name, count in self.by_class(chosen).items())
        return most_of_a_class or int(chosen.sum()) >= WORTH_A_LINE * len(self)

    def _named(self, chosen: Bool[Tensor, " G"]) -> str:
        """The classes with most of them, and how many are of others."""
        everything, counts = self.by_class(torch.ones_like(chosen)), self.by_class(chosen)
        named = [f"{name} {count:,} of {everything[name]:,}" for name, count in counts.items()]
        others = sum(list(counts.values())[NAMED_CLASSES:])
        return ", ".join(named[:NAMED_CLASSES] + ([f"{others:,} of other classes"] if others else []))

    def _where(self) -> str:
        """What was counted, where training sees more than one size of each picture."""
        sides = ", ".join(map(str, self.scales))
        sizes = f" at any of the short sides {sides}" if self.scales else ""
        return f"{sizes}{' in whole pictures' if self.crops else ''}"

    def _what_is_learnt(self) -> str:
        only = "can learn to propose them only from the windows of data.crop"
        return only if self.crops else "cannot learn to propose them"

    def _size_setting(self) -> str:
        return "data.scales" if self.scales else "model.input.short_side"

    def _what_would_reach_them(self) -> str:
        if self.config.rpn.cross_border_anchors:  # then anchors are everywhere, if they are not small for their stride
            return f"larger model.anchors.sizes or larger {self._size_setting()} would close the gaps between anchors"
        return "smaller model.anchors.sizes or model.rpn.cross_border_anchors=true would bring anchors to the border"

    def _what_would_fit_them(self) -> str:
        """By what most of the weakly overlapped are: smaller than all anchors, larger, or of another shape or place."""
        middle = float(box_sizes(self.boxes[self.weak]).median())
        sizes = [size for of_level in self.config.anchors.sizes for size in of_level]
        if middle < min(sizes):
            return (
                f"half of them are below {middle:.0f} px in the network's input, and model.anchors.sizes begin at "
                f"{min(sizes):g}; smaller ones or larger {self._size_setting()} would fit them better"
            )
        if middle > max(sizes):
            return (
                f"half of them are above {middle:.0f} px in the network's input, and model.anchors.sizes end at "
                f"{max(sizes):g}; larger ones or smaller {self._size_setting()} would fit them better"
            )
        border = "" if self.config.rpn.cross_border_anchors else ", or model.rpn.cross_border_anchors=true,"
        return f"more model.anchors.sizes or other model.anchors.ratios{border} would fit them better"


def anchor_fit(dataset: Dataset, config: ModelConfig) -> AnchorFit:
    """The fit of all objects of a data set that are learnt. Raises ConfigError where rooms do not fit each other."""
    return fit_of(learnt_objects(dataset), config, level_grids(config))


def fit_in_training(dataset: Dataset, config: Config) -> AnchorFit:
    """The same at the sizes that training draws: of each object at the one that suits it best. Raises ConfigError."""
    objects, levels, scales = learnt_objects(dataset), level_grids(config.model), config.data.scales
    rules = [at_scale(config.model.input, side) for side in scales] or [config.model.input]
    fits = [fit_of(objects, config.model.model_copy(update={"input": rule}), levels) for rule in rules]
    overlaps, best = torch.stack([fit.overlaps for fit in fits]).max(dim=0)
    boxes = torch.stack([fit.boxes for fit in fits])[best, torch.arange(len(best))]
    return replace(
        fits[0], overlaps=overlaps, boxes=boxes, config=config.model, scales=scales, crops=config.data.crop > 0
    )


def fit_of(objects: LearntObjects, config: ModelConfig, levels: Sequence[LevelGrid]) -> AnchorFit:
    """The same, of objects that are gathered already; `levels` are the configuration's."""
    boxes, sizes, class_ids = objects.as_seen(config.input)
    return AnchorFit(best_overlaps(boxes, sizes, levels, config), boxes, class_ids, objects.class_names, config)
