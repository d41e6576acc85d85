"""What becomes of each box and each class in a mended copy."""

import numpy as np
from jaxtyping import Int

from frcnn.data.box_faults import NO_AREA, NOT_FOUR_NUMBERS, OUTSIDE, SOUND, box_faults
from frcnn.data.checking.box_rules import same_boxes
from frcnn.data.checking.boxes import TANGLED, untangled
from frcnn.data.checking.layouts import IN_WORDS, first_pixel
from frcnn.data.checking.plan import Plan


def untangle(plan: Plan) -> None:
    """First of all, before pictures are turned, as it is the numbers of the file that have changed places."""
    tangled = plan.one.boxes.faults == TANGLED
    firsts = np.where(plan.one.boxes.wrong_scale, 0.0, first_pixel(plan.one.said.kind))
    plan.corners[tangled] = untangled(plan.corners, firsts)[tangled]


def plan_boxes(plan: Plan) -> None:
    """Decide about each box, its picture being as it will be."""
    one = plan.one
    for mistake in one.boxes.mistakes:
        what = f"{mistake.boxes} boxes converted from ({IN_WORDS[mistake.layout]})"
        plan.tell(mistake.file or one.said.source.root, mistake.line, "other layout", what)
    _leave_out_doubtful(plan)
    for row in np.flatnonzero(one.boxes.wrong_scale & plan.kept).tolist():
        what = "converted, without its keypoints" if plan.has_keypoints else "converted"
        plan.tell_of_box(row, "fractions" if one.said.kind != "yolo" else "pixels", what)
    for row in np.flatnonzero((one.boxes.faults == TANGLED) & plan.kept).tolist():
        plan.tell_of_box(row, "swapped corners", "corners swapped")
    _clip(plan, plan.sizes[one.said.objects.picture], first_pixel(one.said.kind))
    _take_out_doubles(plan)


def plan_classes(plan: Plan) -> None:
    """Tell which are called otherwise, and which ought perhaps to be."""
    root = plan.one.said.source.root
    for wrong, right in plan.renamed.items():
        plan.tell(root, None, "misspelt class", f"the class {wrong!r} is called {right!r}")
    for wrong, right in plan.doubted.items():
        plan.doubt(root, None, "misspelt class", f"is the class {wrong!r} meant, or {right!r}?")


def _leave_out_doubtful(plan: Plan) -> None:
    """A box that could be mended in two ways: what is only half known is not learnt."""
    boxes = plan.one.boxes
    for row in np.flatnonzero(boxes.doubtful & plan.kept).tolist():
        kind = "outside" if boxes.faults[row] == OUTSIDE else "swapped corners"
        written, other = IN_WORDS[int(boxes.layouts[row])], IN_WORDS[int(boxes.others[row])]
        plan.tell_of_box(row, kind, f"left out: is it ({written}) or ({other})?", done=False)
        plan.kept[row] = False


def _clip(plan: Plan, sizes: Int[np.ndarray, "G 2"], least_side: float) -> None:
    """What leaves its picture; what has no area then, or had none, is left out."""
    faults = box_faults(plan.corners, sizes, least_side)
    outside = plan.kept & (faults == OUTSIDE)
    borders = sizes[:, [1, 0, 1, 0]].astype(np.float64)
    plan.corners[outside] = plan.corners.clip(0, borders)[outside]
    after = box_faults(plan.corners, sizes, least_side)
    for row in np.flatnonzero(outside & (after == SOUND)).tolist():
        plan.tell_of_box(row, "outside", "clipped to its picture")
    for row in np.flatnonzero(plan.kept & (after != SOUND)).tolist():
        kind = {NOT_FOUR_NUMBERS: "not a number", NO_AREA: "no area"}.get(int(faults[row]), "outside")
        plan.tell_of_box(row, kind, "left out")
        plan.kept[row] = False


def _take_out_doubles(plan: Plan) -> None:
    """The later of two boxes of one class; of two classes nobody knows which is right."""
    said = plan.one.said
    for first, second in same_boxes(plan.one).tolist():
        if not (plan.kept[first] and plan.kept[second]):
            continue
        if plan.class_name(first) == plan.class_name(second):
            plan.tell_of_box(second, "duplicate box", "left out, as it is there once more")
            plan.kept[second] = False
        else:
            what = f"{said.object_name(second)} has the box of {said.object_name(first)}: which is it?"
            plan.doubt(said.annotation_of(second), int(said.objects.line[second]), "two classes", what)
