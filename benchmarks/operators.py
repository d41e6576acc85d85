"""Each operator against torchvision's, by turns in one process: a line of JSON each, medians in milliseconds.

python benchmarks/operators.py [runs]
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch
import torchvision.ops
from torch import Tensor

from frcnn.ops import nms, roi_align, roi_pool

Work = Callable[[], object]


def main(runs: int = 9) -> None:
    """Measure all, one after another."""
    for name, ours, theirs in (*suppressions(), *poolings()):
        mine, peer = medians(ours, theirs, runs)
        line = {"work": name, "frcnn_ms": round(mine, 3), "torchvision_ms": round(peer, 3)}
        print(json.dumps(line | {"ratio": round(peer / mine, 2), "threads": torch.get_num_threads()}), flush=True)


def suppressions() -> Iterator[tuple[str, Work, Work]]:
    """Proposals as at the start of training: anywhere, of any size."""
    for count, wanted in ((12_000, 2_000), (6_000, 300)):
        boxes, scores = random_boxes(count), torch.rand(count)
        yield (
            f"nms .7 of {count} boxes, {wanted} wanted",
            lambda boxes=boxes, scores=scores, wanted=wanted: nms(boxes, scores, 0.7, wanted),
            lambda boxes=boxes, scores=scores, wanted=wanted: torchvision.ops.nms(boxes, scores, 0.7)[:wanted],
        )


def poolings() -> Iterator[tuple[str, Work, Work]]:
    """300 boxes on one map of VGG-16: 512 channels, 600 x 800 pixels, 7 x 7 bins; each in the layout that suits it."""
    theirs = torch.randn(1, 512, 38, 50)
    ours = theirs.to(memory_format=torch.channels_last)
    boxes, pushed = random_boxes(300), torch.randn(300, 512, 7, 7)
    yield (
        "roi_align forward",
        lambda: roi_align(ours, [boxes], 7, 16.0),
        lambda: torchvision.ops.roi_align(theirs, [boxes], 7, 1 / 16, 2, True),
    )
    yield (
        "roi_align forward and backward",
        lambda: there_and_back(lambda features: roi_align(features, [boxes], 7, 16.0), ours, pushed),
        lambda: there_and_back(
            lambda features: torchvision.ops.roi_align(features, [boxes], 7, 1 / 16, 2, True), theirs, pushed
        ),
    )
    yield (
        "roi_pool forward and backward",
        lambda: there_and_back(lambda features: roi_pool(features, [boxes], 7, 16.0), ours, pushed),
        lambda: there_and_back(lambda features: torchvision.ops.roi_pool(features, [boxes], 7, 1 / 16), theirs, pushed),
    )


def there_and_back(pool: Callable[[Tensor], Tensor], features: Tensor, pushed: Tensor) -> None:
    """Forward, and the gradient of the features."""
    pool(features.detach().requires_grad_()).backward(pushed)


def random_boxes(count: int) -> Tensor:
    """Within a picture of 600 x 800, sides up to 400 pixels."""
    corner = torch.rand(count, 2) * torch.tensor([780.0, 580.0])
    boxes = torch.cat((corner, corner + 20 + 380 * torch.rand(count, 2)), dim=1)
    return boxes.clamp(min=0).minimum(torch.tensor([800.0, 600.0, 800.0, 600.0]))


def medians(ours: Work, theirs: Work, runs: int) -> tuple[float, float]:
    """By turns, so that a slow moment of the machine meets both; the first of each is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs + 1):
        for work, taken in ((ours, times[0]), (theirs, times[1])):
            start = time.perf_counter()
            work()
            taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])


if __name__ == "__main__":
    torch.manual_seed(0)
    main(*map(int, sys.argv[1:]))
