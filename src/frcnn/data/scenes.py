"""Pictures drawn from a seed, and what is in them: shapes of any colour and texture, turned, half hidden, on clutter.

H, W = height and width of the picture; h, w = of the patch that holds one shape. Colours are in [0, 1].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

Plane = Float[np.ndarray, "h w"]
Rule = Callable[[Plane, Plane, float], Bool[np.ndarray, "h w"]]  # (u, v, proportion) -> which points are inside

SIZES = (19.0, 210.0)  # pixels across a shape's circle: its longer side is between .84 of it and all of it
OBJECT_COUNTS = (0.08, 0.14, 0.22, 0.22, 0.18, 0.1, 0.06)  # how likely are 0, 1, 2 ... objects
LEAST_VISIBLE = 0.25  # of an object's own pixels: a place that would hide more, of it or of another, is not taken
DIFFICULT_BELOW = 0.5  # visible share
LEAST_SIDE = 16  # pixels: what shows less of its longer side is difficult too
LARGEST_OVERLAP = 0.4  # IoU of two boxes, so that suppression at .5 can keep both
CROWDING = 0.3  # how often an object is put beside another
NEAREST_BORDER = 0.3  # centre to border, in sizes: no more than a fifth of the circle lies outside
LEAST_CONTRAST = 1.0  # between an object and what is behind it: red, green and blue together
ATTEMPTS = 25  # places tried for one object before it is left out
FINENESS = 3  # points per pixel and axis that decide how much of a pixel is covered
RIM = 0.82  # where a shape's rim begins, as a share of its size
OUTSIDE = -1  # owner of a pixel that belongs to no object


class Thing(NamedTuple):
    """One object: its box is tight on what is visible of it, half-open corners."""

    name: str
    box: tuple[int, int, int, int]
    difficult: bool
    truncated: bool


class Cutout(NamedTuple):
    """A shape at its place: how much of each pixel it covers, and the patch's top-left pixel."""

    name: str
    cover: Plane
    rim: Plane
    top: int
    left: int


@dataclass
class Scene:
    """A picture in the making, and which object is seen at each pixel."""

    pixels: Float[np.ndarray, "H W 3"]
    owner: Int[np.ndarray, "H W"]
    cutouts: list[Cutout]


def draw_scene(rng: Generator) -> tuple[Image.Image, list[Thing]]:
    """One picture and its objects: the same for a generator in the same state."""
    long_side = int(rng.integers(250, 321))
    short_side = int(rng.integers(190, 250))
    height, width = (short_side, long_side) if rng.random() < 0.7 else (long_side, short_side)
    ground = draw_ground(rng, height, width)
    scene = Scene(ground, np.full((height, width), OUTSIDE, dtype=np.int8), [])
    for _ in range(rng.choice(len(OBJECT_COUNTS), p=OBJECT_COUNTS)):
        place_object(rng, scene)
    return finish(rng, scene.pixels), [_thing(scene, i) for i in range(len(scene.cutouts))]


def draw_ground(rng: Generator, height: int, width: int) -> Float[np.ndarray, "H W 3"]:
    """A background: blotches of two sizes, perhaps a pattern, and strokes, dots and soft spots that are no objects."""
    ground = np.full((height, width, 3), rng.uniform(0.2, 0.8, 3), dtype=np.float32)
    ground += _blotches(rng, height, width, cells=4) * rng.uniform(0.1, 0.4)
    ground += _blotches(rng, height, width, cells=24) * rng.uniform(0.0, 0.12)
    if rng.random() < 0.6:
        v, u = np.mgrid[:height, :width].astype(np.float64)
        ground += _pattern(rng, u, v, period=rng.uniform(6, 40))[..., None] * rng.uniform(-0.08, 0.08, 3)
    return _with_clutter(rng, ground)


