"""A data set: pictures, what is in them, and the names of the classes; and which of it is trained on."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int

from frcnn.data.box_faults import explain_fault
from frcnn.data.coco import CocoSet
from frcnn.data.examples import Chosen, Example, Examples, area_of
from frcnn.data.held_out import Numbers, divide, pictures_of, split_names, without_test
from frcnn.data.index import NO_ANNOTATION, NO_PICTURE, UNREADABLE, Index, Kind, OpenSet
from frcnn.data.index_file import open_index
from frcnn.data.pictures import read_size
from frcnn.data.recognise import Source, find_sources
from frcnn.data.voc_lists import LISTS, explain_missing, explain_no_split
from frcnn.errors import DataError
from frcnn.naming import counted, some_names

BadBoxes = Literal["refuse", "skip"]
SKIP = "train: --set data.bad_boxes=skip, evaluate: --bad-boxes skip"
SPLITS = ("train", "val", "trainval", "test")
UNKNOWN = -1  # the class of an object whose class is none of those asked for

Choice = list[tuple[OpenSet, Numbers]]  # which pictures of which set


@dataclass(frozen=True)
class Dataset:
    """Pictures in the order of the data set; class ids are indices into `class_names`."""

    examples: Sequence[Example]
    class_names: tuple[str, ...]
    skipped_boxes: int = 0  # bad boxes left out, where that was asked for
    taken_pictures: int = 0  # not trained on, or not held out, since another split has them

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def sizes(self) -> Int[np.ndarray, "N 2"]:
        """(height, width) of each picture."""
        if isinstance(self.examples, Examples):
            return self.examples.sizes
        return np.array([example.size for example in self.examples], np.int32).reshape(-1, 2)

    def picture(self, number: int) -> Path:
        """The file of one picture."""
        if isinstance(self.examples, Examples):
            return self.examples.picture(number)
        return self.examples[number].picture

    def areas(self) -> list[np.ndarray]:
        """Square pixels of each picture's objects: of the outline where the data set says it, else of the box."""
        return [area_of(example) for example in self.examples]

    def count_learnt(self) -> int:
        """How many objects are trained on."""
        if isinstance(self.examples, Examples):
            return self.examples.count_learnt()
        return sum(len(example.target.learnt().boxes) for example in self.examples)


def load_dataset(
    paths: Sequence[Path],
    split: str,
    class_names: Sequence[str] | None = None,
    bad_boxes: BadBoxes = "refuse",
) -> Dataset:
    """One split of all the data sets at `paths` together; those that have no such split add nothing.

    Class names are those found in all splits (VOC: in alphabetical order, COCO: by category id, YOLO: as listed),
    unless they are given. Raises DataError.
    """
    sets = open_sets(paths)
    _require_split(sets, split)
    of_each = list(zip(sets, pictures_of(sets, split), strict=True))
    chosen = [(one, numbers) for one, numbers in of_each if len(numbers)] or of_each
    names = tuple(class_names) if class_names is not None else found_names(sets)
    return _dataset(chosen, names, bad_boxes)


def split_to_learn(paths: Sequence[Path], split: str, bad_boxes: BadBoxes = "refuse") -> Dataset:
    """As `load_dataset`, but without pictures that `test` names too. Raises DataError."""
    sets = open_sets(paths)
    _require_split(sets, split)
    free = without_test(sets, pictures_of(sets, split))
    return _dataset(list(zip(sets, free, strict=True)), found_names(sets), bad_boxes)


