"""Boxes and names onto a picture, crisp and legible on any background."""

import colorsys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torchvision.ops import box_iou

from frcnn.naming import some_names
from frcnn.structures import Detections, Target

Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]  # left, top, right, bottom: whole pixels, right and bottom not covered

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
IGNORED_COLOUR = (170, 170, 170)
PALETTE: tuple[Colour, ...] = (  # far apart in hue and lightness, so that the first classes are never mistaken
    (230, 25, 75), (60, 180, 75), (255, 225, 25), (88, 120, 240), (245, 130, 49), (170, 70, 200), (66, 212, 244),
    (240, 50, 230), (191, 239, 69), (250, 190, 212), (70, 170, 160), (220, 190, 255), (190, 120, 50), (255, 250, 200),
    (255, 95, 85), (170, 255, 195), (170, 170, 30), (255, 216, 177), (0, 130, 255), (205, 92, 140),
)  # fmt: skip
LONGEST_NAME = 40  # letters that a label shows: a longer one would hide the picture
GOLDEN_RATIO = 0.618034  # steps of it round the hues come never near an earlier one
SYSTEM_FONTS = (  # the last two have the accents, Greek and Cyrillic that Pillow's own lacks
    "NotoSansCJK-Regular.ttc", "NanumGothic.ttf", "AppleSDGothicNeo.ttc", "malgun.ttf", "msyh.ttc",
    "DejaVuSans.ttf", "arial.ttf",
)  # fmt: skip
NO_LETTER = "\U0010ffff"  # no font has it: what it looks like is the square for what is not there

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class Labelled(NamedTuple):
    """A box in pixels of the picture, and the tag beside it: none where the label is empty."""

    box: Sequence[float]
    label: str
    colour: Colour


@dataclass
class _Canvas:
    """A picture being drawn on, sizes in proportion to it, and where its labels lie so far."""

    picture: Image.Image
    least_line: int
    labels: list[Rectangle] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pen = ImageDraw.Draw(self.picture)
        self.line = max(self.least_line, round(max(self.picture.size) / 250))
        self.font_size = max(12, round(max(self.picture.size) / 40))


def draw_detections(image: Image.Image, detections: Detections, truth: Target | None = None) -> Image.Image:
    """A copy of `image` in RGB with a box, a name and a score for each detection, the best ones on top.

    `truth`: objects to draw as well, dashed and white (grey where ignored), named where no detection explains them.
    """
    detections = detections.to("cpu")
    solid = [
        Labelled(box, f"{shortened(found.class_name)} {found.score:.2f}", class_colour(class_id))
        for box, class_id, found in zip(
            detections.boxes.tolist(), detections.class_ids.tolist(), detections, strict=True
        )
    ]
    return draw_boxes(image, solid, [] if truth is None else _truth_boxes(truth.to("cpu"), detections))


def draw_boxes(
    image: Image.Image, solid: Sequence[Labelled], dashed: Sequence[Labelled] = (), least_line: int = 2
) -> Image.Image:
    """A copy of `image` in RGB with boxes in solid lines, the first on top, and over them boxes in dashed ones.

    The labels of the solid boxes choose their places in turn; those of the dashed ones stand where one is free. Solid
    lines are `least_line` pixels wide or more, dashed ones one less, so that a solid one is seen below.
    """
    canvas = _Canvas(image.copy().convert("RGB"), least_line)
    for box, _, colour in reversed(solid):
        _draw_box(canvas, _whole_pixels(box, image.size), colour)
    for box, _, colour in dashed:
        _draw_dashed_box(canvas, _whole_pixels(box, image.size), colour)
    for box, label, colour in solid:
        if label:
            _draw_label(canvas, label, _label_places(canvas, _whole_pixels(box, image.size)), colour)
    for box, label, colour in dashed:
        if label:
            _draw_label(canvas, label, _foot_places(canvas, box), colour, only_if_free=True)
    return canvas.picture


def shortened(name: str) -> str:
    """A name that a label has room for."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def class_colour(class_id: int) -> Colour:
    """The colour of a class: always the same for the same number."""
    if class_id < len(PALETTE):
        return PALETTE[class_id]
    step = class_id - len(PALETTE)
    red, green, blue = colorsys.hls_to_rgb(step * GOLDEN_RATIO % 1, 0.45 + 0.2 * (step % 2), 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


def text_colour(background: Colour) -> Colour:
    """Black or white, whichever stands out more against `background` (WCAG 2, relative luminance)."""
    parts = [value / 255 for value in background]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return BLACK if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else WHITE


def _draw_box(canvas: _Canvas, box: Rectangle, colour: Colour) -> None:
    """A line on the box's inner edge, cased in black so that it shows on a ground of its own colour."""
    _outline(canvas, _grown(box, 1), BLACK, canvas.line + 2)
    _outline(canvas, box, colour, canvas.line)


def _outline(canvas: _Canvas, box: Rectangle, colour: Colour, width: int) -> None:
    left, top, right, bottom = box
    canvas.pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=width)


def _truth_boxes(truth: Target, detections: Detections) -> list[Labelled]:
    """The objects, with the names of those that no detection explains."""
    overlap = box_iou(truth.boxes, detections.boxes)
    explained = ((overlap > 0.5) & (truth.class_ids[:, None] == detections.class_ids)).any(dim=1)
    rows = zip(truth.boxes.tolist(), truth.class_ids.tolist(), explained.tolist(), _ignored(truth), strict=True)
    return [
        Labelled(
            box,
            "" if is_explained else shortened(detections.class_names[class_id]),
            IGNORED_COLOUR if is_ignored else WHITE,
        )
        for box, class_id, is_explained, is_ignored in rows
    ]


