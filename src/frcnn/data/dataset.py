"""A data set: pictures, what is in them, and the names of the classes; and which of it is trained on."""

import difflib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from frcnn.data.pictures import read_size
from frcnn.data.voc import (
    SPLITS,
    Annotation,
    VocObject,
    VocSet,
    box_problem,
    find_voc_sets,
    half_open,
    read_annotation,
)
from frcnn.errors import DataError
from frcnn.structures import Target

BadBoxes = Literal["refuse", "skip"]
SKIP = "train: --set data.bad_boxes=skip, evaluate: --bad-boxes skip"
Chosen = list[tuple[VocSet, tuple[str, ...]]]  # which ids of which set


@dataclass(frozen=True)
class Example:
    """One picture and its objects. `target.ignored` marks the difficult ones."""

    picture: Path
    annotation: Path
    size: tuple[int, int]  # (height, width) as `read_picture` gives it
    target: Target


@dataclass(frozen=True)
class Dataset:
    """Pictures in the order of the data set; class ids are indices into `class_names`."""

    examples: tuple[Example, ...]
    class_names: tuple[str, ...]
    skipped_boxes: int = 0  # bad boxes left out, where that was asked for

    def __len__(self) -> int:
        return len(self.examples)


def load_dataset(
    paths: Sequence[Path],
    split: str,
    class_names: Sequence[str] | None = None,
    bad_boxes: BadBoxes = "refuse",
) -> Dataset:
    """One split of all the data sets at `paths` together; those that have no such split add nothing.

    Class names are those found in all splits, in alphabetical order, unless they are given. Raises DataError.
    """
    sets = _open_sets(paths)
    chosen = [(voc, voc.splits[split]) for voc in sets if split in voc.splits]
    if not chosen:
        raise DataError(f"{_named(sets)}: there is no split {split!r}; there is {_existing(sets)}")
    annotations = _Annotations()
    names = tuple(class_names) if class_names is not None else _found_names(sets, annotations)
    return _dataset(chosen, names, bad_boxes, annotations)


def training_splits(
    paths: Sequence[Path], validation: float, seed: int, bad_boxes: BadBoxes = "refuse"
) -> tuple[Dataset, Dataset | None]:
    """What is trained on and what is held out: `train` and `val` of each set, or a seeded share; never `test`.

    With `validation` 0 everything but `test` is trained on and nothing is held out. Raises DataError.
    """
    sets = _open_sets(paths)
    learnt: Chosen = []
    held_out: Chosen = []
    for voc in sets:
        train, val = _divided(voc, validation, seed)
        learnt.append((voc, train))
        held_out.append((voc, val))
    if not any(ids for _, ids in learnt):
        raise DataError(
            f"{_named(sets)}: there is nothing to train on (the splits train and trainval); there is {_existing(sets)}"
        )
    annotations = _Annotations()
    names = _found_names(sets, annotations)
    if not names:
        raise DataError(f"{_named(sets)}: there is no object in any annotation, so nothing to learn")
    validating = _dataset(held_out, names, bad_boxes, annotations) if any(ids for _, ids in held_out) else None
    training = _dataset(learnt, names, bad_boxes, annotations)
    if not any(len(example.target.boxes) for example in training.examples):
        raise DataError(f"{_named(sets)}: no picture to train on has an object, so there is nothing to learn")
    return training, validating


class _Annotations(dict[Path, Annotation]):
    """Each file is read once, when it is first asked for."""

    def __missing__(self, path: Path) -> Annotation:
        self[path] = read_annotation(path)
        return self[path]


def _open_sets(paths: Sequence[Path]) -> list[VocSet]:
    """All sets at all paths, each once, whatever the paths by which it was reached."""
    sets: dict[Path, VocSet] = {}
    for path in paths:
        for voc in find_voc_sets(path):
            sets.setdefault(voc.folder.resolve(), voc)
    if not sets:
        raise DataError("no data set is named: give the folder of one")
    return list(sets.values())


