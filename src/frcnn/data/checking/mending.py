"""What becomes of each picture and each object in a mended copy: decided here, written by the formats' writers.

N pictures, G objects of one data set.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from frcnn.data.box_faults import NO_AREA, NOT_FOUR_NUMBERS, OUTSIDE, SOUND, box_faults
from frcnn.data.checking.box_rules import same_boxes
from frcnn.data.checking.boxes import TANGLED, untangled
from frcnn.data.checking.class_rules import misspelt_classes
from frcnn.data.checking.examination import Examination, ExaminedSet, Place
from frcnn.data.checking.frames import OTHER, OTHER_BUT_FITS, TURN_DOUBTFUL, TURN_KNOWN, TURN_NOT_KNOWN
from frcnn.data.checking.layouts import IN_WORDS, OWN, first_pixel
from frcnn.data.checking.naming import pixels
from frcnn.data.checking.picture_rules import is_sixteen_bit
from frcnn.data.checking.split_rules import misplaced_listings
from frcnn.data.checking.statements import Listing, Size
from frcnn.data.checking.upright import turn_boxes


class Deed(NamedTuple):
    """Something that was done, or (`done` false) left as it is because nothing could be decided."""

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
    left_out: set[int] = field(default_factory=set)  # pictures
    stored_anew: set[int] = field(default_factory=set)
    unlisted: set[Listing] = field(default_factory=set)
    deeds: list[Deed] = field(default_factory=list)

    def class_name(self, row: int) -> str:
        """Of an object, rightly spelt."""
        name = self.one.said.class_names[int(self.one.said.objects.class_id[row])]
        return self.renamed.get(name, name)

    def rows_by_place(self, picture: int) -> dict[int, int]:
        """The rows of a picture's objects that are kept, by their places in its file."""
        begin, end = np.searchsorted(self._pictures, (picture, picture + 1))
        rows = self._by_picture[begin:end]
        rows = rows[self.kept[rows]]
        return dict(zip(self.one.said.objects.place[rows].tolist(), rows.tolist(), strict=True))

    def __post_init__(self) -> None:
        self._by_picture = np.argsort(self.one.said.objects.picture, kind="stable")
        self._pictures = self.one.said.objects.picture[self._by_picture]


def plan_all(examination: Examination) -> list[Plan]:
    """One for each data set."""
    misspelt = misspelt_classes(examination)
    plans = [_begun(one, misspelt) for one in examination.sets]
    for number, plan in enumerate(plans):
        _tell_what_was_not_read(plan)
        _untangle(plan)
        _decide_pictures(plan)
        _decide_splits(plan, number, examination)
        _decide_boxes(plan)
        _decide_classes(plan)
    return plans


def _begun(one: ExaminedSet, misspelt: Mapping[str, str]) -> Plan:
    seen = [look.seen if look is not None else (0, 0) for look in one.looks]
    objects = len(one.said.objects)
    own = one.boxes.wrong_scale | (one.boxes.layouts != OWN[one.said.kind])
    return Plan(
        one,
        np.array(seen, np.int64).reshape(-1, 2),
        one.boxes.corners.copy(),
        np.ones(objects, bool),
        own.copy(),
        np.zeros(objects, bool),
        {wrong: right for wrong, right in misspelt.items() if _can_rename(one, wrong, right)},
    )


def _can_rename(one: ExaminedSet, wrong: str, right: str) -> bool:
    """YOLO's classes are numbers, so the right one must have one there."""
    return wrong in one.said.class_names and (one.said.kind != "yolo" or right in one.said.class_names)


def _tell_what_was_not_read(plan: Plan) -> None:
    """What could not be taken down is not copied; what was only counted is."""
    for finding in plan.one.said.findings:
        if finding.severity == "error":
            told = finding.message.rsplit(": ", 1)[0]
            plan.deeds.append(Deed(finding.file, finding.line, finding.kind, f"{_remedy(finding.kind)}: {told}"))


def _remedy(kind: str) -> str:
    return {"no split": "all pictures are in trainval", "duplicate id": "told apart or left out"}.get(kind, "left out")


def _untangle(plan: Plan) -> None:
    """First of all, as it is the numbers of the file that have changed places."""
    tangled = plan.one.boxes.faults == TANGLED
    firsts = np.where(plan.one.boxes.wrong_scale, 0.0, first_pixel(plan.one.said.kind))
    plan.corners[tangled] = untangled(plan.corners, firsts)[tangled]


