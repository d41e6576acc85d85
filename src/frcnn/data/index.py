"""The annotations of a data set, packed into flat arrays: what a file, a worker and a million pictures have in common.

N pictures, G objects, grouped by their pictures. Nothing here knows of a format: readers fill an `IndexBuilder`.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, Int64, UInt8

from frcnn.data.box_faults import box_faults
from frcnn.data.real_paths import real_paths

Kind = Literal["voc", "coco", "yolo"]

DIFFICULT, CROWD = 1, 2  # bits of an object's flags: either is neither learnt nor counted
READABLE, NO_ANNOTATION, NO_PICTURE, UNREADABLE = range(4)  # what is known of a picture
NO_IDENTITY = -1
LARGEST = float(np.finfo(np.float32).max)


class PackedStrings:
    """Many short texts in two arrays, which processes can share."""

    def __init__(self, text: UInt8[np.ndarray, " B"], ends: Int64[np.ndarray, " S"]) -> None:
        self.text, self.ends = text, ends

    @classmethod
    def of(cls, strings: Iterable[str]) -> "PackedStrings":
        """From texts."""
        text, ends = bytearray(), array("q")
        for string in strings:
            text += string.encode("utf-8", "surrogateescape")  # names of files may be any bytes
            ends.append(len(text))
        return cls(np.frombuffer(text, np.uint8), np.array(ends, np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[str]:
        text, begin = self.text.tobytes(), 0
        for end in self.ends.tolist():
            yield text[begin:end].decode("utf-8", "surrogateescape")
            begin = end

    def __getitem__(self, number: int) -> str:
        begin = self.ends[number - 1] if number > 0 else 0
        return self.text[begin : self.ends[number]].tobytes().decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Index:
    """One data set, whole: all its splits. Names are relative to its folder."""

    kind: Kind
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]  # of the classes, where the format has such numbers and all its files the same
    splits: Mapping[str, Int[np.ndarray, " _"]]  # the numbers of the pictures of each
    picture_names: PackedStrings
    annotation_names: PackedStrings
    annotation_of: Int[np.ndarray, " N"]  # the number of a picture's annotation among the names
    sizes: Int[np.ndarray, "N 2"]  # (height, width); 0 where nobody knows
    identities: Int64[np.ndarray, " N"]
    states: UInt8[np.ndarray, " N"]
    first_object: Int64[np.ndarray, " N_plus_1"]  # the objects of picture i: from first_object[i] to the next
    boxes: Float[np.ndarray, "G 4"]  # half-open, float32, as the file says them
    class_ids: Int[np.ndarray, " G"]
    flags: UInt8[np.ndarray, " G"]
    faults: UInt8[np.ndarray, " G"]
    object_identities: Int64[np.ndarray, " G"]
    areas: Float[np.ndarray, " G"]  # of the object's outline where the file says it, else NaN
    found: Mapping[str, str] = field(default_factory=dict)  # by annotation: what was put before its pictures' names
    further_ids: tuple[tuple[int, int], ...] = ()  # (category id, class): of a class that has several in one file

    def __len__(self) -> int:
        return len(self.picture_names)

    def classes_by_id(self) -> dict[int, int]:
        """The class that each category id means; empty where `category_ids` is."""
        first = {identity: number for number, identity in enumerate(self.category_ids)}
        return first | dict(self.further_ids) if first else {}

    def objects_of(self, picture: int) -> slice:
        """Where a picture's objects are."""
        return slice(int(self.first_object[picture]), int(self.first_object[picture + 1]))


@dataclass(frozen=True)
class OpenSet:
    """One data set, where it lies and what is in it."""

    root: Path
    index: Index

    def picture_files(self) -> Iterator[str]:
        """The file of each picture: the same text for the same file."""
        return real_paths(self._picture_paths())

    def _picture_paths(self) -> Iterator[str]:
        root = str(self.root)
        for name in self.index.picture_names:
            yield name if name.startswith("/") else f"{root}/{name}"


