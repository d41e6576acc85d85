"""Which annotations are probably wrong, and how: one list, by one measure for all kinds of mistakes."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from frcnn.structures import Detections, Target
from frcnn.suspects.evidence import NOTHING, Cases, Scene, look, of_box, of_class, of_missing, of_spurious
from frcnn.suspects.odds import log_odds, probability

Kind = Literal["missing", "class", "box", "spurious"]


class Rule(NamedTuple):
    """How a kind of mistake is told."""

    cases: Callable[[Scene], Cases]
    share: float  # of annotations that have such a mistake, before anything is seen of them
    usual: tuple[float, float, float]  # intercept and weights of the evidence, in sets too small to tell


# Objects that nobody annotated, wrong names and careless boxes are the daily bread of annotators; a box round nothing
# is rare. What is usual are the weights that 287 photos of VOC2007 give.
RULES: dict[Kind, Rule] = {
    "missing": Rule(of_missing, 0.02, (0.9, 0.8, -2.3)),  # + confidence, + share inside an annotated object
    "class": Rule(of_class, 0.02, (-1.9, 0.5, -1.0)),  # + confidence in another class, + in its own
    "box": Rule(of_box, 0.02, (-0.1, 0.1, 0.35)),  # + confidence, + confidence times how far off
    "spurious": Rule(of_spurious, 0.005, (0.9, -0.7, 0.6)),  # + confidence in anything near, + log of its share
}
LEAST_SUSPICION = 0.01  # of what is worth a look: below it, a hundred of them hold less than one mistake


class Suspicion(NamedTuple):
    """That one annotation is wrong. Detection and object are rows of their picture."""

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
    return merged([suspicion for kind in RULES for suspicion in _of_kind(scene, kind)])


def merged(suspicions: Sequence[Suspicion]) -> list[Suspicion]:
    """The most suspicious first; what speaks again of an object or of a detection that was spoken of is left out."""
    spoken_of: set[tuple[str, int, int]] = set()
    kept = []
    for one in sorted(suspicions, key=lambda one: -one.suspicion):
        rows = {"found": one.found, "object": one.object}
        members = {(name, one.picture, row) for name, row in rows.items() if row != NOTHING}
        if spoken_of.isdisjoint(members):
            kept.append(one)
            spoken_of |= members
    return kept


def _of_kind(scene: Scene, kind: Kind) -> list[Suspicion]:
    """Those worth a look."""
    rule = RULES[kind]
    observed, imagined = rule.cases(scene)
    # Of objects that nobody annotated only those are seen that are detected: as many as would be, of those annotated.
    among = max(len(imagined.features), 1) if kind == "missing" else len(observed.features)
    odds = log_odds(observed, imagined, rule.share * among, rule.usual, scene.flat.num_classes)
    suspicion = probability(odds)
    speaks = (observed.found != NOTHING) | (kind == "spurious")
    rows = np.flatnonzero(speaks & (suspicion >= LEAST_SUSPICION))
    found, found_in = _in_pictures(observed.found[rows], scene.flat.found.pictures)
    objects, object_in = _in_pictures(observed.objects[rows], scene.flat.objects.pictures)
    columns = (suspicion[rows], np.maximum(found_in, object_in), found, objects)
    table = zip(*(column.tolist() for column in columns), strict=True)
    return [Suspicion(value, kind, *where) for value, *where in table]


def _in_pictures(
    rows: Int[np.ndarray, " N"], pictures: Int[np.ndarray, " A"]
) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """Rows of all pictures, whose numbers rise, as rows of their own pictures, and which those are; NOTHING stays."""
    there = rows != NOTHING
    own, number = np.full(len(rows), NOTHING), np.full(len(rows), NOTHING)
    number[there] = pictures[rows[there]]
    own[there] = rows[there] - np.searchsorted(pictures, number[there])
    return own, number
