"""The part of a picture that a suspicion is about, with what is annotated and what was detected drawn into it."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from frcnn.drawing import BLACK, WHITE, Colour
from frcnn.suspects.suspect import Box

ANNOTATED: Colour = (255, 140, 0)  # these two are told apart by everyone, whatever their eyes
PROPOSED: Colour = (30, 120, 255)
MARGIN = 0.4  # of the longer side of what is shown: who judges an object wants to see round it
LEAST_MARGIN = 24.0  # pixels of the picture
SIDE = 320  # pixels of a drawn crop's long side
LARGEST_ENLARGEMENT = 4.0
LINE = 3


def crop(picture: Image.Image, annotated: Box | None, proposed: Box | None, others: Sequence[Box] = ()) -> Image.Image:
    """At least one of both boxes is given; `others`, annotated as well, are drawn thin and white.

    The annotation's line lies outside its box and the proposal's inside, so that both are seen where they coincide.
    """
    region = _region([box for box in (annotated, proposed) if box is not None], picture.size)
    left, top, right, bottom = region
    scale = min(SIDE / max(right - left, bottom - top), LARGEST_ENLARGEMENT)
    size = (max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1))
    drawn = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC, region)
    pen = ImageDraw.Draw(drawn)

    def draw(box: Box, colour: Colour, width: int, grown: float) -> None:
        x1, y1, x2, y2 = ((corner - start) * scale for corner, start in zip(box, (left, top) * 2, strict=True))
        outer = (x1 - grown, y1 - grown, max(x2 - 1, x1) + grown, max(y2 - 1, y1) + grown)
        pen.rectangle([corner + by for corner, by in zip(outer, (-1, -1, 1, 1), strict=True)], None, BLACK, width + 2)
        pen.rectangle(outer, None, colour, width)

    for box in others:
        draw(box, WHITE, 1, 0)
    if annotated is not None:
        draw(annotated, ANNOTATED, LINE, LINE)
    if proposed is not None:
        draw(proposed, PROPOSED, LINE, 0)
    return drawn


def _region(boxes: Sequence[Box], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """All of the boxes and a margin, in whole pixels inside a picture of `size` (width, height)."""
    x1, y1, x2, y2 = (
        pick(corners) for pick, corners in zip((min, min, max, max), zip(*boxes, strict=True), strict=True)
    )
    margin = max(MARGIN * max(x2 - x1, y2 - y1), LEAST_MARGIN)
    left, top = (min(max(int(corner - margin), 0), side - 1) for corner, side in zip((x1, y1), size, strict=True))
    right, bottom = (min(int(corner + margin) + 1, side) for corner, side in zip((x2, y2), size, strict=True))
    return left, top, max(right, left + 1), max(bottom, top + 1)