def place_object(rng: Generator, scene: Scene) -> None:
    """Draw one object where neither it nor those before it are hidden too much, if such a place is found."""
    for _ in range(ATTEMPTS):
        cutout = _cutout(rng, scene)
        owner = scene.owner.copy()
        rows, columns, inner = _inside(cutout, owner.shape)
        owner[rows, columns][cutout.cover[inner] >= 0.5] = len(scene.cutouts)
        trial = Scene(scene.pixels, owner, [*scene.cutouts, cutout])
        if _is_fair(trial):
            _paint(rng, scene.pixels, cutout)
            scene.owner, scene.cutouts = trial.owner, trial.cutouts
            return


def finish(rng: Generator, pixels: Float[np.ndarray, "H W 3"]) -> Image.Image:
    """What a camera adds: uneven light, a little blur, noise."""
    height, width, _ = pixels.shape
    light = 1 + _blotches(rng, height, width, cells=2)[..., :1] * rng.uniform(0, 0.25)
    sharp = _to_image(pixels * light)
    soft = sharp.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.7)))
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(0.005, 0.03)
    return _to_image(np.asarray(soft, dtype=np.float32) / 255 + noise)


def _disc(u: Plane, v: Plane, _: float) -> Bool[np.ndarray, "h w"]:
    return u**2 + v**2 < 1


def _ring(u: Plane, v: Plane, proportion: float) -> Bool[np.ndarray, "h w"]:
    hole = 0.5 + 0.15 * proportion
    return (u**2 + v**2 < 1) & (u**2 + v**2 > hole**2)


def _box(u: Plane, v: Plane, _: float) -> Bool[np.ndarray, "h w"]:
    return np.maximum(abs(u), abs(v)) < math.sqrt(0.5)


def _cross(u: Plane, v: Plane, proportion: float) -> Bool[np.ndarray, "h w"]:
    arm = 0.24 + 0.1 * proportion
    return (np.minimum(abs(u), abs(v)) < arm) & (np.maximum(abs(u), abs(v)) < 0.94)


def _triangle(u: Plane, v: Plane, _: float) -> Bool[np.ndarray, "h w"]:
    return np.maximum(v, math.sqrt(0.75) * abs(u) - 0.5 * v) < 0.5


def _star(u: Plane, v: Plane, proportion: float) -> Bool[np.ndarray, "h w"]:
    """Folded onto one half of one of its five points, whose edge runs from the tip (1, 0) to the notch."""
    notch = 0.36 + 0.1 * proportion
    angle = abs((np.arctan2(v, u) + math.pi / 5) % (2 * math.pi / 5) - math.pi / 5)
    along, across = np.hypot(u, v) * np.cos(angle), np.hypot(u, v) * np.sin(angle)
    notch_along, notch_across = notch * math.cos(math.pi / 5), notch * math.sin(math.pi / 5)
    return (1 - along) * notch_across > across * (1 - notch_along)


SHAPES: dict[str, Rule] = {  # each within the circle of radius 1; the names are the classes
    "box": _box,
    "cross": _cross,
    "disc": _disc,
    "ring": _ring,
    "star": _star,
    "triangle": _triangle,
}


def _cutout(rng: Generator, scene: Scene) -> Cutout:
    """A shape of any class, size, turn and proportion; part of it may lie outside the picture."""
    low, high = SIZES
    size = low * (high / low) ** rng.beta(1.5, 1.5)
    y, x = _centre(rng, scene, size)
    top, left, side = math.floor(y - size / 2), math.floor(x - size / 2), math.ceil(size) + 1
    name = str(rng.choice(list(SHAPES)))
    u, v = _own_coordinates(rng, side, (y - top, x - left), size / 2)
    proportion = rng.random()
    inside = SHAPES[name](u, v, proportion)
    core = SHAPES[name](u / RIM, v / RIM, proportion)
    return Cutout(name, _per_pixel(inside), _per_pixel(inside & ~core), top, left)


