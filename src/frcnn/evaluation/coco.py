"""COCO's twelve figures, of the whole and of each class, by faster-coco-eval (https://cocodataset.org/#detection-eval).

The library takes dictionaries, which for a million detections would fill the memory. So the classes go to it one after
the other, since in COCO's rules none depends on another, and their curves are then put side by side.
T thresholds of the IoU (.5, .55, ..., .95), R recalls (0, .01, ..., 1), K classes, A ranges of area (all, small,
medium, large), M limits to the number of detections of a picture and class (1, 10, 100).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from jaxtyping import Float, Int

from frcnn.evaluation.flat import Boxes, Flat, flatten, rows_of_each
from frcnn.structures import Detections, Target

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # square pixels, ends too
ALL, SMALL, MEDIUM, LARGE = range(4)
ONE, TEN, HUNDRED = range(3)
AT_50, AT_75 = 0, 5
NOT_DEFINED = -1.0  # the library's word where there are no objects
SHAPE = (10, 101, 1, 4, 3)  # T R K A M


@dataclass(frozen=True)
class CocoFigures:
    """The twelve: means over IoU .5 to .95, but for two, and over the classes; None where there is nothing to find."""

    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar1: float | None
    ar10: float | None
    ar100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None

    def as_dict(self) -> dict[str, float | None]:
        """The twelve by name, ready for JSON."""
        return {of.name: getattr(self, of.name) for of in fields(CocoFigures)}


@dataclass(frozen=True)
class SizeFigures:
    """The objects of one size in one class, at IoU .5."""

    objects: int  # not counting the ignored ones
    ap50: float | None
    recall50: float | None

    def as_dict(self) -> dict[str, float | int | None]:
        """By the names of the fields, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class CocoClass(CocoFigures):
    """The twelve of one class, and what becomes of its small, medium and large objects."""

    by_size: Mapping[str, SizeFigures]


@dataclass(frozen=True)
class CocoResult(CocoFigures):
    """The twelve of a data set, and each class."""

    per_class: Mapping[str, CocoClass]


class Curves(NamedTuple):
    """The library's answer: precision at each recall, and the recall in the end; -1 where there are no objects."""

    precision: Float[np.ndarray, "T R K A M"]
    recall: Float[np.ndarray, "T K A M"]


def coco_figures(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    class_names: Sequence[str],
    areas: Sequence[Float[np.ndarray, " _"]] | None = None,
) -> CocoResult:
    """COCO's figures; ignored objects are its crowds. `detections` and `targets` are pictures in the same order.

    `areas`: square pixels of each picture's objects (COCO's own figures take those of the outlines); without them,
    the boxes'. Raises ValueError for unequal lengths and class ids out of range.
    """
    return coco_result(flatten(detections, targets, len(class_names), areas), class_names)


def coco_result(flat: Flat, class_names: Sequence[str]) -> CocoResult:
    """The twelve, of all classes and of each."""
    found = rows_of_each(flat.found.class_ids, flat.num_classes)
    objects = rows_of_each(flat.objects.class_ids, flat.num_classes)
    curves = [_curves(flat, *rows) for rows in zip(found, objects, strict=True)]
    together = Curves(
        np.concatenate([of_class.precision for of_class in curves], axis=2),
        np.concatenate([of_class.recall for of_class in curves], axis=1),
    )
    per_class = {
        name: CocoClass(**_figures(of_class), by_size=_by_size(flat, rows, of_class))
        for name, rows, of_class in zip(class_names, objects, curves, strict=True)
    }
    return CocoResult(**_figures(together), per_class=per_class)


def _curves(flat: Flat, found: Int[np.ndarray, " D"], objects: Int[np.ndarray, " G"]) -> Curves:
    """Of one class, by the library; `found` and `objects` are its rows."""
    if not flat.counted[objects].any():
        return Curves(np.full(SHAPE, NOT_DEFINED), np.full(SHAPE[:1] + SHAPE[2:], NOT_DEFINED))
    scores = np.where(np.isnan(flat.scores[found]), -np.inf, flat.scores[found])  # what is no number comes last
    more_of_objects = {"iscrowd": (~flat.counted[objects]).astype(int), "area": flat.areas[objects]}
    pictures = np.union1d(flat.found.pictures[found], flat.objects.pictures[objects]).tolist()
    evaluation = COCOeval_faster(
        _data_set(pictures, _annotations(flat.objects, objects, more_of_objects)),
        _data_set(pictures, _annotations(flat.found, found, {"score": scores})),
        iouType="bbox",
        print_function=_nothing,
    )
    evaluation.evaluate()
    evaluation.accumulate()
    return Curves(np.asarray(evaluation.eval["precision"]), np.asarray(evaluation.eval["recall"]))


def _annotations(boxes: Boxes, rows: Int[np.ndarray, " N"], more: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """As in COCO's files, but all of one category; the ids begin at 1, since the library takes 0 for no match."""
    corners = np.where(np.isfinite(boxes.boxes[rows]).all(axis=1, keepdims=True), boxes.boxes[rows], 0.0)
    sizes = corners[:, 2:] - corners[:, :2]
    columns: dict[str, Iterable[Any]] = {
        "id": range(1, len(rows) + 1),
        "image_id": boxes.pictures[rows].tolist(),
        "bbox": np.hstack((corners[:, :2], sizes)).tolist(),
        "area": sizes.prod(axis=1).tolist(),
    } | {name: values.tolist() for name, values in more.items()}
    return [{"category_id": 1, **dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True)]


def _data_set(pictures: list[int], annotations: list[dict[str, Any]]) -> COCO:
    contents = {"images": [{"id": picture} for picture in pictures], "categories": [{"id": 1}]}
    return COCO(contents | {"annotations": annotations}, print_function=_nothing)


def _nothing(*_: object) -> None:
    """What the library says of its progress."""


def _figures(curves: Curves) -> dict[str, float | None]:
    precision, recall = curves.precision[..., HUNDRED], curves.recall
    return CocoFigures(
        ap=_mean(precision[..., ALL]),
        ap50=_mean(precision[AT_50, ..., ALL]),
        ap75=_mean(precision[AT_75, ..., ALL]),
        ap_small=_mean(precision[..., SMALL]),
        ap_medium=_mean(precision[..., MEDIUM]),
        ap_large=_mean(precision[..., LARGE]),
        ar1=_mean(recall[..., ALL, ONE]),
        ar10=_mean(recall[..., ALL, TEN]),
        ar100=_mean(recall[..., ALL, HUNDRED]),
        ar_small=_mean(recall[..., SMALL, HUNDRED]),
        ar_medium=_mean(recall[..., MEDIUM, HUNDRED]),
        ar_large=_mean(recall[..., LARGE, HUNDRED]),
    ).as_dict()


def _by_size(flat: Flat, objects: Int[np.ndarray, " G"], curves: Curves) -> dict[str, SizeFigures]:
    areas = flat.areas[objects][flat.counted[objects]]
    return {
        size: SizeFigures(
            int(((areas >= smallest) & (areas <= largest)).sum()),
            _mean(curves.precision[AT_50, ..., column, HUNDRED]),
            _mean(curves.recall[AT_50, ..., column, HUNDRED]),
        )
        for column, (size, (smallest, largest)) in enumerate(SIZES.items(), start=SMALL)
    }


def _mean(values: Float[np.ndarray, "..."]) -> float | None:
    """Of what is defined: the classes that have such objects."""
    defined = values[values > NOT_DEFINED]
    return float(defined.mean()) if defined.size else None
