"""A white picture to draw charts on, with Pillow alone.

Sizes are pixels of the finished picture; it is drawn twice as large and then made smaller, so that lines are smooth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from frcnn.drawing import Colour, Font, fitted, label_font

SCALE = 2
INK, SOFT, LINE, PAPER = (27, 31, 39), (93, 102, 117), (214, 219, 227), (255, 255, 255)
LETTERS = 12  # the usual size of letters

Point = tuple[float, float]


@dataclass(frozen=True)
class Canvas:
    """What is drawn on; `finished` gives the picture."""

    image: Image.Image

    @classmethod
    def of_size(cls, width: int, height: int) -> "Canvas":
        """Without anything on it."""
        return cls(Image.new("RGB", (width * SCALE, height * SCALE), PAPER))

    def size(self) -> tuple[int, int]:
        """Width and height in the end."""
        return self.image.width // SCALE, self.image.height // SCALE

    def finished(self) -> Image.Image:
        """The picture in its own size."""
        return self.image.reduce(SCALE)

    def line(self, points: Sequence[Point], colour: Colour, width: float = 1.0) -> None:
        """From point to point."""
        ImageDraw.Draw(self.image).line(_enlarged(points), fill=colour, width=round(width * SCALE))

    def area(self, points: Sequence[Point], colour: Colour) -> None:
        """What the points, at least three, enclose."""
        ImageDraw.Draw(self.image).polygon(_enlarged(points), fill=colour)

    def dot(self, place: Point, colour: Colour, radius: float = 4.0) -> None:
        """A round mark with a white rim."""
        x, y = place
        for size, fill in ((radius + 1.5, PAPER), (radius, colour)):
            corners = _enlarged([(x - size, y - size), (x + size, y + size)])
            ImageDraw.Draw(self.image).ellipse(corners, fill=fill)

    def text(
        self,
        place: Point,
        words: str,
        anchor: str,
        size: float = LETTERS,
        colour: Colour = INK,
        widest: float = math.inf,
    ) -> None:
        """Words, cut at `widest`; `anchor` says which point of them lies at the place, in Pillow's letters."""
        font, words = _font(words, size), cut(words, size, widest)
        ImageDraw.Draw(self.image).text(_enlarged([place])[0], words, fill=colour, font=font, anchor=anchor)

    def upright_text(
        self,
        place: Point,
        words: str,
        anchor: str,
        size: float = LETTERS,
        colour: Colour = INK,
        widest: float = math.inf,
    ) -> None:
        """The same, turned to be read upwards: what was its left lies at the bottom."""
        font, words = _font(words, size), cut(words, size, widest)
        left, top, right, bottom = (round(value) for value in font.getbbox(words, anchor=anchor))
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).text((-left, -top), words, fill=255, font=font, anchor=anchor)
        turned = mask.transpose(Image.Transpose.ROTATE_90)
        x, y = _enlarged([place])[0]
        self.image.paste(colour, (round(x) + top, round(y) - right), turned)


def cut(words: str, size: float, widest: float) -> str:
    """The words, shortened at the end to be no wider than `widest` pixels."""
    return words if math.isinf(widest) else fitted(words, _font(words, size), round(widest * SCALE))


def text_width(words: str, size: float = LETTERS) -> float:
    """How much room words take."""
    return _font(words, size).getlength(words) / SCALE


def _font(words: str, size: float) -> Font:
    """One for all that is written of some words, also once they are cut."""
    return label_font(round(size * SCALE), words.removesuffix("…").isascii())


def _enlarged(points: Sequence[Point]) -> list[Point]:
    return [(x * SCALE, y * SCALE) for x, y in points]
