"""All pictures' detections and objects as a few flat arrays, and which of them overlap: what every metric starts from.

    detections, targets -> flatten -> Flat -> overlapping_pairs -> Pairs -> best_objects

A million detections are a matter of seconds. D detections and G objects of all pictures together; M pairs of them.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from frcnn.structures import Detections, Target

NO_OBJECT = -1
PAIRS_AT_ONCE = 500_000  # (detection, object) pairs in memory at a time: about 100 MB


class Boxes(NamedTuple):
    """The boxes of all pictures one after the other, in float64, as the devkit's numbers."""

    boxes: Float[np.ndarray, "N 4"]
    class_ids: Int[np.ndarray, " N"]
    pictures: Int[np.ndarray, " N"]  # the number of the picture, rising


class Flat(NamedTuple):
    """Detections and objects of the same pictures."""

    found: Boxes
    scores: Float[np.ndarray, " D"]
    objects: Boxes
    counted: Bool[np.ndarray, " G"]  # not ignored
    areas: Float[np.ndarray, " G"]  # square pixels: COCO counts the object's own, where it is known
    num_classes: int

    def objects_per_class(self) -> Int[np.ndarray, " K"]:
        """How many there are to find."""
        return np.bincount(self.objects.class_ids[self.counted], minlength=self.num_classes)


class Pairs(NamedTuple):
    """Detections and objects of one picture that overlap: by detection, and of each in the objects' order."""

    found: Int[np.ndarray, " M"]
    objects: Int[np.ndarray, " M"]
    iou: Float[np.ndarray, " M"]

    def where(self, keep: Bool[np.ndarray, " M"]) -> "Pairs":
        """Some of the pairs."""
        return Pairs(self.found[keep], self.objects[keep], self.iou[keep])

    def above(self, threshold: float) -> "Pairs":
        """Those whose IoU lies strictly above the threshold."""
        return self.where(self.iou > threshold)


def flatten(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    num_classes: int,
    areas: Sequence[Float[np.ndarray, " _"]] | None = None,
) -> Flat:
    """The pictures of both, in the same order, one after the other; `areas` are the objects', else their boxes'.

    Raises ValueError for unequal lengths and class ids out of range.
    """
    if len(detections) != len(targets):
        raise ValueError(f"{len(detections)} pictures of detections, but {len(targets)} of targets")
    objects = _boxes(targets, num_classes)
    flat_areas = _sizes(objects.boxes).prod(axis=1) if areas is None else np.concatenate([np.zeros(0), *areas])
    if len(flat_areas) != len(objects.boxes):
        raise ValueError(f"{len(flat_areas)} areas, but {len(objects.boxes)} objects")
    return Flat(
        _boxes(detections, num_classes),
        _joined([picture.scores for picture in detections], np.zeros(0)),
        objects,
        ~_joined([_ignored(target) for target in targets], np.zeros(0, dtype=bool)),
        flat_areas,
        num_classes,
    )


def overlapping_pairs(flat: Flat, least: float, across_classes: bool = False) -> Pairs:
    """The detections and objects of the same picture, and of the same class unless `across_classes`, from IoU `least`.

    `least` is above 0.
    """
    number_of_groups = 1 if across_classes else flat.num_classes  # in each picture
    found_group, object_group = (
        boxes.pictures * number_of_groups + boxes.class_ids % number_of_groups for boxes in (flat.found, flat.objects)
    )
    parts = [Pairs(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))]
    for rows, others in _pairs_in_parts(found_group, object_group):
        iou = _pair_iou(flat.found.boxes[rows], flat.objects.boxes[others])
        parts.append(Pairs(rows, others, iou).where(iou >= least))
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def same_class(flat: Flat, pairs: Pairs) -> Pairs:
    """The pairs whose detection has its object's class."""
    return pairs.where(flat.found.class_ids[pairs.found] == flat.objects.class_ids[pairs.objects])


