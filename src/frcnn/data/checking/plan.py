"""What becomes of a data set in its mended copy: decided by rules, carried out by the formats' writers.

N pictures, G objects of one data set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from frcnn.data.checking.class_names import Slip
from frcnn.data.checking.examination import ExaminedSet
from frcnn.data.checking.layouts import OWN, to_numbers
from frcnn.data.checking.statements import Listing
from frcnn.data.yolo import YoloSet


class Deed(NamedTuple):
    """Something that was done, or (`done` false) left as it is, or out, because nothing could be decided."""

    file: Path
    line: int | None
    kind: str
    what: str
    done: bool = True


@dataclass
class Plan:
    """What becomes of one data set. Corners are half-open, in the pictures as they will be."""

    one: ExaminedSet
    sizes: Int[np.ndarray, "N 2"]  # of the pictures as they will be; 0 for those left out
    corners: Float[np.ndarray, "G 4"]
    kept: Bool[np.ndarray, " G"]
    changed: Bool[np.ndarray, " G"]  # boxes that are written anew
    moved: Bool[np.ndarray, " G"]  # those whose outlines would not fit any more
    renamed: Mapping[str, str]  # classes
    doubted: Mapping[str, str]  # classes that may be those misspelt
    left_out: set[int] = field(default_factory=set)  # pictures
    stored_anew: set[int] = field(default_factory=set)
    unlisted: set[Listing] = field(default_factory=set)
    deeds: list[Deed] = field(default_factory=list)

    def rows_of(self, picture: int) -> Int[np.ndarray, " _"]:
        """The rows of a picture's objects."""
        return self.one.said.objects.rows_of(picture)

    def rows_by_place(self, picture: int) -> dict[int, int]:
        """The rows of a picture's objects that are kept, by their places in its file."""
        rows = self.rows_of(picture)
        rows = rows[self.kept[rows]]
        return dict(zip(self.one.said.objects.place[rows].tolist(), rows.tolist(), strict=True))

    def kept_listings(self, split: str) -> list[Listing]:
        """Those of a split, in their order."""
        of_split = (listing for listing in self.one.said.listings if listing.split == split)
        return [item for item in of_split if item not in self.unlisted and item.picture not in self.left_out]

    def class_name(self, row: int) -> str:
        """Of an object, rightly spelt."""
        name = self.one.said.class_names[int(self.one.said.objects.class_id[row])]
        return self.renamed.get(name, name)

    def numbers(self, row: int) -> list[float]:
        """The box of an object as its file will have it."""
        size = self.sizes[self.one.said.objects.picture[[row]]]
        return to_numbers(self.one.said.kind, self.corners[[row]], size)[0].tolist()

    @property
    def has_keypoints(self) -> bool:
        """Whether lines of YOLO hold the points of a pose behind their boxes."""
        return isinstance(self.one.said.source, YoloSet) and self.one.said.source.keypoints > 0

    def keeps_keypoints(self, row: int) -> bool:
        """Whether those of an object stay as they are where its box is written anew: those in pixels cannot."""
        return self.has_keypoints and not self.one.boxes.wrong_scale[row]

    def tell(self, file: Path, line: int | None, kind: str, what: str) -> None:
        """Of something that is done."""
        self.deeds.append(Deed(file, line, kind, what))

    def doubt(self, file: Path, line: int | None, kind: str, what: str) -> None:
        """Of something that is left as it is."""
        self.deeds.append(Deed(file, line, kind, f"left as it is: {what}", done=False))

    def tell_of_box(self, row: int, kind: str, what: str, done: bool = True) -> None:
        """Of a box that is written anew, or left out; not `done` where that is for want of knowing better."""
        said = self.one.said
        self.changed[row] = True
        whole = f"{said.object_name(row)}, the box {said.written_box(row)}: {what}"
        self.deeds.append(Deed(said.annotation_of(row), int(said.objects.line[row]), kind, whole, done))

    def leave_out(self, number: int, kind: str, why: str) -> None:
        """A picture with its objects; told once, whatever else is wrong with it."""
        if number not in self.left_out:
            self.left_out.add(number)
            self.sizes[number] = 0
            self.kept[self.rows_of(number)] = False
            path = self.one.said.pictures[number].path
            self.tell(path, None, kind, f"left out with its objects: {why}")

    def store_anew(self, number: int, kind: str, what: str) -> None:
        """A picture."""
        self.stored_anew.add(number)
        self.tell(self.one.said.pictures[number].path, None, kind, what)


def begun_plan(one: ExaminedSet, misspelt: Mapping[str, Slip]) -> Plan:
    """That leaves everything as it was meant, with its classes rightly spelt where that is beyond doubt."""
    seen = [look.seen if look is not None else (0, 0) for look in one.looks]
    objects = len(one.said.objects)
    mine = {name: slip for name, slip in misspelt.items() if name in one.said.class_names}
    return Plan(
        one,
        sizes=np.array(seen, np.int64).reshape(-1, 2),
        corners=one.boxes.corners.copy(),
        kept=np.ones(objects, bool),
        changed=np.array(one.boxes.wrong_scale | (one.boxes.layouts != OWN[one.said.kind])),
        moved=np.zeros(objects, bool),
        renamed={name: slip.right for name, slip in mine.items() if slip.is_certain and _can_rename(one, slip)},
        doubted={name: slip.right for name, slip in mine.items() if not slip.is_certain},
    )


def _can_rename(one: ExaminedSet, slip: Slip) -> bool:
    """YOLO's classes are numbers, so the right one must have one there."""
    return one.said.kind != "yolo" or slip.right in one.said.class_names