def training_splits(
    paths: Sequence[Path], validation: float, seed: int, bad_boxes: BadBoxes = "refuse"
) -> tuple[Dataset, Dataset | None]:
    """What is trained on and what is held out: `train` and `val` of each set, or a seeded share; never `test`.

    With `validation` 0 everything but `test` is trained on and nothing is held out. Raises DataError.
    """
    sets = open_sets(paths)
    division = divide(sets, validation, seed)
    learnt, held_out = (list(zip(sets, numbers, strict=True)) for numbers in (division.learnt, division.held_out))
    if not any(len(numbers) for _, numbers in learnt):
        raise DataError(_nothing_to_train_on(sets, division.taken))
    names = found_names(sets)
    if not any(len(one.index.boxes) for one in sets):
        raise DataError(f"{_named(sets)}: there is no object in any annotation, so nothing to learn")
    validating = _dataset(held_out, names, bad_boxes) if any(len(numbers) for _, numbers in held_out) else None
    training = replace(_dataset(learnt, names, bad_boxes), taken_pictures=division.taken)
    if not training.count_learnt():
        raise DataError(
            f"{_named(sets)}: no picture to train on has an object with a sound box that is neither difficult nor a "
            "crowd, so there is nothing to learn"
        )
    return training, validating


def open_sets(paths: Sequence[Path], *, reindex: bool = False) -> list[OpenSet]:
    """All sets at all paths, each once, whatever the paths by which it was reached. Raises DataError.

    With `reindex` their files are read anew, whatever is kept of them.
    """
    sources = [source for path in paths for source in find_sources(path)]
    sets: dict[tuple[Path, str], OpenSet] = {}
    for source in sources:
        place = (source.root.resolve(), source.title)
        if place not in sets and not any(_is_part(source, other) for other in sources):
            sets[place] = OpenSet(source.root, open_index(source, anew=reindex))
    if not sets:
        raise DataError("no data set is named: give the folder of one")
    return list(sets.values())


def _is_part(source: Source, other: Source) -> bool:
    """Whether it is some of the files of COCO that another one has, whose folder is named beside them."""
    if not isinstance(source, CocoSet) or not isinstance(other, CocoSet):
        return False
    mine, others = ({part.path.resolve() for part in each.parts} for each in (source, other))
    return mine < others


def require_pictures(sets: Sequence[OpenSet]) -> None:
    """Raises DataError where no split of any set names a picture: nothing would be done, and look like success."""
    if not any(len(numbers) for one in sets for numbers in one.index.splits.values()):
        raise DataError(f"{_named(sets)}: there is no picture in any split; there is {_existing(sets)}")


def _require_split(sets: Sequence[OpenSet], split: str) -> None:
    if split not in split_names(sets):
        raise DataError(f"{_named(sets)}: there is no split {split!r}; there is {_existing(sets)}")


def found_names(sets: Sequence[OpenSet]) -> tuple[str, ...]:
    """The classes of all sets: VOC's in alphabetical order, else in the order of the sets and of their files."""
    names = dict.fromkeys(name for one in sets for name in one.index.class_names)
    return tuple(sorted(names)) if all(one.index.kind == "voc" for one in sets) else tuple(names)


def _dataset(chosen: Choice, class_names: tuple[str, ...], bad_boxes: BadBoxes) -> Dataset:
    if not any(len(numbers) for _, numbers in chosen):
        raise DataError(f"{_named([one for one, _ in chosen])}: the split is empty: it names no picture")
    ids = {name: number for number, name in enumerate(class_names)}
    parts = []
    for one, numbers in chosen:
        new_ids = np.array([ids.get(name, UNKNOWN) for name in one.index.class_names], np.int64)
        check_usable(one, numbers, new_ids, class_names, bad_boxes)
        parts.append(Chosen(one.root, one.index, numbers, new_ids))
    examples = Examples(tuple(parts))
    return Dataset(examples, class_names, examples.count_bad_boxes())


def check_usable(one: OpenSet, numbers: Numbers, new_ids: Numbers, names: Sequence[str], bad_boxes: BadBoxes) -> None:
    """Raises DataError for the first picture, in the split's order, that cannot be used as it is."""
    index = one.index
    unusable = index.states != 0
    wrong = new_ids[index.class_ids] == UNKNOWN
    if bad_boxes == "refuse":
        wrong |= index.faults != 0
    if wrong.any():
        picture_of = np.repeat(np.arange(len(index)), np.diff(index.first_object))
        unusable = unusable.copy()
        unusable[picture_of[wrong]] = True
    for number in numbers[unusable[numbers]][:1].tolist():
        _complain_of_picture(one, number)
        _complain_of_object(one, number, int(np.flatnonzero(wrong[index.objects_of(number)])[0]), new_ids, names)


