"""A data set in another format: the same pictures, boxes, classes and splits, and ids and flags where it has them.

Boxes travel as their files say them, unclipped. Pictures are copied as they are.
"""

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from frcnn.data.box_faults import SOUND, TOO_THIN
from frcnn.data.coco_writer import CocoWriter
from frcnn.data.dataset import BadBoxes, check_usable, found_names, open_sets, require_pictures
from frcnn.data.entries import WRITTEN, Entry, Writer
from frcnn.data.index import NO_IDENTITY, Kind, OpenSet
from frcnn.data.sources import PICTURE_SUFFIXES
from frcnn.data.spelling import normal
from frcnn.data.voc import LEAST_SIDE
from frcnn.data.voc_writer import VocWriter
from frcnn.data.yolo_writer import YoloWriter
from frcnn.files import folder_written_whole, link_or_copy, require_folder_apart
from frcnn.naming import counted, printable

WRITERS: Mapping[Kind, Callable[[Path, Sequence[str], Sequence[int]], Writer]] = {
    "voc": VocWriter,
    "coco": CocoWriter,
    "yolo": YoloWriter,
}
ORDER = ("train", "val", "test", "trainval")  # in which splits are written

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Converted:
    """What was written, and what the format could not hold."""

    folder: Path
    pictures: int
    objects: int
    skipped_boxes: int
    lost_flags: int  # objects that were difficult or a crowd, and no longer are
    parted: int  # pictures of several splits that have a file in each now, so that nothing tells that they are one
    unlisted: int  # annotations that no split names, and so are left behind

    def describe(self) -> str:
        """In a line."""
        skipped = f", {self.skipped_boxes:,} bad boxes left out" if self.skipped_boxes else ""
        lost = f", {self.lost_flags:,} of them no longer marked as difficult or crowds" if self.lost_flags else ""
        left = f", {counted(self.unlisted, 'annotation')} in no split left out" if self.unlisted else ""
        parted = (
            f", {counted(self.parted, 'picture')} in several splits with a file in each: take them out of all but one "
            "(frcnn data check names them)"
            if self.parted
            else ""
        )
        return f"{self.folder}: {self.pictures:,} pictures, {self.objects:,} objects{lost}{skipped}{left}{parted}"


class Place(NamedTuple):
    """Where a picture is, what it will be called, and the splits it is in."""

    one: OpenSet
    number: int
    name: str
    splits: tuple[str, ...]
    identity: int


def convert(
    paths: Sequence[Path],
    folder: Path,
    to: Kind,
    *,
    bad_boxes: BadBoxes = "refuse",
    pictures: Literal["copy", "link"] = "copy",
    progress: Progress | None = None,
) -> Converted:
    """Write the data sets at `paths`, together, into a new `folder`: whole, or not at all.

    With "link", pictures are hard links where the disk can: they take no room, and are the same files as before.
    Raises UsageError where `folder` is in use, DataError for pictures and boxes that cannot be used.
    """
    require_folder_apart(folder, paths)
    sets = open_sets(paths)
    require_folder_apart(folder, (place for one in sets for place in _folders_of(one)))
    require_pictures(sets)
    names = found_names(sets)
    sets = [_judged_for_voc(one) for one in sets] if to == "voc" else sets
    for one in sets:
        everything = np.arange(len(one.index), dtype=np.int32)
        check_usable(one, everything, np.arange(len(one.index.class_names)), names, bad_boxes)
    categories = sets[0].index.category_ids if len(sets) == 1 else ()
    with folder_written_whole(folder) as aside:
        writer = WRITERS[to](aside, names, categories)
        counts = _write(_places(sets), names, writer, pictures, progress)
    return Converted(folder, *counts, unlisted=sum(map(_unlisted, sets)))


def _judged_for_voc(one: OpenSet) -> OpenSet:
    """With the boxes that VOC has no numbers for, as it names their last pixel, among the bad ones."""
    index = one.index
    corners = index.boxes.astype(np.float64).round(WRITTEN)
    is_thin = (corners[:, 2:] - corners[:, :2] <= LEAST_SIDE).any(axis=1) & (index.faults == SOUND)
    return replace(one, index=replace(index, faults=np.where(is_thin, TOO_THIN, index.faults).astype(np.uint8)))


def _folders_of(one: OpenSet) -> set[Path]:
    """Where a data set's pictures lie, which may be elsewhere than what names them."""
    names = one.index.picture_names
    return {one.root / folder for folder in {Path(names[i]).parent for i in range(len(names))}}


def _unlisted(one: OpenSet) -> int:
    """How many annotations of VOC no list names: its files are the only ones that may say more than they are asked."""
    if one.index.kind != "voc":
        return 0
    names = one.index.annotation_names
    listed = {names[i] for i in range(len(names))}
    files = (path for path in (one.root / "Annotations").glob("*.xml") if not path.name.startswith("."))
    return sum(str(path.relative_to(one.root)) not in listed for path in files)