def _decide_pictures(plan: Plan) -> None:
    unreadable = {finding.file for finding in plan.one.said.findings if finding.kind == "unreadable annotation"}
    for number, verdict in enumerate(plan.one.frames.verdicts.tolist()):
        look, picture = plan.one.looks[number], plan.one.said.pictures[number]
        if look is None:
            _leave_out(plan, number, "missing picture", "the picture is missing")
        elif look.problem:
            _leave_out(plan, number, "broken picture", look.problem)
        elif picture.annotation in unreadable:
            _leave_out(plan, number, "unreadable annotation", "nobody knows what is in it")
        elif plan.one.said.kind == "coco" and lies_outside(plan.one.said.source.root, picture.path):
            _leave_out(plan, number, "foreign picture", "it lies outside the folder of the data set")
        else:
            _decide_size(plan, number, verdict)
            if look.mode == "CMYK" or is_sixteen_bit(look.mode):
                _store_anew(plan, number, "cmyk" if look.mode == "CMYK" else "16 bit", "stored as RGB of 8 bits")
            if look.frames > 1:
                what = "left as it is: which of its frames is meant?"
                plan.deeds.append(Deed(picture.path, None, "several frames", what, done=False))


def lies_outside(root: Path, path: Path) -> bool:
    """Is a path, taken as written, not below a folder?"""
    return os.path.relpath(path, root).startswith(os.pardir)


def _leave_out(plan: Plan, number: int, kind: str, why: str) -> None:
    picture = plan.one.said.pictures[number]
    if number not in plan.left_out:
        plan.left_out.add(number)
        plan.sizes[number] = 0
        plan.kept[plan.one.said.objects.picture == number] = False
        plan.deeds.append(Deed(picture.path, None, kind, f"left out with its objects: {why}"))


def _store_anew(plan: Plan, number: int, kind: str, what: str) -> None:
    plan.stored_anew.add(number)
    plan.deeds.append(Deed(plan.one.said.pictures[number].path, None, kind, what))


def _decide_size(plan: Plan, number: int, verdict: int) -> None:
    look, picture = plan.one.looks[number], plan.one.said.pictures[number]
    assert look is not None  # asked for pictures that were seen
    rows = plan.one.said.objects.picture == number
    if verdict == TURN_NOT_KNOWN:
        plan.corners[rows] = turn_boxes(plan.corners[rows], look.orientation, look.stored)
        plan.changed |= rows
        plan.moved |= rows
        _store_anew(plan, number, "exif rotation not seen", "stored upright, its boxes turned with it")
    elif verdict == TURN_KNOWN:
        _store_anew(plan, number, "exif rotation", "stored upright; its boxes were right")
    elif verdict == TURN_DOUBTFUL:
        what = "left as it is: did the annotator see it turned?"
        plan.deeds.append(Deed(picture.path, None, "exif rotation", what, done=False))
    elif verdict == OTHER_BUT_FITS and plan.one.said.kind == "coco":
        what = f"its size written as {pixels(look.seen)}"
        plan.deeds.append(Deed(picture.annotation, picture.size_line, "other size", what))
    elif verdict == OTHER_BUT_FITS:
        what = "left as it is: was the picture made smaller, or is its <size> wrong?"
        plan.deeds.append(Deed(picture.annotation, picture.size_line, "other size", what, done=False))
    elif verdict == OTHER and picture.size is not None and _same_shape(picture.size, look.seen):
        factors = np.array(look.seen[::-1] * 2) / np.array(picture.size[::-1] * 2)
        plan.corners[rows] *= factors
        plan.changed |= rows
        plan.moved |= rows
        what = f"its boxes scaled from {pixels(picture.size)} to {pixels(look.seen)}"
        plan.deeds.append(Deed(picture.annotation, picture.size_line, "other size", what))
    elif verdict == OTHER:
        _leave_out(plan, number, "other size", "nobody knows how its boxes lie in it")


def _same_shape(first: Size, second: Size) -> bool:
    """Is one the other made smaller? Sides are rounded to whole pixels."""
    return abs(first[0] * second[1] - first[1] * second[0]) <= max(*first, *second)