def _complain_of_picture(one: OpenSet, number: int) -> None:
    index, state = one.index, one.index.states[number]
    annotation = one.root / index.annotation_names[int(index.annotation_of[number])]
    picture = one.root / index.picture_names[number]
    if state == NO_ANNOTATION:
        remedy = explain_missing(annotation) or f"add it, or take {annotation.stem!r} out of the split"
        raise DataError(f"{annotation}: is missing, but a split names {annotation.stem!r}: {remedy}")
    if state == NO_PICTURE:
        raise DataError(f"{annotation}: its picture {picture} is missing: add it, or take it out of the splits")
    if state == UNREADABLE:
        read_size(picture)  # says why
        raise DataError(f"{picture}: could not be read when the data set was indexed: run again with --reindex")


def _complain_of_object(one: OpenSet, number: int, of_picture: int, new_ids: Numbers, names: Sequence[str]) -> None:
    index = one.index
    annotation = one.root / index.annotation_names[int(index.annotation_of[number])]
    row = index.objects_of(number).start + of_picture
    class_name = index.class_names[int(index.class_ids[row])]
    where = f"{annotation}: " if index.kind != "coco" else f"{annotation}: {index.picture_names[number]}: "
    if new_ids[index.class_ids[row]] == UNKNOWN:
        raise DataError(f"{where}{_unknown(of_picture + 1, class_name, names)}")
    problem = explain_fault(int(index.faults[row]), (int(index.sizes[number, 0]), int(index.sizes[number, 1])))
    box = ", ".join(f"{corner:g}" for corner in as_written(index, row))
    raise DataError(
        f"{where}the box ({box}) of object {of_picture + 1} ({class_name}) {problem}: mend it, or leave it out ({SKIP})"
    )


def as_written(index: Index, row: int) -> tuple[float, float, float, float]:
    """A box in the numbers that its file has: VOC's corners, COCO's corner and size, corners in pixels for YOLO."""
    x1, y1, x2, y2 = counted_as_in(index.kind, index.boxes[row].tolist())
    return (x1, y1, x2 - x1, y2 - y1) if index.kind == "coco" else (x1, y1, x2, y2)


def counted_as_in(kind: Kind, box: Sequence[float]) -> tuple[float, float, float, float]:
    """Half-open corners as files of a format count them: VOC's call the first pixel 1, and name the last one inside."""
    x1, y1, x2, y2 = box
    return (x1 + 1, y1 + 1, x2, y2) if kind == "voc" else (x1, y1, x2, y2)


def _unknown(number: int, name: str, names: Sequence[str]) -> str:
    by_letters = {known.casefold(): known for known in names}
    near = difflib.get_close_matches(name.casefold(), by_letters, n=1)
    known = f"{counted(len(names), 'class', 'classes')} ({some_names(names)})"
    remedy = f"rename it, if {by_letters[near[0]]!r} is meant, or" if near else "rename it, or"
    return f"object {number} is a {name!r}, which is none of the model's {known}: {remedy} take such objects out"


def _nothing_to_train_on(sets: Sequence[OpenSet], taken: int) -> str:
    if taken:
        return (
            f"{_named(sets)}: there is nothing to train on: all pictures of train are in val or test too, or held out "
            f"of another set ({taken:,} pictures): take them out of one (frcnn data check tells which)"
        )
    return f"{_named(sets)}: there is nothing to train on (the splits train and trainval); there is {_existing(sets)}"


def _named(sets: Sequence[OpenSet]) -> str:
    return ", ".join(str(one.root) for one in sets)


def _existing(sets: Sequence[OpenSet]) -> str:
    names = split_names(sets)
    there = [split for split in SPLITS if split in names]
    found = [split if any(map(len, pictures_of(sets, split))) else f"{split} (empty)" for split in there]
    if not found:
        root = next(one.root for one in sets if one.index.kind == "voc")  # others have always one
        return f"none: {root / LISTS} holds {explain_no_split(root)}"
    return ", ".join(found)
