"""Which annotations are probably wrong, and how: one list, by one measure for all kinds of mistakes."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from frcnn.structures import Detections, Target
from frcnn.suspects.evidence import NOTHING, Cases, Scene, look, of_box, of_class, of_missing, of_spurious
from frcnn.suspects.odds import log_odds, probability

Kind = Literal["missing", "class", "box", "spurious"]

# The share of annotations that have such a mistake, before anything is seen of them. Objects that nobody annotated,
# wrong names and careless boxes are the daily bread of annotators; a box round nothing is rare.
SHARES: dict[Kind, float] = {"missing": 0.02, "class": 0.02, "box": 0.02, "spurious": 0.005}
# Intercept and weights as 287 photos of VOC2007 give them: what holds in sets too small to tell.
USUAL: dict[Kind, tuple[float, float, float]] = {
    "missing": (0.9, 0.8, -2.3),  # + confidence, + share inside an annotated object
    "class": (-1.9, 0.5, -1.0),  # + confidence in another class, + in its own
    "box": (-0.1, 0.1, 0.35),  # + confidence, + confidence times how far off
    "spurious": (0.9, -0.7, 0.6),  # + confidence in anything near, + log of its share of the picture
}
LEAST_SUSPICION = 0.01  # of what is worth a look: below it, a hundred of them hold less than one mistake


class Suspicion(NamedTuple):
    """That one annotation is wrong; detection and object are rows of all pictures', one after the other."""

    suspicion: float  # the probability, in [0, 1]
    kind: Kind
    picture: int
    found: int  # NOTHING where no detection speaks for it
    object: int  # NOTHING where none is annotated


def rank(
    detections: Sequence[Detections], targets: Sequence[Target], sizes: Int[np.ndarray, "P 2"], num_classes: int
) -> list[Suspicion]:
    """The most suspicious first, each object and each detection once, in its most suspicious role.

    The detections must be of a model that has not seen these annotations, and reach down to low scores.
    """
    scene = look(detections, targets, sizes, num_classes)
    return merged([suspicion for kind in SHARES for suspicion in _of_kind(scene, kind)])


def merged(suspicions: Sequence[Suspicion]) -> list[Suspicion]:
    """The most suspicious first; what speaks again of an object or of a detection that was spoken of is left out."""
    objects, found = {NOTHING}, {NOTHING}
    kept = []
    for one in sorted(suspicions, key=lambda one: -one.suspicion):
        if (one.object in objects and one.object != NOTHING) or (one.found in found and one.found != NOTHING):
            continue
        objects.add(one.object)
        found.add(one.found)
        kept.append(one)
    return kept


def _of_kind(scene: Scene, kind: Kind) -> list[Suspicion]:
    """Those worth a look."""
    observed, imagined = _cases(scene, kind)
    odds = log_odds(observed, imagined, SHARES[kind], USUAL[kind], scene.flat.num_classes)
    suspicion = probability(odds)
    speaks = (observed.found != NOTHING) | (kind == "spurious")
    rows = np.flatnonzero(speaks & (suspicion >= LEAST_SUSPICION))
    pictures = np.where(
        observed.objects == NOTHING,
        np.append(scene.flat.found.pictures, 0)[observed.found],  # NOTHING is the last
        np.append(scene.flat.objects.pictures, 0)[observed.objects],
    )
    columns = (suspicion, pictures, observed.found, observed.objects)
    return [
        Suspicion(s, kind, *where) for s, *where in zip(*(column[rows].tolist() for column in columns), strict=True)
    ]


def _cases(scene: Scene, kind: Kind) -> Cases:
    return {"missing": of_missing, "class": of_class, "box": of_box, "spurious": of_spurious}[kind](scene)
