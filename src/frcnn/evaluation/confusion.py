"""What is taken for what? The objects of each class, by the class they were detected as, the background among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from frcnn.evaluation.average_precision import OVERLAP
from frcnn.evaluation.flat import NO_OBJECT, Flat, Pairs, best_first

BACKGROUND = "background"


@dataclass(frozen=True)
class Confusion:
    """Counts at a score threshold and an IoU of .5.

    Rows are the objects' classes, columns the detections', the background last of both: its row holds the detections
    on no object, its column the objects that no detection was given.
    """

    class_names: tuple[str, ...]
    threshold: float  # detections scored at or above it are counted
    counts: Int[np.ndarray, "L L"]  # L labels: the classes and the background

    @property
    def labels(self) -> tuple[str, ...]:
        """What the rows and the columns are."""
        return (*self.class_names, BACKGROUND)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"threshold": self.threshold, "labels": list(self.labels), "counts": self.counts.tolist()}


def confusion(flat: Flat, pairs: Pairs, class_names: Sequence[str], threshold: float) -> Confusion:
    """Each detection, the best score first, is given the object it fits best of those not given yet.

    Objects of its own class come first, however well it fits another; in a class the ones that count come before the
    ignored, then the larger IoU decides. An ignored object takes any number of detections, and they count nowhere.
    `pairs` holds those of all classes whose IoU lies above .5.
    """
    believed = flat.scores >= threshold
    given = give_objects(flat, pairs.where(believed[pairs.found]).above(OVERLAP))
    on_counted = np.append(flat.counted, False)[given]  # the last: for NO_OBJECT
    number, of_object, of_found = flat.num_classes, flat.objects.class_ids, flat.found.class_ids
    cells = of_object[given[on_counted]] * number + of_found[on_counted]
    counts = np.zeros((number + 1, number + 1), dtype=np.int64)
    counts[:-1, :-1] = np.bincount(cells, minlength=number**2).reshape(number, number)
    counts[-1, :-1] = np.bincount(of_found[believed & (given == NO_OBJECT)], minlength=number)
    counts[:-1, -1] = np.bincount(of_object[_left_over(flat, given)], minlength=number)
    return Confusion(tuple(class_names), threshold, counts)


def give_objects(flat: Flat, pairs: Pairs) -> Int[np.ndarray, " D"]:
    """The object given to each detection, NO_OBJECT where none is left."""
    rank = np.empty(len(flat.scores), dtype=np.int64)
    rank[best_first(flat.scores)] = np.arange(len(rank))
    other_class = flat.found.class_ids[pairs.found] != flat.objects.class_ids[pairs.objects]
    ignored = ~flat.counted[pairs.objects]
    order = np.lexsort((-pairs.iou, ignored, other_class, rank[pairs.found]))  # the last key is the first
    given, taken = [NO_OBJECT] * len(rank), flat.counted.size * [False]
    for row, candidate, may_be_shared in zip(
        pairs.found[order].tolist(), pairs.objects[order].tolist(), ignored[order].tolist(), strict=True
    ):
        if given[row] == NO_OBJECT and (may_be_shared or not taken[candidate]):
            given[row] = candidate
            taken[candidate] = True
    return np.array(given, dtype=np.int64)


def _left_over(flat: Flat, given: Int[np.ndarray, " D"]) -> Bool[np.ndarray, " G"]:
    """The objects that count and were given to no detection."""
    left = flat.counted.copy()
    left[given[given != NO_OBJECT]] = False
    return left
