"""Four numbers and the boxes that they mean: in the format's own way, and in those it is mistaken for.

G boxes. Corners are half-open, in pixels of a picture of (height, width).
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from frcnn.data.index import Kind

CORNERS, CORNER_SIZE, CENTRE_SIZE = range(3)
OWN: dict[Kind, int] = {"voc": CORNERS, "coco": CORNER_SIZE, "yolo": CENTRE_SIZE}
OTHERS: dict[Kind, tuple[int, ...]] = {"voc": (CORNER_SIZE,), "coco": (CORNERS,), "yolo": (CORNERS, CORNER_SIZE)}
IN_WORDS = {
    CORNERS: "left, top, right, bottom",
    CORNER_SIZE: "left, top, width, height",
    CENTRE_SIZE: "centre x, centre y, width, height",
}
LARGEST_FRACTION = 2.0  # a number above it is no fraction of a picture that was a little exceeded, but pixels

Boxes = Float[np.ndarray, "G 4"]


def first_pixel(kind: Kind) -> float:
    """What the first pixel is called: VOC counts from 1, and includes the last."""
    return 1.0 if kind == "voc" else 0.0


def in_wrong_scale(kind: Kind, numbers: Boxes) -> Bool[np.ndarray, " G"]:
    """Fractions where the format has pixels, or pixels where it has fractions."""
    with np.errstate(invalid="ignore"):  # what is no number is in no scale
        if kind == "yolo":
            return np.isfinite(numbers).all(axis=1) & (np.abs(numbers).max(axis=1, initial=0.0) > LARGEST_FRACTION)
        fractions = ((numbers >= 0) & (numbers <= 1)).all(axis=1)
        whole = (numbers == np.rint(numbers)).all(axis=1)
    return fractions & (~whole | (numbers == (0, 0, 1, 1)).all(axis=1))


def to_corners(
    kind: Kind, numbers: Boxes, sizes: Int[np.ndarray, "G 2"], layout: int, wrong_scale: Bool[np.ndarray, " G"]
) -> Boxes:
    """The corners that numbers mean in a layout."""
    fractions = ~wrong_scale if kind == "yolo" else wrong_scale
    sides = sizes[:, [1, 0, 1, 0]].astype(np.float64)
    with np.errstate(over="ignore"):  # numbers of hundreds of digits are no fractions
        pixels = np.where(fractions[:, None], numbers * sides, numbers)
    pixels[~fractions, :2] -= first_pixel(kind)
    if layout == CORNERS:
        return pixels
    begin, extent = pixels[:, :2], pixels[:, 2:]
    with np.errstate(invalid="ignore", over="ignore"):  # infinity less infinity is no number, and so no box
        if layout == CENTRE_SIZE:
            begin = begin - extent / 2
        return np.concatenate((begin, begin + extent), axis=1)


def to_numbers(kind: Kind, corners: Boxes, sizes: Int[np.ndarray, "G 2"]) -> Boxes:
    """What the format has for corners: undoes `to_corners` in its own layout and scale."""
    begin, end = corners[:, :2], corners[:, 2:]
    if kind == "voc":
        return np.concatenate((begin + first_pixel(kind), end), axis=1)
    if kind == "coco":
        return np.concatenate((begin, end - begin), axis=1)
    sides = sizes[:, ::-1].astype(np.float64)
    return np.concatenate(((begin + end) / 2 / sides, (end - begin) / sides), axis=1)
