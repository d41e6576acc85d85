"""The objects that a data set has to teach, all of them together: in its own pixels, and as a network sees them.

G objects, N pictures.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from frcnn.config import InputConfig
from frcnn.data.dataset import Dataset
from frcnn.model.preprocess import network_size


class SeenObjects(NamedTuple):
    """Objects in network pixels."""

    boxes: Float[Tensor, "G 4"]
    sizes: Int[Tensor, "G 2"]  # (height, width) of each one's picture as the network sees it, alone
    class_ids: Int[Tensor, " G"]


@dataclass(frozen=True)
class LearntObjects:
    """All objects of a data set but the ignored ones, in original pixels."""

    boxes: Float[Tensor, "G 4"]
    class_ids: Int[Tensor, " G"]
    pictures: Int[Tensor, " G"]  # the number of each object's picture in the data set
    sizes: Int[Tensor, "N 2"]  # (height, width) of each picture
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def chosen(self, which: Bool[Tensor, " G"]) -> "LearntObjects":
        """Some of them."""
        return LearntObjects(
            self.boxes[which], self.class_ids[which], self.pictures[which], self.sizes, self.class_names
        )

    def as_seen(self, rule: InputConfig) -> SeenObjects:
        """What becomes of them where pictures are resized by this rule."""
        seen = seen_sizes(self.sizes, rule)
        scales = (seen.double() / self.sizes).float()[self.pictures]  # network pixels per original one, (y, x)
        return SeenObjects(self.boxes * scales.flip(1).repeat(1, 2), seen[self.pictures], self.class_ids)


def learnt_objects(dataset: Dataset) -> LearntObjects:
    """Those of all pictures, in the order of the data set."""
    targets = [example.target.learnt() for example in dataset.examples]
    counts = torch.tensor([len(target.boxes) for target in targets], dtype=torch.long)
    return LearntObjects(
        boxes=torch.cat([torch.zeros(0, 4), *(target.boxes for target in targets)]),
        class_ids=torch.cat([torch.zeros(0, dtype=torch.long), *(target.class_ids for target in targets)]),
        pictures=torch.arange(len(targets)).repeat_interleave(counts),
        sizes=torch.from_numpy(dataset.sizes).long(),
        class_names=dataset.class_names,
    )


def seen_sizes(sizes: Int[Tensor, "N 2"], rule: InputConfig) -> Int[Tensor, "N 2"]:
    """(height, width) of each picture as the network sees it."""
    different, which = sizes.unique(dim=0, return_inverse=True)  # many pictures have few sizes
    seen = [network_size((height, width), rule) for height, width in different.tolist()]
    return torch.tensor(seen, dtype=torch.long).reshape(-1, 2)[which]


def box_sizes(boxes: Float[Tensor, "G 4"]) -> Float[Tensor, " G"]:
    """The square roots of their areas: what `model.anchors.sizes` are measured in."""
    return (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
