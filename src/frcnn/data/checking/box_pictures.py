"""Boxes with a fault, drawn onto their pictures."""

import base64
from typing import NamedTuple

from PIL import Image

from frcnn.cropping import BLUE, ORANGE, draw_region, jpeg, region_of
from frcnn.data.checking.findings import Drawing
from frcnn.data.pictures import read_picture
from frcnn.drawing import Labelled, shortened
from frcnn.errors import DataError

BEYOND = 0.5  # of a picture's sides: so much beside it is shown where a box leaves it; how far it leaves, the text says
BESIDE = (128, 128, 128)

Box = tuple[float, ...]


class BoxPicture(NamedTuple):
    """As a page holds it; (width, height)."""

    base64: str
    size: tuple[int, int]


def draw_fault(drawing: Drawing) -> BoxPicture | None:
    """The box in orange, and in blue, dashed, what it is compared with; None where the picture cannot be read."""
    try:
        picture = read_picture(drawing.picture)
    except DataError:  # it went while the others were read
        return None
    boxes = [box for box in (drawing.box, drawing.other) if box is not None]
    wide, (left, top) = _with_room(picture, boxes)
    box, *others = ([corner - start for corner, start in zip(box, (left, top) * 2, strict=True)] for box in boxes)
    leaves = wide.size != picture.size
    region = (0, 0, *wide.size) if leaves else region_of([box, *others], wide.size)
    solid = [Labelled(box, shortened(drawing.name), ORANGE)]
    dashed = [Labelled(other, shortened(drawing.other_name), BLUE) for other in others]
    drawn = draw_region(wide, region, solid, dashed)
    return BoxPicture(base64.b64encode(jpeg(drawn)).decode("ascii"), drawn.size)


def _with_room(picture: Image.Image, boxes: list[Box]) -> tuple[Image.Image, tuple[int, int]]:
    """A picture with grey beside it where a box leaves it; and where its left upper corner lies in the old one."""
    width, height = picture.size
    ends = [[_bounded(corner, side) for corner, side in zip(box, picture.size * 2, strict=True)] for box in boxes]
    left, top = (min(0, *(end[axis] for end in ends)) for axis in (0, 1))
    right, bottom = max(width, *(end[2] for end in ends)), max(height, *(end[3] for end in ends))
    if (left, top, right, bottom) == (0, 0, width, height):
        return picture, (0, 0)
    wide = Image.new("RGB", (right - left, bottom - top), BESIDE)
    wide.paste(picture, (-left, -top))
    return wide, (left, top)


def _bounded(corner: float, side: int) -> int:
    return round(min(max(corner, -BEYOND * side), (1 + BEYOND) * side))
