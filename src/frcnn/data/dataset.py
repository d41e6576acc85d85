"""A data set: pictures and what stands on them, recognised by looking at what lies in the folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from frcnn.errors import DataError
from frcnn.structures import Target

BadBoxes = Literal["refuse", "skip"]


@dataclass(frozen=True)
class Example:
    """One picture and its objects."""

    picture: Path
    annotation: Path
    size: tuple[int, int]  # (height, width)
    target: Target  # all objects, those that do not count marked as ignored


@dataclass(frozen=True)
class Dataset:
    """Examples, and the names that their class ids mean."""

    examples: tuple[Example, ...]
    class_names: tuple[str, ...]
    skipped_boxes: int = 0  # bad boxes that were left out, as asked

    def __len__(self) -> int:
        return len(self.examples)


def load_dataset(
    paths: Sequence[Path],
    split: str,
    class_names: Sequence[str] | None = None,
    bad_boxes: BadBoxes = "refuse",
) -> Dataset:
    """One split of one or several data sets, with the classes found in them all, or with those given.

    Raises DataError, naming the file: no data set, no such split, a bad annotation, a class that is not given.
    """
    from frcnn.data import voc  # the reader's Example comes from here

    roots = [root for path in paths for root in voc.find_sets(path)]
    names = tuple(class_names) if class_names is not None else voc.find_class_names(roots)
    return voc.read_split(roots, split, names, bad_boxes)


def training_splits(
    paths: Sequence[Path], validation: float, seed: int, bad_boxes: BadBoxes = "refuse"
) -> tuple[Dataset, Dataset | None]:
    """What is learnt from and what is held out; never the test split.

    train and val where both are there; otherwise a seeded share, `validation`, of trainval (or of train) is held out.
    With `validation` 0 all of trainval is learnt from. Raises DataError.
    """
    from frcnn.data import voc

    roots = [root for path in paths for root in voc.find_sets(path)]
    splits = set.intersection(*(voc.splits_of(root) for root in roots))
    names = voc.find_class_names(roots)
    if validation > 0 and {"train", "val"} <= splits:
        return voc.read_split(roots, "train", names, bad_boxes), voc.read_split(roots, "val", names, bad_boxes)
    merged = ["train", "val"] if {"train", "val"} <= splits else ["train"]
    wanted = ["trainval"] if "trainval" in splits else merged
    parts = [voc.read_split(roots, split, names, bad_boxes) for split in wanted]
    examples = tuple(example for part in parts for example in part.examples)
    everything = Dataset(examples, names, sum(part.skipped_boxes for part in parts))
    return (everything, None) if validation == 0 else _hold_out(everything, validation, seed)


def _hold_out(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    count = max(1, round(share * len(dataset)))
    if count >= len(dataset):
        raise DataError(f"data.validation = {share} holds out all {len(dataset)} pictures: make it smaller, or 0")
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed)).tolist()
    held_out = set(order[:count])
    learnt = tuple(e for i, e in enumerate(dataset.examples) if i not in held_out)
    validation = tuple(e for i, e in enumerate(dataset.examples) if i in held_out)
    return Dataset(learnt, dataset.class_names, dataset.skipped_boxes), Dataset(validation, dataset.class_names)