@dataclass
class IndexBuilder:
    """Gathers what a reader finds, some thirty bytes a picture and seventy an object, in any order."""

    kind: Kind
    class_numbers: dict[str, int] = field(default_factory=dict)
    category_ids: dict[tuple[str, int], None] = field(default_factory=dict)  # the id of a class, in the order met
    further_ids: dict[tuple[str, int], None] = field(default_factory=dict)  # those that a class has in a file besides
    splits: dict[str, array] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pictures: list[str] = []
        self._annotations: dict[str, int] = {}
        self._annotation_of, self._sizes = array("i"), array("i")
        self._identities, self._states = array("q"), array("B")
        self._picture_of, self._class_ids, self._object_identities = array("i"), array("i"), array("q")
        self._corners, self._areas, self._flags = array("d"), array("f"), array("B")

    @property
    def pictures(self) -> int:
        """How many there are so far."""
        return len(self._pictures)

    def class_number(self, name: str) -> int:
        """The number of a class, a new one for a new name."""
        return self.class_numbers.setdefault(name, len(self.class_numbers))

    def add_picture(
        self,
        name: str,
        annotation: str,
        size: tuple[int, int],
        identity: int = NO_IDENTITY,
        state: int = READABLE,
    ) -> int:
        """The new picture's number."""
        self._pictures.append(name)
        self._annotation_of.append(self._annotations.setdefault(annotation, len(self._annotations)))
        self._sizes.extend(size)
        self._identities.append(identity)
        self._states.append(state)
        return len(self._pictures) - 1

    def add_objects(
        self,
        pictures: Sequence[int],
        class_ids: Sequence[int],
        corners: Sequence[float],
        flags: Sequence[int],
        identities: Sequence[int] | None = None,
        areas: Sequence[float] | None = None,
    ) -> None:
        """Objects of any pictures; `corners` are four numbers an object, one after another."""
        count = len(pictures)
        self._picture_of.extend(pictures)
        self._class_ids.extend(class_ids)
        self._corners.extend(corners)
        self._flags.extend(flags)
        self._object_identities.extend(array("q", [NO_IDENTITY]) * count if identities is None else identities)
        self._areas.extend(array("f", [np.nan]) * count if areas is None else areas)

    def add_to_split(self, name: str, pictures: Iterable[int]) -> None:
        """Pictures of a split, in its order."""
        self.splits.setdefault(name, array("i")).extend(pictures)

    def finished(self, *, least_side: float = 0.0, sort_classes: bool = False) -> Index:
        """The arrays, objects grouped by picture in the order in which they came. `least_side` as in `box_faults`."""
        names = list(self.class_numbers)
        new_numbers = np.arange(len(names))
        if sort_classes:
            order = sorted(range(len(names)), key=names.__getitem__)
            names, new_numbers = [names[number] for number in order], np.argsort(order)
        picture_of = np.array(self._picture_of, np.int32)
        by_picture = np.argsort(picture_of, kind="stable")
        corners = np.array(self._corners, np.float64).reshape(-1, 4)[by_picture]
        sizes = np.array(self._sizes, np.int32).reshape(-1, 2)
        faults = box_faults(corners, sizes[picture_of[by_picture]], least_side)
        counts = np.bincount(picture_of, minlength=len(self._pictures))
        return Index(
            kind=self.kind,
            class_names=tuple(names),
            category_ids=self._category_ids(),
            splits={name: np.array(pictures, np.int32) for name, pictures in self.splits.items()},
            picture_names=PackedStrings.of(self._pictures),
            annotation_names=PackedStrings.of(self._annotations),
            annotation_of=np.array(self._annotation_of, np.int32),
            sizes=sizes,
            identities=np.array(self._identities, np.int64),
            states=np.array(self._states, np.uint8),
            first_object=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            boxes=corners.clip(-LARGEST, LARGEST).astype(np.float32),  # what is larger is a fault all the same
            class_ids=new_numbers[np.array(self._class_ids, np.int32)[by_picture]].astype(np.int32),
            flags=np.array(self._flags, np.uint8)[by_picture],
            faults=faults,
            object_identities=np.array(self._object_identities, np.int64)[by_picture],
            areas=np.array(self._areas, np.float32)[by_picture],
            found=dict(self.found),
            further_ids=tuple((identity, self.class_numbers[name]) for name, identity in self.further_ids),
        )

    def _category_ids(self) -> tuple[int, ...]:
        """None where a class has another id in another file, or an id another class: then no number is a class."""
        ids = tuple(identity for _, identity in self.category_ids)
        every = [identity for _, identity in self.category_ids | self.further_ids]
        return ids if len(every) == len(set(every)) and len(ids) == len(self.class_numbers) else ()


def as_arrays(index: Index) -> dict[str, np.ndarray]:
    """What of an index is arrays, by name: to be written to a file."""
    names = ("annotation_of", "sizes", "identities", "states", "first_object", "boxes", "class_ids", "flags", "faults")
    arrays = {name: getattr(index, name) for name in (*names, "object_identities", "areas")}
    for name in ("picture_names", "annotation_names"):
        packed: PackedStrings = getattr(index, name)
        arrays |= {f"{name}.text": packed.text, f"{name}.ends": packed.ends}
    return arrays | {f"splits.{name}": pictures for name, pictures in index.splits.items()}


def as_facts(index: Index) -> dict[str, Any]:
    """The rest, as JSON has it."""
    names = ("kind", "class_names", "category_ids", "found", "further_ids")
    return {name: getattr(index, name) for name in names}


def from_arrays(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> Index:
    """The index that was taken apart."""
    packed: dict[str, Any] = {
        name: PackedStrings(arrays[f"{name}.text"], arrays[f"{name}.ends"])
        for name in ("picture_names", "annotation_names")
    }
    splits = {name.removeprefix("splits."): values for name, values in arrays.items() if name.startswith("splits.")}
    plain: dict[str, Any] = {name: values for name, values in arrays.items() if "." not in name}
    return Index(
        kind=facts["kind"],
        class_names=tuple(facts["class_names"]),
        category_ids=tuple(facts["category_ids"]),
        splits=splits,
        found=facts["found"],
        further_ids=tuple((identity, number) for identity, number in facts["further_ids"]),
        **packed,
        **plain,
    )