def _write(
    places: Sequence[Place], names: Sequence[str], writer: Writer, how: str, progress: Progress | None
) -> tuple[int, int, int, int, int]:
    """How many pictures, objects, boxes left out, flags lost and pictures with a file in each of several splits."""
    objects = skipped = lost = 0
    identities = _object_identities(places)
    brought: list[tuple[str, ...]] = []  # the splits for which each has a file of its own
    for done, place in enumerate(places, start=1):
        entry, bad = _entry(place, names, identities)
        in_splits = [entry._replace(split=split) for split in place.splits]
        source = place.one.root / place.one.index.picture_names[place.number]
        brought.append(tuple(item.split for item in in_splits if _bring(source, writer.picture(item), how)))
        for item in in_splits:
            writer.add(item)
        objects, skipped = objects + len(entry.corners), skipped + bad
        lost += 0 if writer.keeps_flags else sum(flag != 0 for flag in entry.flags)
        if progress is not None:
            progress(done, len(places))
    writer.finish()
    return len(places), objects, skipped, lost, _count_parted(places, brought)


def _count_parted(places: Sequence[Place], brought: Sequence[tuple[str, ...]]) -> int:
    """How many files became one in each of several splits; COCO's have an entry, and so a place, for each already."""
    if len({split for splits in brought for split in splits}) < 2:
        return 0
    sets = {id(place.one): place.one for place in places}
    files = {key: list(one.picture_files()) for key, one in sets.items()}
    splits_of_file: dict[str, set[str]] = {}
    for place, splits in zip(places, brought, strict=True):
        splits_of_file.setdefault(files[id(place.one)][place.number], set()).update(splits)
    return sum(len(splits) > 1 for splits in splits_of_file.values())


def _bring(source: Path, target: Path, how: str) -> bool:
    """Whether it was not there."""
    if target.exists():  # in another split, where pictures of all splits lie in one folder
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    if how == "link":
        link_or_copy(source, target)
    else:
        shutil.copyfile(source, target)
    return True


def _places(sets: Sequence[OpenSet]) -> list[Place]:
    """Every picture once, split by split, under a name that no other has, whatever a disk makes of its letters."""
    taken: set[str] = set()
    places = [
        Place(one, number, _free_name(one, number, taken), splits, int(one.index.identities[number]))
        for one in sets
        for number, splits in _splits_of_pictures(one).items()
    ]
    return _with_identities(places)


def _splits_of_pictures(one: OpenSet) -> dict[int, tuple[str, ...]]:
    """All of each, but for `trainval` where `train` or `val` is one: who reads them finds it there."""
    found: dict[int, tuple[str, ...]] = {}
    for split in ORDER:
        for number in one.index.splits.get(split, np.zeros(0, np.int32)).tolist():
            splits = found.get(number, ())
            if split not in splits and not (split == "trainval" and {"train", "val"} & set(splits)):
                found[number] = (*splits, split)
    return found


def _with_identities(places: list[Place]) -> list[Place]:
    """Each its own id: those that they have, else their names where all are numbers, else counted."""
    if len({place.identity for place in places} - {NO_IDENTITY}) == len(places):
        return places
    stems = [Path(place.name).stem for place in places]
    are_numbers = all(stem.isascii() and stem.isdigit() and len(stem) < 19 for stem in stems)
    numbers = list(map(int, stems)) if are_numbers and len(set(map(int, stems))) == len(stems) else None
    return [p._replace(identity=i) for p, i in zip(places, numbers or range(1, len(places) + 1), strict=True)]


def _object_identities(places: Sequence[Place]) -> Iterator[int] | None:
    """Counted, where they cannot all keep what they have; None where they can."""
    sets = {id(place.one): place.one.index for place in places}
    identities = np.concatenate([np.zeros(0, np.int64), *(index.object_identities for index in sets.values())])
    can_be_kept = NO_IDENTITY not in identities and len(np.unique(identities)) == len(identities)
    return None if can_be_kept else itertools.count(1)


def _free_name(one: OpenSet, number: int, taken: set[str]) -> str:
    """One that every format can hold: lists strip lines, hidden files are passed over, pictures have an ending."""
    path = Path(one.index.picture_names[number])
    own = printable(path.stem).strip(" .") or "picture"
    stems = (own, f"{one.root.name}_{own}", *(f"{own}_{i}" for i in range(2, len(taken) + 3)))
    stem = next(stem for stem in stems if _as_compared(stem) not in taken)
    taken.add(_as_compared(stem))
    return stem + (path.suffix if path.suffix.lower() in PICTURE_SUFFIXES else ".jpg")


def _as_compared(stem: str) -> str:
    """Disks may take capitals for small letters, and readers of lists take accents alike, put together or not."""
    return normal(stem.lower())


def _entry(place: Place, names: Sequence[str], identities: Iterator[int] | None) -> tuple[Entry, int]:
    """A picture's objects, and how many of its boxes are left out."""
    index = place.one.index
    rows = np.arange(*index.first_object[place.number : place.number + 2].tolist())
    sound = rows[index.faults[rows] == 0]
    of_names = {name: number for number, name in enumerate(names)}
    height, width = index.sizes[place.number].tolist()
    return Entry(
        place.name,
        place.splits[0],
        (height, width),
        index.boxes[sound].astype(np.float64).tolist(),
        [of_names[index.class_names[number]] for number in index.class_ids[sound].tolist()],
        index.flags[sound].tolist(),
        index.areas[sound].tolist(),
        place.identity,
        index.object_identities[sound].tolist() if identities is None else [next(identities) for _ in sound],
    ), len(rows) - len(sound)
