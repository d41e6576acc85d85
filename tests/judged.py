"""Detections and objects written down as rows, for the tests of the metrics."""

import random
from collections.abc import Iterator

import torch

from frcnn.structures import Detections, Target

NAMES = ("cat", "dog", "eel")
BOX = (10.0, 10.0, 20.0, 20.0)
FAR = (50.0, 50.0, 60.0, 60.0)

Box = tuple[float, ...]


def detections(*rows: tuple[Box, float, int], names: tuple[str, ...] = NAMES) -> Detections:
    """Of one picture, from (box, score, class id)."""
    return Detections(
        torch.tensor([box for box, _, _ in rows]).reshape(-1, 4),
        torch.tensor([score for _, score, _ in rows]),
        torch.tensor([class_id for _, _, class_id in rows], dtype=torch.long),
        names,
    )


def target(*rows: tuple[Box, int, bool]) -> Target:
    """Of one picture, from (box, class id, ignored)."""
    return Target(
        torch.tensor([box for box, _, _ in rows]).reshape(-1, 4),
        torch.tensor([class_id for _, class_id, _ in rows], dtype=torch.long),
        torch.tensor([ignored for _, _, ignored in rows], dtype=torch.bool),
    )


def random_case(rng: random.Random) -> tuple[list[Detections], list[Target]]:
    """A few pictures with crowded boxes on a coarse grid and coarse scores: overlaps of exactly .5 and ties abound."""

    def box() -> Box:
        x, y = rng.randrange(0, 8), rng.randrange(0, 8)
        return (float(x), float(y), float(x + rng.randrange(1, 7)), float(y + rng.randrange(1, 7)))

    found, truths = [], []
    for _ in range(rng.randrange(1, 6)):
        objects = [(box(), rng.randrange(3), rng.random() < 0.3) for _ in range(rng.randrange(0, 8))]
        rows = [(box(), rng.randrange(1, 6) / 8, rng.randrange(3)) for _ in range(rng.randrange(0, 6))]
        for place, class_id, _ in objects:  # near the objects, often more than once
            for _ in range(rng.randrange(0, 3)):
                near = (place[0], place[1], place[2] + rng.randrange(0, 3), place[3])
                rows.append((near, rng.randrange(1, 8) / 8, class_id))
        rng.shuffle(rows)
        found.append(detections(*rows))
        truths.append(target(*objects))
    return found, truths


def random_cases(number: int, seed: int) -> Iterator[tuple[list[Detections], list[Target]]]:
    """Several, each of a seed of its own."""
    for case in range(number):
        yield random_case(random.Random(number * seed + case))


def slow_iou(a: Box, b: Box) -> float:
    """Of two boxes, as it is written in the books."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)
