"""Non-maximum suppression: keep the best box of every heap (Faster R-CNN, Sec. 3.3)."""

import torch
import torchvision.ops
from jaxtyping import Float, Int
from torch import Tensor

from frcnn.ops.boxes import at_least_float32
from frcnn.ops.kernels import operators


def nms(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, " R"],
    iou_threshold: float,
    max_keep: int | None = None,
) -> Int[Tensor, " K"]:
    """Indices of the kept boxes, best score first (earlier first among equals), at most `max_keep`.

    A box goes when its IoU with a kept, better one is strictly above the threshold. On the CPU the work ends with the
    last box that is wanted.
    """
    if boxes.device.type == "cpu":
        return batched_nms(boxes, scores, torch.zeros(len(boxes), dtype=torch.long), iou_threshold, max_keep)
    return torchvision.ops.nms(at_least_float32(boxes), at_least_float32(scores), iou_threshold)[:max_keep]


def batched_nms(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, " R"],
    groups: Int[Tensor, " R"],
    iou_threshold: float,
    max_keep: int | None = None,
) -> Int[Tensor, " K"]:
    """NMS within each group (a class, or a pyramid level): groups never suppress each other.

    They are kept apart by their numbers: moving groups apart by an offset can merge them by rounding.
    """
    if boxes.device.type == "cpu":
        wanted = len(boxes) if max_keep is None else max_keep
        return operators.suppress(at_least_float32(boxes), scores, groups, iou_threshold, wanted)
    members = [(groups == group).nonzero().squeeze(1) for group in groups.unique()]
    kept = [index[nms(boxes[index], scores[index], iou_threshold, max_keep)] for index in members]
    if not kept:
        return torch.zeros(0, dtype=torch.long, device=boxes.device)
    survivors = torch.cat(kept).sort().values  # so that equal scores come in the order they were given
    return survivors[scores[survivors].argsort(descending=True, stable=True)][:max_keep]
