"""The part of a picture that a suspicion is about: annotations in dashed lines, what was detected in solid ones."""

from collections.abc import Iterable

from PIL import Image

from frcnn.cropping import BLUE, ORANGE, Region, draw_region, region_of
from frcnn.drawing import WHITE, Colour, Labelled, shortened
from frcnn.suspects.suspect import Box, Suspect

ANNOTATED: Colour = ORANGE
PROPOSED: Colour = BLUE


def crop(picture: Image.Image, suspect: Suspect, others: Iterable[Box] = ()) -> Image.Image:
    """What the suspicion is about and round it; `others` are annotated as well, and drawn in white."""
    annotated, proposed = suspect.annotated, suspect.proposed
    region = region_of([one.box for one in (annotated, proposed) if one is not None], picture.size)
    solid, dashed = [], [Labelled(box, "", WHITE) for box in others if _meet(box, region)]
    if proposed is not None:
        solid.append(Labelled(proposed.box, f"{shortened(proposed.class_name)} {proposed.score:.2f}", PROPOSED))
    if annotated is not None:
        dashed.append(Labelled(annotated.box, shortened(annotated.class_name), ANNOTATED))
    return draw_region(picture, region, solid, dashed)


def _meet(box: Box, region: Region) -> bool:
    return box[0] < region[2] and box[2] > region[0] and box[1] < region[3] and box[3] > region[1]
