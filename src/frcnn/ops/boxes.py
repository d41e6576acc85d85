"""Box arithmetic. Pure functions, no modules, no state.

A box is (x1, y1, x2, y2): float, absolute pixels, origin at the top-left *corner* of the top-left pixel, so a box
covering the whole picture is (0, 0, W, H) and its area is W * H: half-open, nowhere a + 1.
R, G, I = number of boxes.  A picture's size is always (height, width).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def box_area(boxes: Float[Tensor, "R 4"]) -> Float[Tensor, " R"]:
    """Area in square pixels; 0 or less for a box without area."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_iou(a: Float[Tensor, "G 4"], b: Float[Tensor, "R 4"]) -> Float[Tensor, "G R"]:
    """Intersection over union of every pair, in at least float32; 0 where both boxes are empty."""
    a, b = at_least_float32(a), at_least_float32(b)
    intersection = _intersection(a, b)
    union = box_area(a)[:, None] + box_area(b)[None, :] - intersection
    return intersection / union.clamp(min=torch.finfo(union.dtype).tiny)


def covered_share(boxes: Float[Tensor, "R 4"], regions: Float[Tensor, "I 4"]) -> Float[Tensor, " R"]:
    """The largest share of each box's own area that lies in one of the regions; 0 without regions."""
    if len(regions) == 0:
        return boxes.new_zeros(len(boxes))
    share = _intersection(regions, boxes) / box_area(boxes).clamp(min=torch.finfo(boxes.dtype).tiny)
    return share.amax(dim=0)


def clip(boxes: Float[Tensor, "R 4"], image_size: tuple[int, int]) -> Float[Tensor, "R 4"]:
    """The part of each box inside a picture of (height, width)."""
    height, width = image_size
    limit = boxes.new_tensor([width, height, width, height])
    return boxes.clamp(min=0).minimum(limit)


def is_inside(boxes: Float[Tensor, "R 4"], image_size: tuple[int, int]) -> Bool[Tensor, " R"]:
    """Does the box lie within a picture of (height, width)? Touching the border is inside."""
    height, width = image_size
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    return (x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height)


def smaller_side(boxes: Float[Tensor, "R 4"]) -> Float[Tensor, " R"]:
    """The shorter of width and height."""
    return (boxes[:, 2:] - boxes[:, :2]).amin(dim=1)


def scale_boxes(boxes: Float[Tensor, "R 4"], scales: tuple[float, float]) -> Float[Tensor, "R 4"]:
    """The boxes in a picture stretched by (y, x)."""
    y, x = scales
    return boxes * boxes.new_tensor([x, y, x, y])


def resize_boxes(boxes: Float[Tensor, "R 4"], size: tuple[int, int], new_size: tuple[int, int]) -> Float[Tensor, "R 4"]:
    """The boxes of a picture of (height, width) `size` in its copy of `new_size`.

    By the exact ratio of each axis: sides are rounded up, and a box that ends with its picture must still do so.
    """
    exact = boxes.double()  # in float32, 4001 * (2001 / 4001) is 2001.0001: outside the picture
    return scale_boxes(exact, (new_size[0] / size[0], new_size[1] / size[1])).to(boxes.dtype)


def flip_horizontally(boxes: Float[Tensor, "R 4"], width: int) -> Float[Tensor, "R 4"]:
    """The boxes in the mirrored picture: x' = W - x, corners swapped."""
    return torch.stack((width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]), dim=1)


def check_boxes(boxes: Float[Tensor, "R 4"]) -> None:
    """Raises ValueError: compiled code would read what lies beside the boxes."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be (R, 4), not {tuple(boxes.shape)}")


def at_least_float32(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Half types are raised to float32, where pixels are exact; float64 stays."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _intersection(a: Float[Tensor, "G 4"], b: Float[Tensor, "R 4"]) -> Float[Tensor, "G R"]:
    width = torch.minimum(a[:, None, 2], b[None, :, 2]) - torch.maximum(a[:, None, 0], b[None, :, 0])
    height = torch.minimum(a[:, None, 3], b[None, :, 3]) - torch.maximum(a[:, None, 1], b[None, :, 1])
    return width.clamp(min=0) * height.clamp(min=0)
