"""All that is known of some data sets: what their files say, what their pictures are, and how the two fit."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from frcnn.data.checking.boxes import JudgedBoxes, judge_boxes
from frcnn.data.checking.coco_statements import take_down_coco
from frcnn.data.checking.doubles import Doubles, Place, find_doubles
from frcnn.data.checking.frames import Frames, find_frames
from frcnn.data.checking.looks import Look, look_at_all
from frcnn.data.checking.splits import RANKS, listings_by_picture, rank_of, splits_of_pictures
from frcnn.data.checking.statements import Listing, PictureSaid, SetSaid
from frcnn.data.checking.voc_statements import take_down_voc
from frcnn.data.checking.yolo_statements import take_down_yolo
from frcnn.data.coco import CocoSet
from frcnn.data.index_file import Source
from frcnn.data.voc import VocSet
from frcnn.data.yolo import YoloSet
from frcnn.progress import Advance

NamedSource = tuple[str, Source]


@dataclass(frozen=True)
class ExaminedSet:
    """One data set."""

    said: SetSaid
    looks: tuple[Look | None, ...]  # of each picture; None where there is no file
    frames: Frames
    boxes: JudgedBoxes

    @cached_property
    def splits(self) -> list[tuple[str, ...]]:
        """Those of each picture."""
        return splits_of_pictures(self.said)

    @cached_property
    def listings(self) -> Mapping[int, list[Listing]]:
        """Those of each picture that has any."""
        return listings_by_picture(self.said)


@dataclass(frozen=True)
class Examination:
    """All data sets together: they are trained on together."""

    sets: tuple[ExaminedSet, ...]
    names: tuple[str, ...]  # what to call each: the file that was named, or the folder of the set

    def picture(self, place: Place) -> PictureSaid:
        """What is said of one picture."""
        return self.sets[place[0]].said.pictures[place[1]]

    def splits(self, place: Place) -> tuple[str, ...]:
        """Those of one picture."""
        return self.sets[place[0]].splits[place[1]]

    @cached_property
    def by_path(self) -> Mapping[str, list[Place]]:
        """The pictures that each file is, by where it really lies."""
        found: dict[str, list[Place]] = defaultdict(list)
        for number, one in enumerate(self.sets):
            for picture, said in enumerate(one.said.pictures):
                found[os.path.realpath(said.path)].append((number, picture))
        return found

    @cached_property
    def ranks(self) -> Mapping[Place, int]:
        """The latest split of each picture, by all that its file is listed as."""
        ranks: dict[Place, int] = {}
        for places in self.by_path.values():
            rank = rank_of(split for place in places for split in self.splits(place))
            ranks |= dict.fromkeys(places, rank)
        return ranks

    def last_split(self, place: Place) -> str:
        """The one that a file stays in."""
        places = self.by_path[os.path.realpath(self.picture(place).path)]
        return max((split for other in places for split in self.splits(other)), key=lambda split: RANKS.get(split, 0))

    @cached_property
    def doubles(self) -> Doubles:
        """Of all pictures that could be decoded."""
        return find_doubles(self._visible, self.ranks)

    @cached_property
    def _visible(self) -> Mapping[Place, Look]:
        """The pictures that could be decoded; one that several files list, where it stays."""
        found = []
        for places in self.by_path.values():
            last = self.splits(max(places, key=lambda place: rank_of(self.splits(place))))
            found += [place for place in places if self.splits(place) == last]
        looks = {place: self.sets[place[0]].looks[place[1]] for place in sorted(found)}
        return {place: look for place, look in looks.items() if look is not None and not look.problem}


def examine(
    sources: Sequence[NamedSource], known: dict[bytes, Look] | None = None, progress: Advance | None = None
) -> Examination:
    """Read the files of all data sets and look at all their pictures. `known` looks, by digest, are filled up."""
    statements = [_take_down(source) for _, source in sources]
    paths = [picture.path for said in statements for picture in said.pictures if picture.is_there]
    looks = look_at_all(paths, known, progress)
    return Examination(tuple(_examined(said, looks) for said in statements), tuple(name for name, _ in sources))


def _take_down(source: Source) -> SetSaid:
    if isinstance(source, VocSet):
        return take_down_voc(source)
    if isinstance(source, CocoSet):
        return take_down_coco(source)
    if isinstance(source, YoloSet):
        return take_down_yolo(source)
    raise TypeError(f"a data set of an unknown kind: {type(source).__name__}")


def _examined(said: SetSaid, looks: Mapping[Path, Look]) -> ExaminedSet:
    of_pictures = tuple(looks.get(picture.path) for picture in said.pictures)
    frames = find_frames(said, of_pictures)
    return ExaminedSet(said, of_pictures, frames, judge_boxes(said, frames))
