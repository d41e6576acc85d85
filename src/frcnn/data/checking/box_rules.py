"""What is wrong with boxes, each told with the numbers of its file."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from frcnn.data.box_faults import NO_AREA, NOT_FOUR_NUMBERS, OUTSIDE, SOUND
from frcnn.data.checking.box_pairs import close_pairs, overlap
from frcnn.data.checking.boxes import TANGLED, Mistake
from frcnn.data.checking.examination import ExaminedSet
from frcnn.data.checking.findings import Drawing, Finding, Severity, error, finding
from frcnn.data.checking.frames import UNSEEN
from frcnn.data.checking.layouts import IN_WORDS, OWN
from frcnn.naming import counted, pixels

LEAST_SIDE = 2.0  # pixels: nothing can be recognised in less
ONE_BOX = 0.99  # overlap (IoU) of a box that two classes have; of less, two things may fill one picture


def find_box_faults(one: ExaminedSet) -> list[Finding]:
    """All faults of the boxes of a set."""
    findings = [_mistaken(one, mistake) for mistake in one.boxes.mistakes]
    findings += [_faulty(one, row) for row in np.flatnonzero(one.boxes.faults != SOUND).tolist()]
    findings += [_mis_scaled(one, row) for row in np.flatnonzero(one.boxes.wrong_scale & _sound(one)).tolist()]
    for row in np.flatnonzero(_tiny(one)).tolist():
        message = f"is less than {LEAST_SIDE:g} pixels wide or high: is it meant?"
        findings.append(_about(one, row, "warning", "tiny box", message))
    return findings + [_double(one, first, second) for first, second in same_boxes(one).tolist()]


def same_boxes(one: ExaminedSet) -> Int[np.ndarray, "P 2"]:
    """Pairs of rows whose boxes are as good as the same; a crowd may lie over one of its own."""
    rows = np.flatnonzero(_sound(one) & ~one.said.is_crowd())
    pairs = rows[close_pairs(one.boxes.corners[rows], one.said.objects.picture[rows])]
    first, second = one.boxes.corners[pairs.T]
    of_one_class = np.equal(*one.said.objects.class_id[pairs.T])
    return pairs[of_one_class | (overlap(first, second) > ONE_BOX)]


def _sound(one: ExaminedSet) -> Bool[np.ndarray, " G"]:
    return one.boxes.faults == SOUND


def _tiny(one: ExaminedSet) -> Bool[np.ndarray, " G"]:
    with np.errstate(invalid="ignore"):
        sides = (one.boxes.corners[:, 2:] - one.boxes.corners[:, :2]).min(axis=1, initial=np.inf)
        seen = one.frames.verdicts[one.said.objects.picture] != UNSEEN
        return _sound(one) & (sides < LEAST_SIDE) & (seen | (one.said.kind != "yolo"))


def _about(
    one: ExaminedSet, row: int, severity: Severity, kind: str, message: str, other: int | None = None
) -> Finding:
    """`other`: a row whose box is to be seen beside it."""
    said = one.said
    what = f"{said.object_name(row)}: the box {said.written_box(row)} {message}"
    told = finding(severity, kind, said.annotation_of(row), int(said.objects.line[row]), what)
    return replace(told, drawing=_drawing(one, row, other))


def _drawing(one: ExaminedSet, row: int, other: int | None) -> Drawing | None:
    """None where the box is none, or the picture is not the one that the box was drawn on."""
    said, boxes = one.said, one.boxes
    number = int(said.objects.picture[row])
    look = one.looks[number]
    is_its_own = look is not None and not look.problem and look.seen == tuple(one.frames.sizes[number].tolist())
    if not is_its_own or boxes.faults[row] == NOT_FOUR_NUMBERS:
        return None
    drawing = Drawing(said.pictures[number].path, _ordered(boxes.corners[row]), said.class_name(row))
    if other is not None:
        return drawing._replace(other=_ordered(boxes.corners[other]), other_name=said.class_name(other))
    if boxes.doubtful[row]:
        layout = IN_WORDS[int(boxes.others[row])]
        return drawing._replace(other=_ordered(boxes.other_corners[row]), other_name=layout)
    return drawing


def _ordered(corners: Float[np.ndarray, " 4"]) -> tuple[float, ...]:
    """Swapped ones as they are meant."""
    return *np.minimum(corners[:2], corners[2:]).tolist(), *np.maximum(corners[:2], corners[2:]).tolist()


def _faulty(one: ExaminedSet, row: int) -> Finding:
    height, width = (int(side) for side in one.frames.sizes[one.said.objects.picture[row]])
    doubt = f"; or is it ({IN_WORDS[int(one.boxes.others[row])]})?" if one.boxes.doubtful[row] else ""
    kind, message = {
        NOT_FOUR_NUMBERS: ("not a number", "is not made of four numbers: mend it, or take it out"),
        NO_AREA: ("no area", "has no area: mend it, or take it out"),
        TANGLED: ("swapped corners", f"ends before it begins: swap its corners{doubt}"),
        OUTSIDE: ("outside", f"leaves its picture of {pixels((height, width))} pixels: clip it, or take it out{doubt}"),
    }[int(one.boxes.faults[row])]
    return _about(one, row, "error", kind, message)


def _mis_scaled(one: ExaminedSet, row: int) -> Finding:
    if one.said.kind == "yolo":
        return _about(one, row, "error", "pixels", "is in pixels: divide it by the sides of its picture")
    return _about(one, row, "error", "fractions", "is in fractions of its picture: multiply it by the picture's sides")


def _mistaken(one: ExaminedSet, mistake: Mistake) -> Finding:
    is_, ought = IN_WORDS[mistake.layout], IN_WORDS[OWN[one.said.kind]]
    message = (
        f"its boxes ({counted(mistake.boxes, 'box', 'boxes')}) are ({is_}), where ({ought}) is meant: convert them"
    )
    return error("other layout", mistake.file or one.said.source.root, mistake.line, message)


def _double(one: ExaminedSet, first: int, second: int) -> Finding:
    objects, said = one.said.objects, one.said
    before = said.object_name(first)
    before += f" in line {objects.line[first]}" if said.kind == "yolo" else ""
    if objects.class_id[first] == objects.class_id[second]:
        return _about(one, second, "warning", "duplicate box", f"is that of {before} once more: take one out", first)
    return _about(one, second, "warning", "two classes", f"is that of {before} too: which is it?", first)
