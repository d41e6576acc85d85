"""Pairs of boxes in one picture that are as good as the same. G boxes, P pairs."""

import numpy as np
from jaxtyping import Float, Int

SAME = 0.95  # overlap (IoU) above which two boxes are of one object: two annotators agree less


def close_pairs(
    corners: Float[np.ndarray, "G 4"], pictures: Int[np.ndarray, " G"], above: float = SAME
) -> Int[np.ndarray, "P 2"]:
    """The rows of all pairs in one picture whose overlap is greater, the earlier row first. `above` must be positive.

    Such boxes have nearly the same area, so each is compared with those of its picture next to it by area alone.
    """
    areas = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    order = np.lexsort((areas, pictures))
    ordered, of_picture, corners = areas[order], pictures[order], corners[order]
    at = np.arange(len(order) - 1)
    pairs = [np.zeros((0, 2), np.int64)]
    step = 1
    while len(at):  # of each box that had a neighbour of its size so far, the next one
        at = at[at + step < len(order)]
        near = (of_picture[at] == of_picture[at + step]) & (ordered[at] >= above * ordered[at + step])
        at = at[near]
        close = at[overlap(corners[at], corners[at + step]) > above]
        pairs.append(np.stack((order[close], order[close + step]), axis=1))
        step += 1
    found = np.sort(np.concatenate(pairs), axis=1)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def overlap(first: Float[np.ndarray, "P 4"], second: Float[np.ndarray, "P 4"]) -> Float[np.ndarray, " P"]:
    """The IoU of each pair of boxes, which must have areas."""
    both = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    shared = np.prod(both.clip(min=0), axis=1)
    area = np.prod(first[:, 2:] - first[:, :2], axis=1) + np.prod(second[:, 2:] - second[:, :2], axis=1)
    return shared / (area - shared)