def _centre(rng: Generator, scene: Scene, size: float) -> tuple[float, float]:
    """Anywhere, or beside an earlier object so that one hides part of the other: (y, x)."""
    height, width = scene.owner.shape
    y, x = rng.uniform(0, height), rng.uniform(0, width)
    if scene.cutouts and rng.random() < CROWDING:
        other = scene.cutouts[rng.integers(len(scene.cutouts))]
        side, angle = len(other.cover), rng.uniform(0, 2 * math.pi)
        away = (side + size) / 2 * rng.uniform(0.4, 0.9)
        y, x = other.top + side / 2 + away * math.sin(angle), other.left + side / 2 + away * math.cos(angle)
    inset = NEAREST_BORDER * size
    return min(max(y, inset), height - inset), min(max(x, inset), width - inset)


def _own_coordinates(
    rng: Generator, side: int, centre: tuple[float, float], radius: float
) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    """Where the fine points of a patch lie in a shape that is turned, and narrower one way than the other."""
    points = (np.arange(side * FINENESS) + 0.5) / FINENESS
    v, u = np.meshgrid((points - centre[0]) / radius, (points - centre[1]) / radius, indexing="ij")
    angle = rng.uniform(0, 2 * math.pi)
    along, across = u * math.cos(angle) + v * math.sin(angle), v * math.cos(angle) - u * math.sin(angle)
    return along, across / rng.uniform(0.7, 1.0)


def _per_pixel(fine: Bool[np.ndarray, "n n"]) -> Float[np.ndarray, "m m"]:
    points = [fine[i::FINENESS, j::FINENESS] for i in range(FINENESS) for j in range(FINENESS)]
    return np.stack(points).sum(axis=0, dtype=np.uint8) / len(points)


def _inside(cutout: Cutout, size: tuple[int, ...]) -> tuple[slice, slice, tuple[slice, slice]]:
    """The part of a patch that lies in the picture: its rows and columns there, and in the patch."""
    (height, width), (h, w) = size, cutout.cover.shape
    top, bottom = max(cutout.top, 0), min(cutout.top + h, height)
    left, right = max(cutout.left, 0), min(cutout.left + w, width)
    inner = slice(top - cutout.top, bottom - cutout.top), slice(left - cutout.left, right - cutout.left)
    return slice(top, bottom), slice(left, right), inner


def _paint(rng: Generator, pixels: Float[np.ndarray, "H W 3"], cutout: Cutout) -> None:
    """Onto the picture, in place: a colour that stands out from what is there, a pattern, perhaps a rim."""
    rows, columns, inner = _inside(cutout, pixels.shape[:2])
    below, cover = pixels[rows, columns], cutout.cover[inner][..., None]
    colours = rng.random((8, 3))
    contrast = abs(colours - below.mean(axis=(0, 1))).sum(axis=1)
    colour = colours[np.argmax(contrast > LEAST_CONTRAST) if (contrast > LEAST_CONTRAST).any() else np.argmax(contrast)]
    v, u = np.mgrid[: cover.shape[0], : cover.shape[1]].astype(np.float64)
    pattern = _pattern(rng, u, v, period=rng.uniform(4, 16)) if rng.random() < 0.6 else np.zeros_like(u)
    paint = colour + pattern[..., None] * rng.uniform(-0.12, 0.12, 3)
    paint = paint + cutout.rim[inner][..., None] * rng.choice([-0.35, 0.0, 0.35])
    pixels[rows, columns] = below * (1 - cover) + paint.clip(0, 1) * cover


def _is_fair(scene: Scene) -> bool:
    """Is enough of every object visible, with boxes that can be told apart?"""
    if min(_visible_share(scene, i) for i in range(len(scene.cutouts))) < LEAST_VISIBLE:
        return False
    *earlier, newest = [_visible_box(scene, i) for i in range(len(scene.cutouts))]
    return all(_overlap(newest, box) <= LARGEST_OVERLAP for box in earlier)


