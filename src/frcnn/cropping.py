"""The part of a picture that some boxes are about, drawn to be looked at on a page."""

import io
from collections.abc import Sequence

from PIL import Image

from frcnn.drawing import Colour, Labelled, draw_boxes

ORANGE: Colour = (255, 140, 0)  # these two are told apart by everyone, whatever their eyes
BLUE: Colour = (30, 120, 255)
MARGIN = 0.4  # of the longer side of what is shown: who judges an object wants to see round it
LEAST_MARGIN = 24.0  # pixels of the picture
SIDE = 400  # pixels of a drawn crop's long side
LARGEST_ENLARGEMENT = 4.0
LEAST_LINE = 3  # pixels: a crop is shown about as large as it is, and must be read on a phone
JPEG_QUALITY = 80

Region = tuple[int, int, int, int]  # left, top, right, bottom: whole pixels


def region_of(boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> Region:
    """All of the boxes and a margin, inside a picture of `size` (width, height), and at least a pixel of it."""
    x1, y1 = (min(box[axis] for box in boxes) for axis in (0, 1))
    x2, y2 = (max(box[axis] for box in boxes) for axis in (2, 3))
    margin = max(MARGIN * max(x2 - x1, y2 - y1), LEAST_MARGIN)
    left, top = (min(max(int(low - margin), 0), side - 1) for low, side in zip((x1, y1), size, strict=True))
    right, bottom = (min(int(high + margin) + 1, side) for high, side in zip((x2, y2), size, strict=True))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def draw_region(
    picture: Image.Image, region: Region, solid: Sequence[Labelled], dashed: Sequence[Labelled]
) -> Image.Image:
    """A region of a picture with boxes in solid lines, and over them boxes in dashed ones.

    Scaled first, drawn then: lines and letters are as crisp in a small picture as in a large one.
    """
    left, top, right, bottom = region
    scale = min(SIDE / max(right - left, bottom - top), LARGEST_ENLARGEMENT)
    size = (max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1))

    def placed(one: Labelled) -> Labelled:
        corners = [(corner - start) * scale for corner, start in zip(one.box, (left, top) * 2, strict=True)]
        return one._replace(box=corners)

    scaled = picture.resize(size, Image.Resampling.BICUBIC, region)
    return draw_boxes(scaled, [placed(one) for one in solid], [placed(one) for one in dashed], LEAST_LINE)


def jpeg(image: Image.Image) -> bytes:
    """The bytes of the file."""
    data = io.BytesIO()
    image.save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)  # whole colours: thin lines stay clean
    return data.getvalue()


def css(colour: Colour) -> str:
    """As a style sheet writes it."""
    return "rgb({}, {}, {})".format(*colour)
