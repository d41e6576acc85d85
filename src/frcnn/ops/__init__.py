"""The rules of the paper: pure functions on tensors, one rule a file."""

from frcnn.ops import reference
from frcnn.ops.anchors import cell_anchors, grid_anchors
from frcnn.ops.boxes import box_iou
from frcnn.ops.coding import decode, encode
from frcnn.ops.matching import match, sample
from frcnn.ops.nms import batched_nms, nms
from frcnn.ops.roi_align import roi_align
from frcnn.ops.roi_pool import roi_pool

__all__ = [
    "batched_nms",
    "box_iou",
    "cell_anchors",
    "decode",
    "encode",
    "grid_anchors",
    "match",
    "nms",
    "reference",
    "roi_align",
    "roi_pool",
    "sample",
]