def best_objects(pairs: Pairs, number: int) -> tuple[Int[np.ndarray, " D"], Float[np.ndarray, " D"]]:
    """The object that each of `number` detections overlaps most, the first among equals, and the IoU, 0 without one."""
    index, overlap = np.full(number, NO_OBJECT), np.zeros(number)
    first = np.flatnonzero(np.diff(pairs.found, prepend=-1))
    overlap[pairs.found[first]] = np.maximum.reduceat(pairs.iou, first) if len(first) else 0.0
    best = np.flatnonzero(pairs.iou == overlap[pairs.found])[::-1]  # backwards: the first is written last, and stays
    index[pairs.found[best]] = pairs.objects[best]
    return index, overlap


def rows_of_each(class_ids: Int[np.ndarray, " N"], num_classes: int) -> list[Int[np.ndarray, " _"]]:
    """The rows of each class, in the order given."""
    order = np.argsort(class_ids, kind="stable")
    return np.split(order, np.searchsorted(class_ids[order], np.arange(1, num_classes)))


def best_first(scores: Float[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """The rows by falling score, equal ones in the order given, and last those that are no number."""
    return np.argsort(-scores, kind="stable")


def _boxes(pictures: Sequence[Detections] | Sequence[Target], num_classes: int) -> Boxes:
    boxes = _joined([picture.boxes for picture in pictures], np.zeros((0, 4)))
    class_ids = _joined([picture.class_ids for picture in pictures], np.zeros(0, dtype=np.int64))
    if len(class_ids) and not 0 <= class_ids.min() <= class_ids.max() < num_classes:
        raise ValueError(f"class ids {class_ids.min()} to {class_ids.max()}, but there are {num_classes} classes")
    return Boxes(boxes, class_ids, np.repeat(np.arange(len(pictures)), [len(part.class_ids) for part in pictures]))


def _joined(parts: Sequence[torch.Tensor], empty: np.ndarray) -> np.ndarray:
    """One array of the parts, with the type of `empty`."""
    return torch.cat(list(parts)).cpu().numpy().astype(empty.dtype) if parts else empty


def _ignored(target: Target) -> Bool[torch.Tensor, " G"]:
    return torch.zeros(len(target.boxes), dtype=torch.bool) if target.ignored is None else target.ignored


def _pairs_in_parts(
    found_group: Int[np.ndarray, " D"], object_group: Int[np.ndarray, " G"]
) -> Iterator[tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]]:
    """Every detection with every object of its group, as rows of both, as many at a time as memory allows."""
    by_group = np.argsort(object_group, kind="stable")
    groups = object_group[by_group]
    start = np.searchsorted(groups, found_group, side="left")
    count = np.searchsorted(groups, found_group, side="right") - start
    candidates = np.flatnonzero(count)
    for rows in _chunks(candidates, count[candidates]):
        number = count[rows]
        first_pair = np.cumsum(number) - number
        pair_object = np.arange(number.sum()) + np.repeat(start[rows] - first_pair, number)
        yield np.repeat(rows, number), by_group[pair_object]


def _chunks(rows: Int[np.ndarray, " R"], count: Int[np.ndarray, " R"]) -> list[Int[np.ndarray, " _"]]:
    """Split the rows so that the pairs of a part fit into memory; no part is empty."""
    part = np.cumsum(count) // PAIRS_AT_ONCE
    return [chunk for chunk in np.split(rows, np.flatnonzero(np.diff(part)) + 1) if len(chunk)]


def _pair_iou(a: Float[np.ndarray, "M 4"], b: Float[np.ndarray, "M 4"]) -> Float[np.ndarray, " M"]:
    """IoU of each box of `a` with the box of `b` beside it; 0 where both are empty or one is not finite."""
    finite = (np.isfinite(a) & np.isfinite(b)).all(axis=1, keepdims=True)
    a, b = np.where(finite, a, 0.0), np.where(finite, b, 0.0)
    size = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    intersection = size.clip(min=0).prod(axis=1)
    union = _sizes(a).prod(axis=1) + _sizes(b).prod(axis=1) - intersection
    return intersection / np.maximum(union, np.finfo(np.float64).tiny)


def _sizes(boxes: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 2"]:
    return boxes[:, 2:] - boxes[:, :2]