def _thing(scene: Scene, number: int) -> Thing:
    cutout = scene.cutouts[number]
    _, _, inner = _inside(cutout, scene.owner.shape)
    truncated = bool((cutout.cover >= 0.5).sum() > (cutout.cover[inner] >= 0.5).sum())
    x1, y1, x2, y2 = box = _visible_box(scene, number)
    difficult = _visible_share(scene, number) < DIFFICULT_BELOW or max(x2 - x1, y2 - y1) < LEAST_SIDE
    return Thing(cutout.name, box, difficult, truncated)


def _visible_share(scene: Scene, number: int) -> float:
    """Of all the object's pixels, those outside the picture included."""
    return float((scene.owner == number).sum() / (scene.cutouts[number].cover >= 0.5).sum())


def _visible_box(scene: Scene, number: int) -> tuple[int, int, int, int]:
    visible = scene.owner == number
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """IoU of two boxes of whole pixels."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b))
    return width * height / (areas - width * height)


def _blotches(rng: Generator, height: int, width: int, cells: int) -> Float[np.ndarray, "H W 3"]:
    """Smooth noise in [-1, 1] with about `cells` blotches across."""
    coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32) / 127.5 - 1


def _pattern(rng: Generator, u: Plane, v: Plane, period: float) -> Plane:
    """Stripes, checks or speckle in [-1, 1], turned at random."""
    angle, kind = rng.uniform(0, math.pi), rng.integers(3)
    if kind == 2:
        return rng.uniform(-1, 1, u.shape)
    stripes = np.sin(2 * math.pi / period * (u * math.cos(angle) + v * math.sin(angle)))
    if kind == 1:
        stripes = stripes * np.sin(2 * math.pi / period * (v * math.cos(angle) - u * math.sin(angle)))
    return stripes


def _with_clutter(rng: Generator, ground: Float[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W 3"]:
    """Soft spots, bent strokes and dots: things to be told from objects."""
    height, width, _ = ground.shape
    layer = _to_image(ground)
    for blur, draw in ((6.0, _spot), (0.6, _stroke), (0.3, _dot)):
        marks, mask = layer.copy(), Image.new("L", layer.size)
        for _ in range(rng.integers(0, 9)):
            draw(rng, ImageDraw.Draw(marks), ImageDraw.Draw(mask), height, width)
        layer.paste(marks, mask=mask.filter(ImageFilter.GaussianBlur(blur)))
    return np.asarray(layer, dtype=np.float32) / 255


def _spot(rng: Generator, marks: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, height: int, width: int) -> None:
    x, y, rx, ry = rng.uniform(0, width), rng.uniform(0, height), *rng.uniform(8, 40, 2)
    where = (x - rx, y - ry, x + rx, y + ry)
    marks.ellipse((x - 2 * rx, y - 2 * ry, x + 2 * rx, y + 2 * ry), fill=_colour(rng))
    mask.ellipse(where, fill=int(rng.integers(60, 160)))


def _stroke(rng: Generator, marks: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, height: int, width: int) -> None:
    corners = np.cumsum(
        np.vstack([rng.uniform(0, (width, height)), rng.normal(0, 35, (rng.integers(1, 4), 2))]), axis=0
    )
    line, thickness = [(float(x), float(y)) for x, y in corners], int(rng.integers(1, 5))
    marks.line(line, fill=_colour(rng), width=thickness + 4, joint="curve")
    mask.line(line, fill=int(rng.integers(120, 256)), width=thickness, joint="curve")


def _dot(rng: Generator, marks: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, height: int, width: int) -> None:
    x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(1, 4)
    where = (x - radius, y - radius, x + radius, y + radius)
    marks.ellipse((where[0] - 2, where[1] - 2, where[2] + 2, where[3] + 2), fill=_colour(rng))
    mask.ellipse(where, fill=int(rng.integers(120, 256)))


def _colour(rng: Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def _to_image(pixels: Float[np.ndarray, "H W 3"]) -> Image.Image:
    return Image.fromarray(np.rint(pixels * 255).clip(0, 255).astype(np.uint8))
