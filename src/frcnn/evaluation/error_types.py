"""Why is a detection wrong? After Hoiem et al. 2012 and TIDE (Bolya et al. 2020, Sec. 2.2)."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float, Int

from frcnn.evaluation.average_precision import NOT_COUNTED, OVERLAP, TRUE_POSITIVE, Judgement
from frcnn.evaluation.flat import NO_OBJECT, Flat, Pairs, best_objects

TOUCHING = 0.1  # IoU: below it a detection has nothing to do with an object


class Verdict(IntEnum):
    """What a detection is. The nearest object of its class decides; where that is none, the nearest of the others."""

    RIGHT = 0
    DUPLICATE = 1  # on an object of its class that a better score has taken
    LOCALISATION = 2  # on an object of its class, but only touching it: IoU of .1 to .5
    CLASS = 3  # on an object of another class
    BOTH = 4  # touching an object of another class
    BACKGROUND = 5  # far from everything
    IGNORED = 6  # on an object of its class that does not count

    @property
    def key(self) -> str:
        """Its name in metrics.json."""
        return self.name.lower()


WRONG = (Verdict.DUPLICATE, Verdict.LOCALISATION, Verdict.CLASS, Verdict.BOTH, Verdict.BACKGROUND)


class Fate(IntEnum):
    """What became of an object."""

    FOUND = 0
    MISSED = 1
    IGNORED = 2


@dataclass(frozen=True)
class ErrorTypes:
    """Verdicts of all detections and objects, picture after picture in the order given, VOC's rules at IoU .5.

    The verdict of a detection depends on none with a lower score, so that it holds at every threshold; `counts` and
    `fates` are of the detections scored at or above `threshold`.
    """

    threshold: float
    verdicts: Int[np.ndarray, " D"]
    object_index: Int[np.ndarray, " D"]  # the object that decided; NO_OBJECT where there is none
    fates: Int[np.ndarray, " G"]
    counts: dict[str, int]  # of each verdict by its name, and the objects "missed"


def error_types(flat: Flat, pairs: Pairs, judgement: Judgement, threshold: float) -> ErrorTypes:
    """Sort all detections and objects; `pairs` holds those of all classes from an IoU of .1."""
    is_own = flat.found.class_ids[pairs.found] == flat.objects.class_ids[pairs.objects]
    own_object, own = best_objects(pairs.where(is_own), len(flat.scores))
    other_object, other = best_objects(pairs.where(~is_own), len(flat.scores))
    verdicts = _verdicts(judgement, own, other)
    fates = _fates(flat, judgement, threshold)
    believed = np.bincount(verdicts[flat.scores >= threshold], minlength=len(Verdict)).tolist()
    return ErrorTypes(
        threshold,
        verdicts,
        np.where(own >= TOUCHING, own_object, np.where(other >= TOUCHING, other_object, NO_OBJECT)),
        fates,
        {kind.key: believed[kind] for kind in Verdict} | {"missed": int((fates == Fate.MISSED).sum())},
    )


def _verdicts(
    judgement: Judgement, own: Float[np.ndarray, " D"], other: Float[np.ndarray, " D"]
) -> Int[np.ndarray, " D"]:
    """From the IoU with the nearest object of the detection's own class, and of the others: the first that applies."""
    cases = {
        Verdict.IGNORED: judgement.verdict == NOT_COUNTED,
        Verdict.RIGHT: judgement.verdict == TRUE_POSITIVE,
        Verdict.DUPLICATE: own > OVERLAP,
        Verdict.LOCALISATION: own >= TOUCHING,
        Verdict.CLASS: other > OVERLAP,
        Verdict.BOTH: other >= TOUCHING,
    }
    return np.select(list(cases.values()), [int(kind) for kind in cases], default=int(Verdict.BACKGROUND))


def _fates(flat: Flat, judgement: Judgement, threshold: float) -> Int[np.ndarray, " G"]:
    fates = np.where(flat.counted, int(Fate.MISSED), int(Fate.IGNORED))
    fates[judgement.object_index[(judgement.verdict == TRUE_POSITIVE) & (flat.scores >= threshold)]] = Fate.FOUND
    return fates