def _divided(voc: VocSet, validation: float, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """One set's ids to train on and to hold out."""
    train, val, both = (voc.splits.get(name, ()) for name in ("train", "val", "trainval"))
    if validation == 0:
        return tuple(dict.fromkeys(both + train + val)), ()
    if train and val:
        return train, val
    candidates = train or both
    count = min(max(round(validation * len(candidates)), 1), len(candidates) - 1)  # at least one picture for each
    held_out = set(random.Random(f"validation {seed}").sample(candidates, max(count, 0)))
    return tuple(i for i in candidates if i not in held_out), tuple(i for i in candidates if i in held_out)


def _found_names(sets: Sequence[VocSet], annotations: Mapping[Path, Annotation]) -> tuple[str, ...]:
    """The classes of every split, so that training and test agree; ids without annotation (a hidden test) add none."""
    paths = (voc.annotation(identity) for voc in sets for ids in voc.splits.values() for identity in ids)
    present = [path for path in dict.fromkeys(paths) if path.is_file()]
    return tuple(sorted({item.name for path in present for item in annotations[path].objects}))


def _dataset(
    chosen: Chosen, class_names: tuple[str, ...], bad_boxes: BadBoxes, annotations: Mapping[Path, Annotation]
) -> Dataset:
    class_ids = {name: i for i, name in enumerate(class_names)}
    examples: list[Example] = []
    skipped = 0
    for voc, ids in chosen:
        for identity in ids:
            path = voc.annotation(identity)
            if not path.is_file():
                raise DataError(
                    f"{path}: is missing, but a split names it: add it, or take {identity!r} out of the split"
                )
            example, bad = _example(voc, annotations[path], class_ids, bad_boxes)
            examples.append(example)
            skipped += bad
    if not examples:
        raise DataError(f"{_named([voc for voc, _ in chosen])}: the split is empty: it names no picture")
    return Dataset(tuple(examples), class_names, skipped)


def _example(
    voc: VocSet, annotation: Annotation, class_ids: Mapping[str, int], bad_boxes: BadBoxes
) -> tuple[Example, int]:
    """An example, and how many of its boxes were left out."""
    picture = voc.picture(annotation)
    size = read_size(picture)
    for i, item in enumerate(annotation.objects, start=1):
        if item.name not in class_ids:
            raise DataError(f"{annotation.path}: {_unknown(i, item.name, class_ids)}")
        problem = box_problem(item.corners, size)
        if problem is not None and bad_boxes == "refuse":
            raise DataError(f"{annotation.path}: {_bad(i, item, problem)}")
    sound = [item for item in annotation.objects if box_problem(item.corners, size) is None]
    target = Target(
        boxes=torch.tensor([half_open(item.corners, size) for item in sound], dtype=torch.float32).reshape(-1, 4),
        class_ids=torch.tensor([class_ids[item.name] for item in sound], dtype=torch.int64),
        ignored=torch.tensor([item.difficult for item in sound], dtype=torch.bool),
    )
    return Example(picture, annotation.path, size, target), len(annotation.objects) - len(sound)


def _bad(number: int, item: VocObject, problem: str) -> str:
    box = ", ".join(f"{corner:g}" for corner in item.corners)
    return f"the box ({box}) of object {number} ({item.name}) {problem}: mend it, or leave it out ({SKIP})"


def _unknown(number: int, name: str, class_ids: Mapping[str, int]) -> str:
    nearest = difflib.get_close_matches(name, class_ids, n=1, cutoff=0)
    hint = f"; the nearest is {nearest[0]!r}" if nearest else ""
    return f"object {number} is a {name!r}, which is none of the {len(class_ids)} classes{hint}"


def _named(sets: Sequence[VocSet]) -> str:
    return ", ".join(str(voc.folder) for voc in sets)


def _existing(sets: Sequence[VocSet]) -> str:
    there = [split for split in SPLITS if any(split in voc.splits for voc in sets)]
    found = [split if any(voc.splits.get(split) for voc in sets) else f"{split} (empty)" for split in there]
    return ", ".join(found) or "none (ImageSets/Main holds no train.txt, val.txt, trainval.txt or test.txt)"
