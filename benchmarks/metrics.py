"""How long the metrics of a large evaluation take, beside pycocotools on the same detections: a line of JSON.

python benchmarks/metrics.py [pictures]          needs pycocotools, which frcnn itself does not
"""

import contextlib
import io
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from frcnn.evaluation.analysis import analyse
from frcnn.evaluation.average_precision import evaluate_detections
from frcnn.evaluation.coco import coco_figures
from frcnn.structures import Detections, Target

CLASSES, OBJECTS, FOUND = 80, 7, 100  # the latter two of a picture
NAMES = tuple(f"class {number}" for number in range(CLASSES))
WIDTH, HEIGHT = 640.0, 480.0

Result = TypeVar("Result")


class Times(NamedTuple):
    """Seconds: by the clock, and of all processors together, which other work on the machine does not lengthen."""

    wall: float
    processor: float


def main(pictures: int = 10_000) -> None:
    """Make the detections, measure all of them in this process, and check that both agree."""
    chance = np.random.default_rng(0)
    found, targets = zip(*(picture(chance) for _ in range(pictures)), strict=True)
    taken: dict[str, Times] = {}
    voc, taken["voc"] = timed(lambda: evaluate_detections(found, targets, NAMES))
    ours, taken["coco"] = timed(lambda: coco_figures(found, targets, NAMES))
    _, taken["everything"] = timed(lambda: (evaluate_detections(found, targets, NAMES), analyse(found, targets, NAMES)))
    memory = {"ours": peak_gigabytes()}
    theirs, taken["pycocotools"] = timed(lambda: by_pycocotools(found, targets))
    memory["with pycocotools"] = peak_gigabytes()
    figures = np.array([-1 if figure is None else figure for figure in ours.as_dict().values()])
    line = {
        "pictures": pictures,
        "detections": sum(map(len, found)),
        "objects": sum(len(target.boxes) for target in targets),
        "seconds": {name: round(times.wall, 2) for name, times in taken.items()},
        "processor_seconds": {name: round(times.processor, 2) for name, times in taken.items()},
        "times_faster": {
            name: round(taken["pycocotools"].processor / times.processor, 1) for name, times in taken.items()
        },
        "peak_gigabytes": memory,
        "largest_difference": float(np.abs(figures - theirs).max()),
        "voc_map": voc.voc_map,
        "coco_ap": ours.ap,
    }
    print(json.dumps(line), flush=True)


def picture(chance: np.random.Generator) -> tuple[Detections, Target]:
    """Objects, detections near them with a class that is mostly right and a score that is mostly high, and others."""
    number = int(chance.poisson(OBJECTS))
    objects, class_ids = boxes(chance, number), chance.integers(CLASSES, size=number)
    near = FOUND // 2 if number else 0
    on = chance.integers(max(number, 1), size=near)
    size = objects[on, 2:] - objects[on, :2]
    moved = objects[on] + np.tile(size, 2) * chance.normal(0, 0.08, (near, 4))
    renamed = np.where(chance.random(near) < 0.85, class_ids[on], chance.integers(CLASSES, size=near))
    rest = FOUND - near
    found = Detections(
        torch.tensor(np.concatenate((moved, boxes(chance, rest))), dtype=torch.float32),
        torch.tensor(np.concatenate((chance.beta(2, 1.5, near), chance.beta(1, 6, rest))), dtype=torch.float32),
        torch.tensor(np.concatenate((renamed, chance.integers(CLASSES, size=rest)))),
        NAMES,
    )
    crowd = torch.tensor(chance.random(number) < 0.01)
    return found, Target(torch.tensor(objects, dtype=torch.float32), torch.tensor(class_ids), crowd)


def boxes(chance: np.random.Generator, number: int) -> Float[np.ndarray, "N 4"]:
    """Of all sizes, the small ones more often, inside the picture."""
    whole = np.array([WIDTH, HEIGHT])
    size = np.exp(chance.normal(4, 0.9, (number, 2))).clip(6, whole)
    corner = chance.random((number, 2)) * (whole - size)
    return np.hstack((corner, corner + size))


def by_pycocotools(found: tuple[Detections, ...], targets: tuple[Target, ...]) -> Float[np.ndarray, " 12"]:
    """The twelve figures, from our tensors, as ours are; what it prints is kept quiet."""
    truth, results = COCO(), []
    annotations: list[dict[str, Any]] = []
    for number, (detections, target) in enumerate(zip(found, targets, strict=True)):
        assert target.ignored is not None
        rows = zip(sizes(target.boxes), target.class_ids.tolist(), target.ignored.tolist(), strict=True)
        for box, class_id, crowd in rows:
            annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": class_id, "bbox": box}
            annotations.append(annotation | {"area": box[2] * box[3], "iscrowd": int(crowd)})
        rows = zip(sizes(detections.boxes), detections.class_ids.tolist(), detections.scores.tolist(), strict=True)
        results += [{"image_id": number, "category_id": c, "bbox": box, "score": score} for box, c, score in rows]
    with contextlib.redirect_stdout(io.StringIO()):
        images = [{"id": number} for number in range(len(found))]
        categories = [{"id": number} for number in range(CLASSES)]
        truth.dataset = {"images": images, "categories": categories, "annotations": annotations}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.array(evaluation.stats)


def sizes(corners: torch.Tensor) -> list[list[float]]:
    """COCO's x, y, width, height."""
    corners = corners.double()
    return torch.cat((corners[:, :2], corners[:, 2:] - corners[:, :2]), dim=1).tolist()


def timed(work: Callable[[], Result]) -> tuple[Result, Times]:
    """What it gives, and how long it takes."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, Times(time.perf_counter() - wall, time.process_time() - processor)


def peak_gigabytes() -> float:
    """What the process has held at most so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
