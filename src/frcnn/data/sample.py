"""Sample pictures drawn from a seed, in the layout of PASCAL VOC: shapes among clutter, for trying everything out.

H, W = height and width of a picture; h, w = of one shape; P = points of an outline.
"""

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.random import Generator
from PIL import Image, ImageDraw

from frcnn.errors import FrcnnError, UsageError
from frcnn.files import make_folder

Outline = Float[np.ndarray, "P 2"]
Colour = Float[np.ndarray, "3"]
Canvas = Float[np.ndarray, "H W 3"]
Place = tuple[int, int]  # (left, top)

PICTURES = 710  # about 500 to learn from, 60 to watch it by, 150 to test on
VALIDATION_SHARE, TEST_SHARE = 60 / 710, 150 / 710
EMPTY_SHARE = 0.08  # pictures without objects
SHORT_SIDE, LONG_SIDE = (216, 256), (256, 321)  # pixels, the last one excluded
SCALE = (16, 200)  # longer side of an object's box, drawn log-uniformly
MOST_OBJECTS = 6
NEIGHBOUR_SHARE = 0.35  # objects that are placed upon or beside another, so that they hide each other
DIFFICULT_BELOW = 0.6  # visible share of an object: less, and nobody could tell where it ends
LEAST_VISIBLE = 0.25  # what no object may fall below
MOST_OVERLAP = 0.4  # IoU of two boxes: non-maximum suppression would take one of them out
TRIES = 12  # places that are tried for an object
CONTRAST = 110.0  # distance in RGB between an object and what it lies on
HOLE = 0.55  # of a ring's radius
SMOOTHING = 4  # shapes are drawn so many times larger, then averaged: no jagged edges
JPEG_QUALITY = 92


class Shape(NamedTuple):
    """One object as drawn: its box is the tight one around its whole outline, hidden or not."""

    name: str
    box: tuple[int, int, int, int]  # half-open corners
    area: int
    visible: Bool[np.ndarray, "H W"]

    def visible_share(self) -> float:
        """How much of it nothing hides."""
        return int(self.visible.sum()) / self.area


class Picture(NamedTuple):
    """A drawn picture and its objects, from back to front."""

    image: Image.Image
    shapes: list[Shape]


def write_sample(folder: Path, pictures: int | None = None, *, seed: int = 0) -> None:
    """Draw a data set of so many pictures (`PICTURES`, unless given) into `folder`: the same bytes for the same seed.

    It is there whole or not at all. Raises UsageError where `folder` holds something already, FrcnnError
    where the disk refuses.
    """
    count = PICTURES if pictures is None else pictures
    splits = _splits(count)
    _check_free(folder)
    parent = make_folder(folder.absolute().parent)
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=f".{folder.name}.") as aside:
            drawn = Path(aside) / "sample"
            _write_set(drawn, splits, seed)
            drawn.replace(folder.absolute())
    except OSError as error:
        raise FrcnnError(f"{folder}: cannot be written ({error.strerror or error})") from error


def draw_picture(number: int, seed: int = 0) -> Picture:
    """One picture of the set, whatever the others are."""
    rng = np.random.default_rng((seed % 2**64, number))
    sides = int(rng.integers(*SHORT_SIDE)), int(rng.integers(*LONG_SIDE))
    height, width = sides if rng.random() < 0.5 else sides[::-1]
    canvas = _background(rng, height, width)
    wanted = 0 if rng.random() < EMPTY_SHARE else int(rng.integers(1, MOST_OBJECTS + 1))
    shapes: list[Shape] = []
    for _ in range(wanted):
        shapes = _add_shape(rng, canvas, shapes)
    canvas += rng.standard_normal(canvas.shape, dtype=np.float32) * rng.uniform(1, 9)  # a camera's noise
    return Picture(Image.fromarray(canvas.clip(0, 255).astype(np.uint8)), shapes)


def _splits(count: int) -> dict[str, range]:
    """The numbers of the pictures of each split, from 1."""
    if count < 3:
        raise UsageError(f"pictures = {count}: give at least 3, one each for train, val and test")
    val, test = (max(1, round(share * count)) for share in (VALIDATION_SHARE, TEST_SHARE))
    train = count - val - test
    first_val, first_test = train + 1, train + val + 1
    return {
        "train": range(1, first_val),
        "val": range(first_val, first_test),
        "trainval": range(1, first_test),
        "test": range(first_test, count + 1),
    }


def _check_free(folder: Path) -> None:
    if folder.is_dir():
        if any(folder.iterdir()):
            raise UsageError(f"{folder}: is not empty: name a new folder for the sample pictures")
    elif folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder}: is a file: name a new folder for the sample pictures")


def _write_set(root: Path, splits: dict[str, range], seed: int) -> None:
    annotations, images, lists = root / "Annotations", root / "JPEGImages", root / "ImageSets" / "Main"
    for folder in (annotations, images, lists):
        folder.mkdir(parents=True)
    for split, numbers in splits.items():
        (lists / f"{split}.txt").write_text("".join(f"{number:06}\n" for number in numbers), encoding="utf-8")
    for number in range(1, splits["test"].stop):
        picture = draw_picture(number, seed)
        picture.image.save(images / f"{number:06}.jpg", quality=JPEG_QUALITY)
        (annotations / f"{number:06}.xml").write_text(_annotation(f"{number:06}.jpg", picture), encoding="utf-8")


