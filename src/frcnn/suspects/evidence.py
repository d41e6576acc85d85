"""What speaks for a mistake in an annotation: numbers that compare it with what was detected.

Each kind of mistake gives two tables: the evidence that there is, and the evidence that there would be if each
annotation were wrong in this way, its detections being what they are. (Overlooked, badly located and swapped boxes are
those of Tkachenko et al. 2023, "ObjectLab"; objects that are not there are added.)
D detections, G objects, M pairs of both that overlap, N annotations or places without one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from frcnn.evaluation.average_precision import OVERLAP
from frcnn.evaluation.error_types import TOUCHING
from frcnn.evaluation.flat import (
    NO_OBJECT,
    Boxes,
    Flat,
    Pairs,
    best_objects,
    flatten,
    overlapping_pairs,
    same_class,
)
from frcnn.ops.nms import batched_nms
from frcnn.structures import Detections, Target
from frcnn.suspects.odds import Evidence

NOTHING = -1
LEAST_SCORE, MOST_SCORE = 0.01, 0.999  # of detections that are asked for; above it differences say nothing
NEAR = 0.3  # IoU from which a detection may mean an object
CLEARLY = 1.5  # times as much as any other object of its class, a detection must overlap the one that it means
LEAST_OVERLAP = 1e-6  # of what overlaps at all
DIRECTIONS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)])
DISTANCES = np.array([0.2, 0.3, 0.4])  # of an object's size: slips of the hand and shifted numbers


class Scene(NamedTuple):
    """All detections and objects, and how they overlap."""

    flat: Flat
    pairs: Pairs  # of all classes, whatever overlaps
    owner: Int[np.ndarray, " D"]  # the object of its class that a detection lies on; NO_OBJECT
    sizes: Int[np.ndarray, "P 2"]  # (height, width) of the pictures

    @property
    def counted(self) -> Int[np.ndarray, " N"]:
        """The objects that may be suspected: not the difficult ones and crowds."""
        return np.flatnonzero(self.flat.counted)


class Cases(NamedTuple):
    """Of one kind of mistake."""

    observed: Evidence
    imagined: Evidence


def look(
    detections: Sequence[Detections], targets: Sequence[Target], sizes: Int[np.ndarray, "P 2"], num_classes: int
) -> Scene:
    """The pictures of all three, in the same order."""
    flat = flatten(detections, targets, num_classes)
    pairs = overlapping_pairs(flat, LEAST_OVERLAP, across_classes=True)
    owner, _ = best_objects(same_class(flat, pairs).above(OVERLAP), len(flat.scores))
    return Scene(flat, pairs, owner, sizes)


def of_missing(scene: Scene) -> Cases:
    """A detection where nothing is annotated; imagined: what there would be of each object, were it not annotated.

    Inside an annotated object of its class a detection is mostly a part of it.
    """
    flat, pairs = scene.flat, scene.pairs
    inside = np.where(_is_own(flat, pairs), _share_inside(flat, pairs), 0.0)
    number = len(flat.scores)
    nearest, within = _largest(pairs.found, pairs.iou, number), _largest(pairs.found, inside, number)
    free = _best_of_places(flat, np.flatnonzero((nearest < NEAR) & ~_spared(scene)))
    on = np.flatnonzero((pairs.iou > OVERLAP) & flat.counted[pairs.objects])
    best = _best_rows(pairs.objects[on], flat.scores[pairs.found[on]], len(flat.counted))
    rows = on[best[best != NOTHING]]
    rows = rows[_of_others(pairs, pairs.found[rows], pairs.objects[rows], number) < NEAR]
    hidden, objects = pairs.found[rows], pairs.objects[rows]
    others = _of_others(pairs._replace(iou=inside), hidden, objects, number)
    nobody = np.full(len(free), NOTHING)
    return Cases(_of_places(flat, free, within[free], nobody), _of_places(flat, hidden, others, objects))


def of_class(scene: Scene) -> Cases:
    """A detection of another class on an object, and none of its own; imagined: each object under another name."""
    objects, num_classes = scene.flat.objects, scene.flat.num_classes
    steps = 1 + np.arange(len(objects.class_ids)) % max(num_classes - 1, 1)  # every other class in turn
    renamed = (objects.class_ids + steps) % num_classes
    return Cases(_under_names(scene, objects.class_ids), _under_names(scene, renamed))


def of_box(scene: Scene) -> Cases:
    """A detection of the object's class that lies elsewhere; imagined: each box moved by some of its size."""
    boxes = scene.flat.objects.boxes
    number = np.arange(len(boxes))
    distance = DIRECTIONS[number % len(DIRECTIONS)] * DISTANCES[number % len(DISTANCES), None]
    moved = boxes + np.tile((boxes[:, 2:] - boxes[:, :2]) * distance, 2)
    return Cases(_in_boxes(scene, boxes), _in_boxes(scene, moved))


