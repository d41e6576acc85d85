"""What does each kind of error cost? The mAP gained where it alone is mended (TIDE, Bolya et al. 2020, Sec. 2.3).

D detections of all pictures together, best score first; G objects.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from frcnn.evaluation.average_precision import area_ap
from frcnn.evaluation.error_types import WRONG, ErrorTypes, Verdict
from frcnn.evaluation.flat import NO_OBJECT, Flat, best_first, rows_of_each


class Ranking(NamedTuple):
    """What an average precision is made of."""

    class_ids: Int[np.ndarray, " D"]
    right: Bool[np.ndarray, " D"]
    counted: Bool[np.ndarray, " D"]
    objects_per_class: Int[np.ndarray, " K"]


def error_costs(flat: Flat, errors: ErrorTypes) -> dict[str, float] | None:
    """The area mAP (at IoU .5, over all scores) that mending each kind of error would add; None without objects.

    A detection in the wrong place or of the wrong class becomes right if nothing found its object and no better score
    is mended onto it; every other wrong one is left out. Missed is every object that nothing found (TIDE leaves out
    those that a wrong detection reaches): they are not counted.
    """
    order = best_first(flat.scores)
    verdicts, objects = errors.verdicts[order], errors.object_index[order]
    objects = np.where(verdicts == Verdict.BOTH, NO_OBJECT, objects)  # nobody knows which object was meant
    right = verdicts == Verdict.RIGHT
    is_found = np.zeros(len(flat.counted), dtype=bool)
    is_found[objects[right]] = True
    found_per_class = np.bincount(flat.objects.class_ids[is_found], minlength=flat.num_classes)
    as_it_is = Ranking(flat.found.class_ids[order], right, verdicts != Verdict.IGNORED, flat.objects_per_class())
    mended = {kind.key: _mended(flat, as_it_is, is_found, verdicts == kind, objects) for kind in WRONG}
    mended["missed"] = as_it_is._replace(objects_per_class=found_per_class)
    has_objects = as_it_is.objects_per_class > 0
    if not has_objects.any():
        return None
    before = mean_ap(as_it_is, has_objects)
    return {name: mean_ap(ranking, has_objects) - before for name, ranking in mended.items()}


def mean_ap(ranking: Ranking, has_objects: Bool[np.ndarray, " K"]) -> float:
    """The mean over the classes that have objects, even where the ranking leaves none of them: there it is 0."""
    right = ranking.right[ranking.counted]
    rows = rows_of_each(ranking.class_ids[ranking.counted], len(has_objects))
    return float(
        np.mean(
            [
                area_ap(right[mine], number) if number else 0.0
                for mine, number, there_are in zip(rows, ranking.objects_per_class.tolist(), has_objects, strict=True)
                if there_are
            ]
        )
    )


def _mended(
    flat: Flat,
    ranking: Ranking,
    is_found: Bool[np.ndarray, " G"],
    wrong: Bool[np.ndarray, " D"],
    objects: Int[np.ndarray, " D"],
) -> Ranking:
    """The best-scored of the `wrong` on each object that is still to be found made right, the others left out."""
    to_find = np.append(flat.counted & ~is_found, False)  # the last: for NO_OBJECT
    candidates = np.flatnonzero(wrong & to_find[objects])
    chosen = candidates[np.unique(objects[candidates], return_index=True)[1]]
    class_ids, right, counted = ranking.class_ids.copy(), ranking.right.copy(), ranking.counted & ~wrong
    class_ids[chosen] = flat.objects.class_ids[objects[chosen]]
    right[chosen] = counted[chosen] = True
    return Ranking(class_ids, right, counted, ranking.objects_per_class)
