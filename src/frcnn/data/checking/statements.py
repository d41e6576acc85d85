"""What the files of a data set say, taken down without judging it, each statement with its place.

N pictures, G objects, in flat arrays: a million objects are some sixty megabytes.
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int64, UInt8

from frcnn.data.checking.findings import Finding
from frcnn.data.coco import CocoSet
from frcnn.data.index import CROWD, NO_IDENTITY, Kind
from frcnn.data.voc import VocSet
from frcnn.data.yolo import YoloSet

Size = tuple[int, int]  # (height, width)
NO_LINE = 0
COLUMNS = 7
LONGEST_WRITTEN = 80  # letters: what stands in the place of a box may be anything


class PictureSaid(NamedTuple):
    """A picture that a data set speaks of."""

    path: Path  # where it is, or ought to be
    is_there: bool
    annotation: Path  # the file that says what is in it
    line: int | None  # where that file begins to speak of it, if it speaks of many
    size: Size | None  # as the annotation says it
    size_line: int | None = None
    identity: int = NO_IDENTITY  # COCO's id


class Listing(NamedTuple):
    """A split names a picture."""

    split: str
    picture: int
    file: Path
    line: int | None


@dataclass(frozen=True)
class ObjectsSaid:
    """All objects of a data set, in the order in which its files were read."""

    picture: Int[np.ndarray, " G"]
    class_id: Int[np.ndarray, " G"]  # a place in the set's class names
    numbers: Float[np.ndarray, "G 4"]  # the file's own; NaN where it has no number
    place: Int[np.ndarray, " G"]  # among the objects of its file, from 1; YOLO: the line
    line: Int[np.ndarray, " G"]  # of the box
    class_line: Int[np.ndarray, " G"]
    identity: Int64[np.ndarray, " G"]  # COCO's id
    flags: UInt8[np.ndarray, " G"]  # as in the index

    def __len__(self) -> int:
        return len(self.picture)

    def rows_of(self, picture: int) -> Int[np.ndarray, " _"]:
        """The rows of a picture's objects, in their order."""
        begin, end = np.searchsorted(self.picture, (picture, picture + 1), sorter=self._by_picture)
        return self._by_picture[begin:end]

    @cached_property
    def _by_picture(self) -> Int[np.ndarray, " G"]:
        return np.argsort(self.picture, kind="stable")


@dataclass(frozen=True)
class SetSaid:
    """One data set: `findings` are what could not be taken down, and what is wrong with its lists."""

    source: VocSet | CocoSet | YoloSet
    kind: Kind
    pictures: tuple[PictureSaid, ...]
    objects: ObjectsSaid
    class_names: tuple[str, ...]
    listings: tuple[Listing, ...]
    findings: tuple[Finding, ...]
    written: Mapping[int, str] = field(default_factory=dict)  # what stands for a box that is not made of numbers

    def class_name(self, row: int) -> str:
        """Of an object, as its file spells it."""
        return self.class_names[int(self.objects.class_id[row])]

    def object_name(self, row: int) -> str:
        """What to call an object in a message; its file and line stand beside."""
        name = self.class_name(row)
        if self.kind == "coco":
            picture = self.pictures[int(self.objects.picture[row])].path.name
            return f"annotation {self.objects.identity[row]} ({name}, {picture})"
        return f"object {self.objects.place[row]} ({name})" if self.kind == "voc" else f"the object ({name})"

    def annotation_of(self, row: int) -> Path:
        """The file that tells of an object."""
        return self.pictures[int(self.objects.picture[row])].annotation

    def written_box(self, row: int) -> str:
        """A box in the numbers of its file, or what stands there in their place."""
        if row in self.written:
            return self.written[row]
        return f"({', '.join(f'{number:.8g}' for number in self.objects.numbers[row].tolist())})"

    def is_crowd(self) -> np.ndarray:
        """Which objects stand for many."""
        return (self.objects.flags & CROWD) != 0


def shortened(text: str) -> str:
    """The beginning of what stands in a file, to be searched for."""
    return text if len(text) <= LONGEST_WRITTEN else f"{text[:LONGEST_WRITTEN]} ..."


@dataclass
class Notes:
    """Gathers statements while files are read."""

    class_numbers: dict[str, int] = field(default_factory=dict)
    pictures: list[PictureSaid] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._whole = array("q")  # COLUMNS numbers an object
        self._written: dict[int, str] = {}
        self._numbers = array("d")

    def class_number(self, name: str) -> int:
        """The number of a class, a new one for a new name."""
        return self.class_numbers.setdefault(name, len(self.class_numbers))

    def add_picture(self, picture: PictureSaid) -> int:
        """The new picture's number."""
        self.pictures.append(picture)
        return len(self.pictures) - 1

    def add_object(
        self,
        picture: int,
        class_number: int,
        numbers: Sequence[float],
        place: int,
        line: int = NO_LINE,
        class_line: int = NO_LINE,
        identity: int = NO_IDENTITY,
        flags: int = 0,
        written: str = "",
    ) -> None:
        """An object of a picture, with the numbers of its file; `written` is kept where those are none."""
        if not all(map(math.isfinite, numbers)):
            self._written[len(self._whole) // COLUMNS] = shortened(written)
        self._whole.extend((picture, class_number, place, line, class_line, identity, flags))
        self._numbers.extend(numbers)

    def finished(self, source: VocSet | CocoSet | YoloSet, kind: Kind) -> SetSaid:
        """All statements of one data set."""
        columns = np.array(self._whole, np.int64).reshape(-1, COLUMNS).T
        picture, class_id, place, line, class_line, identity, flags = columns
        objects = ObjectsSaid(
            picture=picture.astype(np.int32),
            class_id=class_id.astype(np.int32),
            numbers=np.array(self._numbers, np.float64).reshape(-1, 4),
            place=place.astype(np.int32),
            line=line.astype(np.int32),
            class_line=class_line.astype(np.int32),
            identity=identity.copy(),
            flags=flags.astype(np.uint8),
        )
        return SetSaid(
            source,
            kind,
            tuple(self.pictures),
            objects,
            tuple(self.class_numbers),
            tuple(self.listings),
            tuple(self.findings),
            self._written,
        )
