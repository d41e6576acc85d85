"""What can be wrong with the box of an annotation, judged on the file's own numbers: one rule for all formats.

G boxes. Corners are half-open and as the file says them: not clipped, NaN where it has no number.
"""

import numpy as np
from jaxtyping import Float, Int, UInt8

MARGIN = 1.0  # pixels by which a box may leave its picture: 0-based files, rounding
SMALLEST = 1e-3  # pixels a side must keep inside the picture, so that float32 still sees an area

SOUND, NOT_FOUR_NUMBERS, NO_AREA, OUTSIDE = range(4)
TOO_THIN = 4  # sound, but not for the format that it is written in


def box_faults(
    corners: Float[np.ndarray, "G 4"], sizes: Int[np.ndarray, "G 2"], least_side: float = 0.0
) -> UInt8[np.ndarray, " G"]:
    """The fault of each box in its picture of (height, width).

    A side must be longer than `least_side`: 0, or 1 where a file names the last pixel, so that a box that begins and
    ends on one pixel (xmax = xmin) has no area, as the VOC devkit has it.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # what is no number is judged first, infinity is outside
        sides = corners[:, 2:] - corners[:, :2]
        borders = sizes[:, ::-1].astype(np.float64)
        outside = np.maximum(-corners[:, :2], corners[:, 2:] - borders).max(axis=1, initial=0.0) > MARGIN
        kept = np.minimum(corners[:, 2:], borders) - np.maximum(corners[:, :2], 0.0)
        outside |= (kept < SMALLEST).any(axis=1)
        faults = np.where(outside, OUTSIDE, SOUND).astype(np.uint8)
        faults[(sides <= least_side).any(axis=1)] = NO_AREA
    faults[~np.isfinite(corners).all(axis=1)] = NOT_FOUR_NUMBERS
    return faults


def explain_fault(fault: int, size: tuple[int, int]) -> str:
    """In words that follow "the box"."""
    height, width = size
    return {
        NOT_FOUR_NUMBERS: "is not made of four numbers",
        NO_AREA: "has no area (its right and lower ends must lie beyond its left and upper ones)",
        OUTSIDE: f"leaves its picture of {width}x{height} pixels",
        TOO_THIN: "is not wider and higher than a pixel, as VOC's format needs it",
    }[fault]