def _foot_places(canvas: _Canvas, box: Sequence[float]) -> list[tuple[int, int]]:
    """Where the label of a dashed box may go: at its foot, inside or below."""
    left, _, _, bottom = _whole_pixels(box, canvas.picture.size)
    return [(left, bottom - canvas.line - _line_height(canvas)), (left, bottom)]


def _ignored(truth: Target) -> list[bool]:
    return [False] * len(truth.boxes) if truth.ignored is None else truth.ignored.tolist()


def _draw_dashed_box(canvas: _Canvas, box: Rectangle, colour: Colour) -> None:
    """Dashes of `colour` on a black line: seen on light and on dark."""
    left, top, right, bottom = box
    width, dash = max(1, canvas.line - 1), 4 * canvas.line
    _outline(canvas, box, BLACK, width)
    for x in range(left, right, 2 * dash):
        end = min(x + dash, right) - 1
        canvas.pen.rectangle((x, top, end, min(top + width, bottom) - 1), fill=colour)
        canvas.pen.rectangle((x, max(bottom - width, top), end, bottom - 1), fill=colour)
    for y in range(top, bottom, 2 * dash):
        end = min(y + dash, bottom) - 1
        canvas.pen.rectangle((left, y, min(left + width, right) - 1, end), fill=colour)
        canvas.pen.rectangle((max(right - width, left), y, right - 1, end), fill=colour)


def _label_places(canvas: _Canvas, box: Rectangle) -> list[tuple[int, int]]:
    """Where the label of a box may go, the best place first: above it, inside, below, inside at the foot."""
    left, top, _, bottom = box
    height = _line_height(canvas)
    above, inside = (left - 1, top - height), (left, top + canvas.line)
    below, foot = (left - 1, bottom), (left, bottom - canvas.line - height)
    return [above, inside, below, foot] if top >= height else [inside, below, foot]


def _draw_label(
    canvas: _Canvas, text: str, places: Sequence[tuple[int, int]], colour: Colour, only_if_free: bool = False
) -> None:
    """A tag at the first place where no other tag lies, else at the first place; always inside the picture."""
    font = label_font(canvas.font_size, text.isascii())
    padding = canvas.line
    text = fitted(text, font, canvas.picture.width - 2 * padding)
    width = round(font.getlength(text)) + 2 * padding
    spots = [_moved_inside((x, y, x + width, y + _line_height(canvas)), canvas.picture.size) for x, y in places]
    free = [spot for spot in spots if not any(_overlap(spot, label) for label in canvas.labels)]
    if only_if_free and not free:
        return
    left, top, right, bottom = spot = (free or spots)[0]
    canvas.labels.append(spot)
    canvas.pen.rectangle((left, top, right - 1, bottom - 1), fill=colour)
    canvas.pen.text((left + padding, top + padding // 2), text, fill=text_colour(colour), font=font)


def _line_height(canvas: _Canvas) -> int:
    return round(label_font(canvas.font_size).getbbox("Ág")[3]) + canvas.line


def fitted(text: str, font: Font, width: int) -> str:
    """The text, cut at its end where it would be wider than `width`."""
    shortened = text
    while len(text) > 1 and font.getlength(shortened) > width:
        text = text[:-1]
        shortened = text + "…"
    return shortened


@cache
def label_font(size: int, plain: bool = True) -> Font:
    """Pillow's own outlines, which are plain Latin; for other letters a font of the system, where one is found."""
    for name in () if plain else SYSTEM_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:  # not installed
            continue
    return ImageFont.load_default(size)


def undrawable(names: Iterable[str]) -> str:
    """The letters that no font at hand has, each once, in their order: labels show empty squares in their place."""
    letters = dict.fromkeys(letter for name in names for letter in name if not letter.isascii() and _is_seen(letter))
    font = label_font(12, plain=False)
    square = _drawn_alone(NO_LETTER, font)
    return "".join(letter for letter in letters if _drawn_alone(letter, font) == square)


def describe_undrawable(names: Iterable[str]) -> str:
    """In a line what pictures with these names lack; empty where nothing."""
    letters = undrawable(names)
    if not letters:
        return ""
    squares = "pictures show empty squares in their place"
    return f"no font was found for {some_names(letters)}: {squares}; install one that has them, such as NotoSansCJK"


def _drawn_alone(letter: str, font: Font) -> bytes:
    picture = Image.new("L", (32, 32))
    ImageDraw.Draw(picture).text((8, 8), letter, fill=255, font=font)
    return picture.tobytes()


def _is_seen(letter: str) -> bool:
    """Neither a space, nor what only joins or marks others."""
    return unicodedata.category(letter)[0] not in "CMZ"


def _whole_pixels(box: Sequence[float], size: tuple[int, int]) -> Rectangle:
    """The nearest whole pixels inside a picture of `size` (width, height), at least one each way."""
    left = min(max(round(box[0]), 0), size[0] - 1)
    top = min(max(round(box[1]), 0), size[1] - 1)
    return left, top, min(max(round(box[2]), left + 1), size[0]), min(max(round(box[3]), top + 1), size[1])


def _moved_inside(place: Rectangle, size: tuple[int, int]) -> Rectangle:
    left, top, right, bottom = place
    x = min(max(left, 0), max(size[0] - (right - left), 0))
    y = min(max(top, 0), max(size[1] - (bottom - top), 0))
    return x, y, x + right - left, y + bottom - top


def _grown(box: Rectangle, by: int) -> Rectangle:
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
