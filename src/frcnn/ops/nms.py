"""Non-maximum suppression: keep the best box of every heap (Faster R-CNN, Sec. 3.3)."""

import torch
import torchvision.ops
from jaxtyping import Float, Int
from torch import Tensor

from frcnn.ops import reference
from frcnn.ops.boxes import at_least_float32, check_boxes
from frcnn.ops.kernels import operators

LONGEST_STRETCH = 2.0**31  # pixels


def nms(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, " R"],
    iou_threshold: float,
    max_keep: int | None = None,
) -> Int[Tensor, " K"]:
    """Indices of the kept boxes, best score first (earlier first among equals), at most `max_keep`.

    A box goes when its IoU with a kept, better one is strictly above the threshold. On the CPU the work ends with the
    last box that is wanted. Raises ValueError unless there is a score for each box.
    """
    groups = torch.zeros(boxes.shape[0], dtype=torch.long, device=boxes.device)
    return batched_nms(boxes, scores, groups, iou_threshold, max_keep)


def batched_nms(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, " R"],
    groups: Int[Tensor, " R"],
    iou_threshold: float,
    max_keep: int | None = None,
) -> Int[Tensor, " K"]:
    """NMS within each group (a class, or a pyramid level): groups never suppress each other.

    On the CPU they are kept apart by their numbers, on CUDA by their places, in float64: in float32, groups that were
    moved apart can merge by rounding. Raises ValueError unless there is a score and a group for each box.
    """
    check_boxes(boxes)
    _check_one_each(boxes, scores, groups, max_keep)
    boxes, scores = at_least_float32(boxes), at_least_float32(scores)
    if boxes.device.type == "cpu":
        wanted = boxes.shape[0] if max_keep is None else max_keep
        return operators.suppress(boxes, scores, groups, iou_threshold, wanted)
    if boxes.device.type == "cuda":
        return torchvision.ops.nms(moved_apart(boxes, groups), scores.double(), iou_threshold)[:max_keep]
    return reference.batched_nms(boxes, scores, groups, iou_threshold, max_keep)


def moved_apart(boxes: Float[Tensor, "R 4"], groups: Int[Tensor, " R"]) -> Float[Tensor, "R 4"]:
    """The boxes of each group in a stretch of their own, in float64.

    A stretch is a power of two long, so that a float32 coordinate moves without being rounded, unless it is below a
    thousandth of a pixel. What reaches beyond the longest one overlaps nothing of a picture by any share that counts.
    """
    if len(boxes) == 0:
        return boxes.double()
    rank = groups.unique(return_inverse=True)[1]
    boxes = boxes.double()
    farthest = torch.where(boxes.isfinite(), boxes.abs(), 0).amax()
    stretch = (2 ** torch.ceil(torch.log2(2 * farthest + 1))).clamp(max=LONGEST_STRETCH)
    return boxes + (rank * stretch)[:, None]


def _check_one_each(
    boxes: Float[Tensor, "R 4"], scores: Float[Tensor, " _"], groups: Int[Tensor, " _"], max_keep: int | None
) -> None:
    for name, values in (("scores", scores), ("groups", groups)):
        if values.shape != boxes.shape[:1]:
            raise ValueError(f"{name} must be ({boxes.shape[0]},), one for each box, not {tuple(values.shape)}")
    if max_keep is not None and max_keep < 0:
        raise ValueError(f"max_keep must be at least 0, not {max_keep}")