def _decide_splits(plan: Plan, number: int, examination: Examination) -> None:
    for leak in examination.leaks:
        if leak.picture[0] == number and leak.same:
            other = examination.picture(leak.other).path
            _leave_out(plan, leak.picture[1], "picture in two splits", f"{other} is the same picture")
        elif leak.picture[0] == number:
            _leave_alike(plan, leak.picture, examination.picture(leak.other).path)
    for repeat in examination.repeats:
        if repeat.picture[0] == number:
            _leave_alike(plan, repeat.picture, examination.picture(repeat.other).path)
    for picture in range(len(plan.one.said.pictures)):
        for listing in misplaced_listings(examination, (number, picture)):
            plan.unlisted.add(listing)
            plan.deeds.append(Deed(listing.file, listing.line, "in two splits", f"taken out of {listing.split}"))
            if plan.one.said.kind == "coco":
                last = examination.last_split((number, picture))
                _leave_out(plan, picture, "in two splits", f"its file is in {last} too")
    seen: set[tuple[str, int]] = set()
    for listing in plan.one.said.listings:
        if (listing.split, listing.picture) in seen:
            plan.deeds.append(Deed(listing.file, listing.line, "listed twice", f"is in {listing.split} once"))
        seen.add((listing.split, listing.picture))


def _leave_alike(plan: Plan, place: Place, other: Path) -> None:
    path = plan.one.said.pictures[place[1]].path
    what = f"left as it is: which of it and {other} is to go?"
    plan.deeds.append(Deed(path, None, "duplicate picture", what, done=False))


def _decide_boxes(plan: Plan) -> None:
    one, sizes = plan.one, plan.sizes[plan.one.said.objects.picture]
    for mistake in one.boxes.mistakes:
        what = f"{mistake.boxes} boxes converted from ({IN_WORDS[mistake.layout]})"
        plan.deeds.append(Deed(mistake.file or one.said.source.root, None, "other layout", what))
    for row in np.flatnonzero(one.boxes.wrong_scale & plan.kept).tolist():
        _do(plan, row, "fractions" if one.said.kind != "yolo" else "pixels", "converted")
    for row in np.flatnonzero((one.boxes.faults == TANGLED) & plan.kept).tolist():
        _do(plan, row, "swapped corners", "corners swapped")
    _clip(plan, sizes, first_pixel(one.said.kind))
    _take_out_doubles(plan)


def _clip(plan: Plan, sizes: Int[np.ndarray, "G 2"], least_side: float) -> None:
    """What leaves its picture; what has no area then, or had none, is left out."""
    faults = box_faults(plan.corners, sizes, least_side)
    outside = plan.kept & (faults == OUTSIDE)
    borders = sizes[:, [1, 0, 1, 0]].astype(np.float64)
    plan.corners[outside] = plan.corners.clip(0, borders)[outside]
    after = box_faults(plan.corners, sizes, least_side)
    for row in np.flatnonzero(outside & (after == SOUND)).tolist():
        _do(plan, row, "outside", "clipped to its picture")
    for row in np.flatnonzero(plan.kept & (after != SOUND)).tolist():
        kind = {NOT_FOUR_NUMBERS: "not a number", NO_AREA: "no area"}.get(int(faults[row]), "outside")
        _do(plan, row, kind, "left out")
        plan.kept[row] = False


def _do(plan: Plan, row: int, kind: str, what: str) -> None:
    said = plan.one.said
    picture = said.pictures[int(said.objects.picture[row])]
    whole = f"{said.object_name(row)}, the box {said.written_box(row)}: {what}"
    plan.changed[row] = True
    plan.deeds.append(Deed(picture.annotation, int(said.objects.line[row]), kind, whole))


def _take_out_doubles(plan: Plan) -> None:
    """The later of two boxes of one class; of two classes nobody knows which is right."""
    for first, second in same_boxes(plan.one).tolist():
        if not (plan.kept[first] and plan.kept[second]):
            continue
        if plan.class_name(first) == plan.class_name(second):
            _do(plan, second, "duplicate box", "left out, as it is there once more")
            plan.kept[second] = False
        else:
            said = plan.one.said
            file = said.pictures[int(said.objects.picture[second])].annotation
            what = f"{said.object_name(second)}: left as it is, though {said.object_name(first)} has the same box"
            plan.deeds.append(Deed(file, int(said.objects.line[second]), "two classes", what, done=False))


def _decide_classes(plan: Plan) -> None:
    for wrong, right in plan.renamed.items():
        what = f"the class {wrong!r} is called {right!r}"
        plan.deeds.append(Deed(plan.one.said.source.root, None, "misspelt class", what))
