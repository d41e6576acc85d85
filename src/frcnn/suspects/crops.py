"""The part of a picture that a suspicion is about: annotations in dashed lines, what was detected in solid ones."""

from collections.abc import Iterable, Sequence

from PIL import Image

from frcnn.drawing import WHITE, Colour, Labelled, draw_boxes, shortened
from frcnn.suspects.suspect import Box, Suspect

ANNOTATED: Colour = (255, 140, 0)  # these two are told apart by everyone, whatever their eyes
PROPOSED: Colour = (30, 120, 255)
MARGIN = 0.4  # of the longer side of what is shown: who judges an object wants to see round it
LEAST_MARGIN = 24.0  # pixels of the picture
SIDE = 400  # pixels of a drawn crop's long side
LARGEST_ENLARGEMENT = 4.0
LEAST_LINE = 3  # pixels: a crop is shown about as large as it is, and must be read on a phone

Region = tuple[int, int, int, int]  # left, top, right, bottom: whole pixels


def crop(picture: Image.Image, suspect: Suspect, others: Iterable[Box] = ()) -> Image.Image:
    """What the suspicion is about and round it; `others` are annotated as well, and drawn in white.

    Scaled first, drawn then: lines and letters are as crisp in a small picture as in a large one.
    """
    annotated, proposed = suspect.annotated, suspect.proposed
    region = region_of([one.box for one in (annotated, proposed) if one is not None], picture.size)
    left, top, right, bottom = region
    scale = min(SIDE / max(right - left, bottom - top), LARGEST_ENLARGEMENT)
    size = (max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1))

    def placed(box: Box, label: str, colour: Colour) -> Labelled:
        corners = [(corner - start) * scale for corner, start in zip(box, (left, top) * 2, strict=True)]
        return Labelled(corners, label, colour)

    solid, dashed = [], [placed(box, "", WHITE) for box in others if _meet(box, region)]
    if proposed is not None:
        solid.append(placed(proposed.box, f"{shortened(proposed.class_name)} {proposed.score:.2f}", PROPOSED))
    if annotated is not None:
        dashed.append(placed(annotated.box, shortened(annotated.class_name), ANNOTATED))
    return draw_boxes(picture.resize(size, Image.Resampling.BICUBIC, region), solid, dashed, LEAST_LINE)


def region_of(boxes: Sequence[Box], size: tuple[int, int]) -> Region:
    """All of the boxes and a margin, inside a picture of `size` (width, height), and at least a pixel of it."""
    x1, y1 = (min(box[axis] for box in boxes) for axis in (0, 1))
    x2, y2 = (max(box[axis] for box in boxes) for axis in (2, 3))
    margin = max(MARGIN * max(x2 - x1, y2 - y1), LEAST_MARGIN)
    left, top = (min(max(int(low - margin), 0), side - 1) for low, side in zip((x1, y1), size, strict=True))
    right, bottom = (min(int(high + margin) + 1, side) for high, side in zip((x2, y2), size, strict=True))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _meet(box: Box, region: Region) -> bool:
    return box[0] < region[2] and box[2] > region[0] and box[1] < region[3] and box[3] > region[1]