def _annotation(name: str, picture: Picture) -> str:
    width, height = picture.image.size
    lines = [
        "<annotation>",
        f"\t<filename>{name}</filename>",
        f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        *(_object(shape) for shape in picture.shapes),
        "</annotation>",
    ]
    return "\n".join(lines) + "\n"


def _object(shape: Shape) -> str:
    """Corners in VOC's pixels: the first is 1, the last one is inside."""
    x1, y1, x2, y2 = shape.box
    difficult = int(shape.visible_share() < DIFFICULT_BELOW)
    corners = f"<xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
    return f"\t<object><name>{shape.name}</name><difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>"


def _add_shape(rng: Generator, canvas: Canvas, shapes: list[Shape]) -> list[Shape]:
    """The shapes with one more on top, drawn on the canvas; or as they are, where no place for it was found."""
    name = str(rng.choice(list(OUTLINES)))
    longest = math.exp(rng.uniform(math.log(SCALE[0]), math.log(SCALE[1])))
    coverage = _coverage(_posed(rng, OUTLINES[name](), longest), HOLE if name == "ring" else 0)
    for _ in range(TRIES):
        left, top = _place(rng, coverage.shape, canvas.shape[:2], shapes)
        covered = np.zeros(canvas.shape[:2], dtype=bool)
        covered[top : top + coverage.shape[0], left : left + coverage.shape[1]] = coverage >= 0.5
        behind = [shape._replace(visible=shape.visible & ~covered) for shape in shapes]
        shape = Shape(name, _tight_box(covered), int(covered.sum()), covered)
        if all(other.visible_share() >= LEAST_VISIBLE and _iou(other, shape) <= MOST_OVERLAP for other in behind):
            _paint(rng, canvas, coverage, (left, top))
            return [*behind, shape]
    return shapes


def _place(rng: Generator, shape: tuple[int, ...], picture: tuple[int, ...], others: Sequence[Shape]) -> Place:
    """Anywhere within the picture, or with its middle at the edge of another's box."""
    (height, width), (picture_height, picture_width) = shape, picture
    left, top = (int(rng.integers(0, room + 1)) for room in (picture_width - width, picture_height - height))
    if others and rng.random() < NEIGHBOUR_SHARE:
        x1, y1, x2, y2 = others[int(rng.integers(len(others)))].box
        angle = rng.uniform(0, 2 * math.pi)
        left = round((x1 + x2) / 2 + math.cos(angle) * (x2 - x1) / 2 - width / 2)
        top = round((y1 + y2) / 2 + math.sin(angle) * (y2 - y1) / 2 - height / 2)
    return min(max(left, 0), picture_width - width), min(max(top, 0), picture_height - height)


