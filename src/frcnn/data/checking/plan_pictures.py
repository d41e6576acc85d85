"""Which pictures a mended copy leaves out, which it stores anew, and what that means for their boxes."""

import os
from pathlib import Path

import numpy as np

from frcnn.data.checking.frames import OTHER, OTHER_BUT_FITS, TURN_DOUBTFUL, TURN_KNOWN, TURN_NOT_KNOWN
from frcnn.data.checking.looks import Look
from frcnn.data.checking.plan import Plan
from frcnn.data.checking.statements import PictureSaid, Size
from frcnn.data.checking.upright import turn_boxes
from frcnn.naming import pixels


def plan_pictures(plan: Plan) -> None:
    """Decide about each picture of a data set."""
    unreadable = {finding.file for finding in plan.one.said.findings if finding.kind == "unreadable annotation"}
    for number, verdict in enumerate(plan.one.frames.verdicts.tolist()):
        look, picture = plan.one.looks[number], plan.one.said.pictures[number]
        if look is None:
            plan.leave_out(number, "missing picture", "the picture is missing")
        elif look.problem:
            plan.leave_out(number, "broken picture", look.problem)
        elif picture.annotation in unreadable:
            plan.leave_out(number, "unreadable annotation", "nobody knows what is in it")
        elif plan.one.said.kind == "coco" and lies_outside(plan.one.said.source.root, picture.path):
            plan.leave_out(number, "foreign picture", "it lies outside the folder of the data set")
        else:
            _plan_size(plan, number, look, verdict)
            _plan_kind(plan, number, look)


def lies_outside(root: Path, path: Path) -> bool:
    """Is a path, taken as written, not below a folder?"""
    return os.path.relpath(path, root).startswith(os.pardir)


def _plan_kind(plan: Plan, number: int, look: Look) -> None:
    if look.mode == "CMYK":
        plan.store_anew(number, "cmyk", "stored as RGB")
    if look.is_deep:
        plan.store_anew(number, "16 bit", "stored with 8 bits a channel")
    if look.frames > 1:
        path = plan.one.said.pictures[number].path
        plan.doubt(path, None, "several frames", "which of its frames is meant?")


def _plan_size(plan: Plan, number: int, look: Look, verdict: int) -> None:
    picture = plan.one.said.pictures[number]
    if verdict == TURN_NOT_KNOWN:
        _turn(plan, number, look)
    elif verdict == TURN_KNOWN:
        plan.store_anew(number, "exif rotation", "stored upright; its boxes were right")
    elif verdict == TURN_DOUBTFUL:
        plan.doubt(picture.path, None, "exif rotation", "did the annotator see it turned?")
    elif verdict == OTHER_BUT_FITS and plan.one.said.kind == "coco":
        plan.tell(picture.annotation, picture.size_line, "other size", f"its size written as {pixels(look.seen)}")
    elif verdict == OTHER_BUT_FITS:
        what = "was the picture made smaller, or is its <size> wrong?"
        plan.doubt(picture.annotation, picture.size_line, "other size", what)
    elif verdict == OTHER:
        _scale(plan, number, look, picture)


def _turn(plan: Plan, number: int, look: Look) -> None:
    rows = plan.rows_of(number)
    plan.corners[rows] = turn_boxes(plan.corners[rows], look.orientation, look.stored)
    plan.changed[rows] = plan.moved[rows] = True
    plan.store_anew(number, "exif rotation not seen", "stored upright, its boxes turned with it")


def _scale(plan: Plan, number: int, look: Look, picture: PictureSaid) -> None:
    """Where the picture was made smaller or larger as a whole; else nobody knows where its boxes lie."""
    if picture.size is None or not _same_shape(picture.size, look.seen):
        plan.leave_out(number, "other size", "nobody knows how its boxes lie in it")
        return
    rows = plan.rows_of(number)
    plan.corners[rows] *= np.array(look.seen[::-1] * 2) / np.array(picture.size[::-1] * 2)
    plan.changed[rows] = plan.moved[rows] = True
    what = f"its boxes scaled from {pixels(picture.size)} to {pixels(look.seen)}"
    plan.tell(picture.annotation, picture.size_line, "other size", what)


def _same_shape(first: Size, second: Size) -> bool:
    """Is one the other made smaller? Sides are rounded to whole pixels."""
    return abs(first[0] * second[1] - first[1] * second[0]) <= max(*first, *second)
