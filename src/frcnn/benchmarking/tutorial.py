"""The same work as most tutorials write it, with loops over boxes in Python, and how many times faster ours is."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from frcnn.benchmarking.operators import BINS, NMS_THRESHOLD, PICTURE, SHORT, STRIDE, pooling_input
from frcnn.benchmarking.pictures import draw_boxes
from frcnn.benchmarking.rows import Measurement, Row, Setting
from frcnn.benchmarking.timing import Work, by_turns
from frcnn.ops import nms, roi_pool

Corners = Sequence[float]

LOOPS = 1  # loops of seconds are counted once
SUPPRESSED = 2_000
PEER = "Python loop"
SEED = 0


def tutorial_measurements(setting: Setting) -> Iterator[Measurement]:
    """NMS and RoI pooling; the loops over anchors stand beside the anchors' targets."""
    suppression = f"NMS .7 of {SUPPRESSED} boxes, all wanted"
    yield Measurement(suppression, lambda: [suppression_row(suppression, SUPPRESSED, setting)])
    pooling = "RoI pooling, box by box"
    yield Measurement(pooling, lambda: [pooling_row(pooling, setting)])


def suppression_row(work: str, count: int, setting: Setting) -> Row:
    """On boxes as plain numbers, which is kinder to the loop than tensors."""
    generator = torch.Generator().manual_seed(SEED)
    boxes, scores = draw_boxes(count, PICTURE, generator), torch.rand(count, generator=generator)
    plain, order = boxes.tolist(), scores.tolist()
    kept = nms(boxes, scores, NMS_THRESHOLD)
    same = "identical" if kept.tolist() == suppress_by_loops(plain, order, NMS_THRESHOLD) else "NOT identical"
    return _row(
        work,
        lambda: nms(boxes, scores, NMS_THRESHOLD),
        lambda: suppress_by_loops(plain, order, NMS_THRESHOLD),
        setting,
        f"{len(kept)} kept, {same} indices",
    )


def pooling_row(work: str, setting: Setting, channels: int = 512) -> Row:
    """Forward, on one map of VGG-16."""
    ours, theirs, boxes = pooling_input(Setting(setting.runs), channels)
    height, width = ours.shape[2:]
    boxes = boxes.minimum(STRIDE * boxes.new_tensor([width - 1, height - 1] * 2))  # crops end with the map
    apart = (roi_pool(ours, [boxes], BINS, STRIDE) - pool_by_loops(theirs, boxes, BINS, STRIDE)).abs().max()
    return _row(
        work,
        lambda: roi_pool(ours, [boxes], BINS, STRIDE),
        lambda: pool_by_loops(theirs, boxes, BINS, STRIDE),
        setting,
        f"{len(boxes)} boxes, largest difference {float(apart):.1g}",
    )


def _row(work: str, ours: Work, loops: Work, setting: Setting, note: str) -> Row:
    """The loop warms up once too; on the processor, where tutorials run."""
    mine = by_turns({"frcnn": ours}, SHORT * setting.runs)["frcnn"]
    peer = by_turns({PEER: loops}, LOOPS)[PEER]
    return Row("ops", work, mine, {PEER: peer}, notes=(note, "the loop is counted once"))


def overlaps_by_loops(objects: Float[np.ndarray, "G 4"], anchors: Float[np.ndarray, "R 4"]) -> Float[np.ndarray, "G R"]:
    """IoU of every anchor with every object, pair by pair, on rows of arrays."""
    overlaps = np.empty((len(objects), len(anchors)), dtype=np.float32)
    for column, anchor in enumerate(anchors):
        x1, y1, x2, y2 = anchor
        area = (x2 - x1) * (y2 - y1)
        for row, box in enumerate(objects):
            left, top, right, bottom = box
            width = min([x2, right]) - max([x1, left])
            height = min([y2, bottom]) - max([y1, top])
            if width > 0 and height > 0:
                shared = width * height
                overlaps[row, column] = shared / (area + (right - left) * (bottom - top) - shared)
            else:
                overlaps[row, column] = 0.0
    return overlaps


def overlap(a: Corners, b: Corners) -> float:
    """Intersection over union of one pair."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def suppress_by_loops(boxes: Sequence[Corners], scores: Sequence[float], threshold: float) -> list[int]:
    """NMS: take the best of what is left, look at all the others, until nothing is left."""
    left = sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)
    kept = []
    while left:
        best, *others = left
        kept.append(best)
        left = [i for i in others if overlap(boxes[best], boxes[i]) <= threshold]
    return kept


def pool_by_loops(
    features: Float[Tensor, "1 C H W"], boxes: Float[Tensor, "R 4"], output_size: int, stride: float
) -> Float[Tensor, "R C P P"]:
    """RoI pooling: cut each box out of the features, and pool what was cut out."""
    regions = []
    for x1, y1, x2, y2 in (boxes / stride).round().long().tolist():
        regions.append(F.adaptive_max_pool2d(features[:, :, y1 : y2 + 1, x1 : x2 + 1], output_size))
    return torch.cat(regions)