def _tight_box(covered: Bool[np.ndarray, "H W"]) -> tuple[int, int, int, int]:
    columns, rows = np.flatnonzero(covered.any(axis=0)), np.flatnonzero(covered.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _iou(a: Shape, b: Shape) -> float:
    """Of their boxes; in plain numbers, as a tensor for each pair would take longer than all the drawing."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.box, b.box
    shared = max(min(ax2, bx2) - max(ax1, bx1), 0) * max(min(ay2, by2) - max(ay1, by1), 0)
    return shared / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared)


def _circle() -> Outline:
    return _radial(np.ones(96))


def _square() -> Outline:
    return _radial(np.ones(4))


def _triangle() -> Outline:
    return _radial(np.ones(3))


def _star() -> Outline:
    return _radial(np.tile([1.0, 0.42], 5))


def _cross() -> Outline:
    arm = 0.32
    quarter = np.array([[arm, arm], [arm, 1.0], [-arm, 1.0]])
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])  # by 90 degrees
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, i) for i in range(4)])


OUTLINES: dict[str, Callable[[], Outline]] = {
    "cross": _cross,
    "disc": _circle,
    "ring": _circle,
    "square": _square,
    "star": _star,
    "triangle": _triangle,
}


def _radial(radii: Float[np.ndarray, " P"]) -> Outline:
    """Points around the origin at equal angles."""
    angles = np.arange(len(radii)) * (2 * math.pi / len(radii))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]


def _posed(rng: Generator, outline: Outline, longest: float) -> Outline:
    """A little squeezed, turned, and so large that the longer side of its box is `longest`; from the corner (0, 0)."""
    angle = rng.uniform(0, 2 * math.pi)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    turned = outline * (1, rng.uniform(0.8, 1)) @ turn
    low, high = turned.min(axis=0), turned.max(axis=0)
    return (turned - low) * (longest / (high - low).max())


def _coverage(outline: Outline, hole: float) -> Float[np.ndarray, "h w"]:
    """How much of each pixel lies in the shape; `hole` is what is cut out of its middle, as a share of it."""
    width, height = (math.ceil(side) for side in outline.max(axis=0))
    large = Image.new("L", (width * SMOOTHING, height * SMOOTHING))
    pen = ImageDraw.Draw(large)
    pen.polygon(_points(outline), fill=255)
    if hole:
        middle = outline.mean(axis=0)
        pen.polygon(_points((outline - middle) * hole + middle), fill=0)
    return np.asarray(large.reduce(SMOOTHING), dtype=np.float32) / 255


def _points(outline: Outline) -> list[tuple[float, float]]:
    return [(float(x) * SMOOTHING, float(y) * SMOOTHING) for x, y in outline]


def _paint(rng: Generator, canvas: Canvas, coverage: Float[np.ndarray, "h w"], place: Place) -> None:
    """Fill a shape with a texture whose colours stand out from what it covers, on the canvas itself."""
    (height, width), (left, top) = coverage.shape, place
    under = canvas[top : top + height, left : left + width]
    share = coverage[:, :, None]
    colour = _colour_away_from(rng, (under * share).sum(axis=(0, 1)) / share.sum())
    texture = _texture(rng, height, width, colour, _nearby(rng, colour, 45))
    under += share * (texture - under)


def _colour_away_from(rng: Generator, other: Colour) -> Colour:
    candidates = rng.uniform(0, 255, (24, 3)).astype(np.float32)
    distances = np.linalg.norm(candidates - other, axis=1)
    far = np.flatnonzero(distances >= CONTRAST)
    return candidates[far[0] if len(far) else distances.argmax()]


def _nearby(rng: Generator, colour: Colour, distance: float) -> Colour:
    step = rng.standard_normal(3)
    return (colour + step * (distance / np.linalg.norm(step))).clip(0, 255).astype(np.float32)


def _background(rng: Generator, height: int, width: int) -> Canvas:
    """A texture or two upon each other, and clutter that is no object."""
    colour = rng.uniform(20, 235, 3).astype(np.float32)
    canvas = _texture(rng, height, width, colour, _nearby(rng, colour, rng.uniform(15, 70)))
    canvas += 0.5 * (_texture(rng, height, width, colour, _nearby(rng, colour, 50)) - canvas)
    image = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 9))):
        clutter = _nearby(rng, colour, rng.uniform(40, 100))
        fill = int(clutter[0]), int(clutter[1]), int(clutter[2])
        _draw_line(rng, pen, image.size, fill) if rng.random() < 0.6 else _draw_blob(rng, pen, image.size, fill)
    return np.array(image, dtype=np.float32)


def _draw_line(rng: Generator, pen: ImageDraw.ImageDraw, size: tuple[int, int], fill: tuple[int, int, int]) -> None:
    """A bent line across."""
    points = [(float(x), float(y)) for x, y in rng.uniform(-0.1, 1.1, (int(rng.integers(2, 5)), 2)) * size]
    pen.line(points, fill=fill, width=int(rng.integers(1, 5)), joint="curve")


def _draw_blob(rng: Generator, pen: ImageDraw.ImageDraw, size: tuple[int, int], fill: tuple[int, int, int]) -> None:
    """A long and wavy patch: like none of the classes."""
    angles = np.arange(64) * (2 * math.pi / 64)
    waves = sum(rng.uniform(0.1, 0.3) * np.cos(k * angles + rng.uniform(0, 6.3)) for k in (2, 3, 5))
    outline = _radial(1 + np.asarray(waves)) * (1, rng.uniform(0.25, 0.5))
    posed = _posed(rng, outline, rng.uniform(12, 90)) + rng.uniform(-0.1, 1, 2) * size
    pen.polygon([(float(x), float(y)) for x, y in posed], fill=fill)


def _texture(rng: Generator, height: int, width: int, colour: Colour, other: Colour) -> Canvas:
    """Two colours mixed by a pattern."""
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))](rng, height, width)
    return colour + pattern[:, :, None].astype(np.float32) * (other - colour)


def _gradient(rng: Generator, height: int, width: int) -> Float[np.ndarray, "h w"]:
    along = _along(rng, height, width)
    return (along - along.min()) / max(float(np.ptp(along)), 1.0)


def _stripes(rng: Generator, height: int, width: int) -> Float[np.ndarray, "h w"]:
    period = rng.uniform(4, 24)
    return 0.5 + 0.5 * np.sin(_along(rng, height, width) * (2 * math.pi / period))


def _smooth_noise(rng: Generator, height: int, width: int) -> Float[np.ndarray, "h w"]:
    grain = rng.uniform(6, 40)  # pixels
    coarse = rng.integers(0, 256, (round(height / grain) + 2, round(width / grain) + 2), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32) / 255


def _plain(rng: Generator, height: int, width: int) -> Float[np.ndarray, "h w"]:
    return np.full((height, width), rng.random())


PATTERNS: tuple[Callable[[Generator, int, int], Float[np.ndarray, "h w"]], ...] = (
    _gradient,
    _stripes,
    _smooth_noise,
    _plain,
)


def _along(rng: Generator, height: int, width: int) -> Float[np.ndarray, "h w"]:
    """How far each pixel lies in some direction, in pixels."""
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[:height, :width]
    return x * math.cos(angle) + y * math.sin(angle)
