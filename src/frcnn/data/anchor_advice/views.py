"""How training shows the objects of a data set: in windows, mirrored, at the sizes that it draws.

Anchors that fit the size of detection alone would be worse than before for much of what they are to learn from.
"""

from collections.abc import Sequence

import torch

from frcnn.config import Config
from frcnn.data.dataset import Dataset
from frcnn.data.learnt_objects import SeenObjects
from frcnn.data.order import Chances, ordered
from frcnn.model.preprocess import at_scale, network_size
from frcnn.ops.boxes import resize_boxes

EPOCH = 1


def as_trained(dataset: Dataset, pictures: Sequence[int], config: Config) -> SeenObjects:
    """What an epoch of training shows of these pictures (at least one); the sizes it draws from take turns."""
    return joined([_shown(dataset, number, config) for number in pictures])


def joined(parts: Sequence[SeenObjects]) -> SeenObjects:
    """The objects of all parts (at least one), one part after another."""
    return SeenObjects(*(torch.cat(values) for values in zip(*parts, strict=True)))


def _shown(dataset: Dataset, number: int, config: Config) -> SeenObjects:
    data, rule, example = config.data, config.model.input, dataset.examples[number]
    chances = Chances(data.flip, data.crop, data.light)
    view = ordered(dataset, number, config.train.seed, EPOCH, chances, None).view
    target = view.target(example.target, example.size).learnt()
    size = example.size if view.window is None else view.window.size
    seen = network_size(size, at_scale(rule, data.scales[number % len(data.scales)]) if data.scales else rule)
    boxes = resize_boxes(target.boxes, size, seen)
    return SeenObjects(boxes, torch.tensor([seen]).expand(len(boxes), 2), target.class_ids)