def of_spurious(scene: Scene) -> Cases:
    """No detection of any class near an object; imagined: the objects of one picture annotated in another."""
    flat, sizes = scene.flat, scene.sizes
    objects = flat.objects
    there = (objects.pictures + len(sizes) // 2) % max(len(sizes), 1)
    scale = np.tile((sizes[there] / sizes[objects.pictures])[:, ::-1], 2)  # (height, width) -> (x, y, x, y)
    carried = Boxes(objects.boxes * scale, objects.class_ids, there)
    meeting = overlapping_pairs(flat._replace(found=objects, objects=carried), NEAR, across_classes=True)
    alone = np.setdiff1d(scene.counted, meeting.objects)
    return Cases(_without_detections(scene, objects, scene.counted), _without_detections(scene, carried, alone))


def confidence(scores: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """The log of the odds that a score says."""
    clipped = scores.clip(LEAST_SCORE, MOST_SCORE)
    return np.log(clipped / (1 - clipped))


def _of_places(
    flat: Flat, found: Int[np.ndarray, " N"], inside: Float[np.ndarray, " N"], objects: Int[np.ndarray, " N"]
) -> Evidence:
    features = np.column_stack((confidence(flat.scores[found]), inside))
    return Evidence(features, flat.found.class_ids[found], found, objects)


def _under_names(scene: Scene, class_ids: Int[np.ndarray, " G"]) -> Evidence:
    """What is detected on objects with these classes; a detection that another object of its class explains is none."""
    flat, pairs = scene.flat, scene.pairs
    on = pairs.iou > OVERLAP
    own = flat.found.class_ids[pairs.found] == class_ids[pairs.objects]
    other_score, other = _best_detection(scene, pairs.where(on & ~own & _unexplained(scene, pairs)))
    own_score, _ = _best_detection(scene, pairs.where(on & own))
    features = np.column_stack((confidence(other_score), confidence(own_score)))
    counted = scene.counted
    return Evidence(features[counted], class_ids[counted], other[counted], counted)


def _in_boxes(scene: Scene, boxes: Float[np.ndarray, "G 4"]) -> Evidence:
    """How sure, and how far off, is the detection that means the object, if its box is this one?"""
    flat = scene.flat
    pairs = overlapping_pairs(flat._replace(objects=flat.objects._replace(boxes=boxes)), TOUCHING)
    elsewhere = _of_others(same_class(flat, scene.pairs), pairs.found, pairs.objects, len(flat.scores))
    pairs = pairs.where(_unexplained(scene, pairs) & (pairs.iou >= CLEARLY * elsewhere))
    best = _best_rows(pairs.objects, flat.scores[pairs.found] * pairs.iou, len(flat.counted))
    there = best != NOTHING
    found, iou = np.full(len(best), NOTHING), np.full(len(best), 0.5)
    found[there], iou[there] = pairs.found[best[there]], pairs.iou[best[there]].clip(TOUCHING, 0.98)
    sure = np.where(there, confidence(flat.scores[found]) - confidence(np.array([LEAST_SCORE])), 0.0)
    features = np.column_stack((sure, sure * np.log((1 - iou) / iou)))
    counted = scene.counted
    return Evidence(features[counted], flat.objects.class_ids[counted], found[counted], counted)


def _without_detections(scene: Scene, objects: Boxes, rows: Int[np.ndarray, " N"]) -> Evidence:
    """How sure is the best detection near, and what share of the picture would be overlooked?"""
    pairs = overlapping_pairs(scene.flat._replace(objects=objects), NEAR, across_classes=True)
    score, _ = _best_detection(scene, pairs)
    area = (objects.boxes[:, 2:] - objects.boxes[:, :2]).prod(axis=1) / scene.sizes[objects.pictures].prod(axis=1)
    features = np.column_stack((confidence(score), np.log(area)))
    return Evidence(features[rows], objects.class_ids[rows], np.full(len(rows), NOTHING), rows)


def _spared(scene: Scene) -> Bool[np.ndarray, " D"]:
    """Detections that touch an object that does not count, or lie half inside one."""
    flat, pairs = scene.flat, scene.pairs
    near = (pairs.iou >= TOUCHING) | (_share_inside(flat, pairs) >= OVERLAP)
    spared = np.zeros(len(flat.scores), dtype=bool)
    spared[pairs.found[near & ~flat.counted[pairs.objects]]] = True
    return spared


def _unexplained(scene: Scene, pairs: Pairs) -> Bool[np.ndarray, " M"]:
    """Those whose detection lies on no other object of its class."""
    owner = scene.owner[pairs.found]
    return (owner == NO_OBJECT) | (owner == pairs.objects)


def _best_of_places(flat: Flat, found: Int[np.ndarray, " N"]) -> Int[np.ndarray, " _"]:
    """The surest of all classes where several detections lie on one place."""
    boxes, scores = torch.from_numpy(flat.found.boxes[found]).float(), torch.from_numpy(flat.scores[found]).float()
    keep = batched_nms(boxes, scores, torch.from_numpy(flat.found.pictures[found]), OVERLAP)
    return found[keep.numpy()]


def _best_detection(scene: Scene, pairs: Pairs) -> tuple[Float[np.ndarray, " G"], Int[np.ndarray, " G"]]:
    """Of each object: the largest score among its pairs, and whose it is; the least score where there is none."""
    best = _best_rows(pairs.objects, scene.flat.scores[pairs.found], len(scene.flat.counted))
    there = best != NOTHING
    score, found = np.full(len(best), LEAST_SCORE), np.full(len(best), NOTHING)
    found[there] = pairs.found[best[there]]
    score[there] = scene.flat.scores[found[there]]
    return score, found


def _best_rows(groups: Int[np.ndarray, " M"], values: Float[np.ndarray, " M"], number: int) -> Int[np.ndarray, " G"]:
    """The row with the largest value in each of `number` groups, the first among equals; NOTHING in an empty one."""
    order = np.argsort(-values, kind="stable")[::-1]  # the best is written last, and stays
    best = np.full(number, NOTHING)
    best[groups[order]] = order
    return best


def _largest(groups: Int[np.ndarray, " M"], values: Float[np.ndarray, " M"], number: int) -> Float[np.ndarray, " D"]:
    """The largest value in each of `number` groups; 0 in an empty one."""
    largest = np.zeros(number)
    np.maximum.at(largest, groups, values)
    return largest


def _of_others(
    pairs: Pairs, found: Int[np.ndarray, " N"], objects: Int[np.ndarray, " N"], number: int
) -> Float[np.ndarray, " N"]:
    """The most that each detection overlaps an object other than the one beside it; 0 for NOTHING."""
    nearest, first = best_objects(pairs, number)
    _, second = best_objects(pairs.where(pairs.objects != nearest[pairs.found]), number)
    nearest, first, second = np.append(nearest, NO_OBJECT), np.append(first, 0.0), np.append(second, 0.0)
    return np.where(nearest[found] == objects, second[found], first[found])  # NOTHING is the last


def _share_inside(flat: Flat, pairs: Pairs) -> Float[np.ndarray, " M"]:
    """How much of the detection lies inside the object."""
    found, objects = flat.found.boxes[pairs.found], flat.objects.boxes[pairs.objects]
    area, other = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (found, objects))
    return pairs.iou / (1 + pairs.iou) * (area + other) / np.maximum(area, np.finfo(np.float64).tiny)


def _is_own(flat: Flat, pairs: Pairs) -> Bool[np.ndarray, " M"]:
    return flat.found.class_ids[pairs.found] == flat.objects.class_ids[pairs.objects]
