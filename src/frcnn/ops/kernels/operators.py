"""The kernels as operators of torch, so that autograd, `torch.compile` and `torch.export` go through them.

What they compute, and for what shapes, is said where the rules are: `nms.py`, `roi_align.py`, `roi_pool.py`. Here
`boxes` are those of all pictures together, and `picture` says whose each one is.
"""

from collections.abc import Sequence
from typing import Any, no_type_check

import numpy as np
import torch
from torch import Tensor

from frcnn.ops.kernels.threads import in_parts

LEAST_BOXES = 8  # a thread is not worth waking for fewer
LEAST_CHANNELS = 64
READABLE = (torch.float32, torch.float64, torch.bfloat16)  # other types go through float32


@torch.library.custom_op("frcnn::suppress", mutates_args=(), device_types="cpu")
def suppress(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float, max_keep: int) -> Tensor:
    """Indices of kept boxes, best first; boxes of different groups never meet."""
    from frcnn.ops.kernels.suppression import suppress as kernel

    _, group, counts = groups.unique(return_inverse=True, return_counts=True)
    order = scores.argsort(descending=True, stable=True)
    starts = counts.cumsum(0) - counts
    threshold = _at_most(iou_threshold, _numpy(boxes).dtype.type)
    kept = kernel(_numpy(boxes), order.numpy(), group.numpy(), starts.numpy(), threshold, max_keep)
    return torch.from_numpy(kept)


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float, max_keep: int) -> Tensor:
    return boxes.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.long)


@torch.library.custom_op("frcnn::roi_align", mutates_args=(), device_types="cpu")
def align(
    features: Tensor, boxes: Tensor, picture: Tensor, output_size: int, scale: float, samples: int, aligned: bool
) -> Tensor:
    """Regions (R, C, P, P), channels last."""
    from frcnn.ops.kernels.alignment import align as kernel

    rows, regions = _channels_last(features), _new_regions(features, boxes, output_size)
    arguments = (rows, _numpy(boxes), picture.numpy(), scale, samples, aligned, regions.numpy())
    in_parts(lambda begin, end: kernel(*arguments, begin, end), len(boxes), LEAST_BOXES)
    return regions.permute(0, 3, 1, 2).to(features.dtype)


@align.register_fake
def _(
    features: Tensor, boxes: Tensor, picture: Tensor, output_size: int, scale: float, samples: int, aligned: bool
) -> Tensor:
    shape = (len(boxes), output_size, output_size, features.shape[1])
    return features.new_empty(shape).permute(0, 3, 1, 2)


@torch.library.custom_op("frcnn::roi_align_backward", mutates_args=(), device_types="cpu")
def align_backward(
    gradient: Tensor, boxes: Tensor, picture: Tensor, size: list[int], scale: float, samples: int, aligned: bool
) -> Tensor:
    """The gradient of the features, which have `size` (N, C, H, W)."""
    from frcnn.ops.kernels.alignment import spread as kernel

    number, channels, height, width = size
    features = boxes.new_zeros(number, height, width, channels)
    arguments = (
        _numpy(gradient.to(boxes.dtype)),
        _numpy(boxes),
        picture.numpy(),
        scale,
        samples,
        aligned,
        features.numpy(),
    )
    in_parts(lambda begin, end: kernel(*arguments, begin, end), channels, LEAST_CHANNELS)
    return features.permute(0, 3, 1, 2).to(gradient.dtype)


@align_backward.register_fake
@no_type_check  # sizes may be symbols
def _(
    gradient: Tensor, boxes: Tensor, picture: Tensor, size: list[int], scale: float, samples: int, aligned: bool
) -> Tensor:
    number, channels, height, width = size
    return gradient.new_empty(number, height, width, channels).permute(0, 3, 1, 2)


def _keep_for_align(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    features, boxes, picture, _, ctx.scale, ctx.samples, ctx.aligned = inputs
    ctx.size = list(features.shape)
    ctx.save_for_backward(boxes, picture)


def _align_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    boxes, picture = ctx.saved_tensors
    arguments = (ctx.size, ctx.scale, ctx.samples, ctx.aligned)
    return (align_backward(gradient, boxes, picture, *arguments), *[None] * 6)


align.register_autograd(_align_backward, setup_context=_keep_for_align)


@torch.library.custom_op("frcnn::roi_pool", mutates_args=(), device_types="cpu")
def pool(features: Tensor, boxes: Tensor, picture: Tensor, output_size: int, scale: float) -> tuple[Tensor, Tensor]:
    """Regions (R, C, P, P), channels last, and the cell of each maximum (R, P, P, C), -1 for none."""
    from frcnn.ops.kernels.pooling import pool as kernel

    rows, regions = _channels_last(features), _new_regions(features, boxes, output_size)
    winner = torch.empty(regions.shape, dtype=torch.int32)
    arguments = (rows, _numpy(boxes), picture.numpy(), scale, regions.numpy(), winner.numpy())
    in_parts(lambda begin, end: kernel(*arguments, begin, end), len(boxes), LEAST_BOXES)
    return regions.permute(0, 3, 1, 2).to(features.dtype), winner


@pool.register_fake
def _(features: Tensor, boxes: Tensor, picture: Tensor, output_size: int, scale: float) -> tuple[Tensor, Tensor]:
    shape = (len(boxes), output_size, output_size, features.shape[1])
    return features.new_empty(shape).permute(0, 3, 1, 2), features.new_empty(shape, dtype=torch.int32)


@torch.library.custom_op("frcnn::roi_pool_backward", mutates_args=(), device_types="cpu")
def pool_backward(gradient: Tensor, winner: Tensor, boxes: Tensor, picture: Tensor, size: list[int]) -> Tensor:
    """The gradient of the features, which have `size` (N, C, H, W)."""
    from frcnn.ops.kernels.pooling import unpool as kernel

    number, channels, height, width = size
    features = boxes.new_zeros(number, height, width, channels)
    arguments = (_numpy(gradient.to(boxes.dtype)), winner.numpy(), picture.numpy(), features.numpy())
    in_parts(lambda begin, end: kernel(*arguments, begin, end), channels, LEAST_CHANNELS)
    return features.permute(0, 3, 1, 2).to(gradient.dtype)


@pool_backward.register_fake
@no_type_check
def _(gradient: Tensor, winner: Tensor, boxes: Tensor, picture: Tensor, size: list[int]) -> Tensor:
    number, channels, height, width = size
    return gradient.new_empty(number, height, width, channels).permute(0, 3, 1, 2)


def _keep_for_pool(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    features, boxes, picture, _, _ = inputs
    ctx.size = list(features.shape)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1], boxes, picture)


def _pool_backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return (pool_backward(gradient, *ctx.saved_tensors, ctx.size), *[None] * 4)


pool.register_autograd(_pool_backward, setup_context=_keep_for_pool)


def flatten(boxes: Sequence[Tensor], number: torch.dtype) -> tuple[Tensor, Tensor]:
    """The boxes of all pictures in one tensor (R, 4), and whose each is (R,)."""
    if not boxes:
        return torch.zeros(0, 4, dtype=number), torch.zeros(0, dtype=torch.long)
    picture = torch.cat([torch.full((len(of_picture),), index) for index, of_picture in enumerate(boxes)])
    return torch.cat(list(boxes)).to(number), picture


def _numpy(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


def _channels_last(features: Tensor) -> Any:
    """(N, H, W, C) in memory, copied only where it is not; bfloat16 as its bits, which numpy has no name for."""
    number = features.dtype if features.dtype in READABLE else torch.float32
    rows = features.detach().to(number).permute(0, 2, 3, 1).contiguous()
    return (rows.view(torch.uint16) if rows.dtype == torch.bfloat16 else rows).numpy()


def _new_regions(features: Tensor, boxes: Tensor, output_size: int) -> Tensor:
    return boxes.new_empty(len(boxes), output_size, output_size, features.shape[1])


def _at_most(threshold: float, number: Any) -> Any:
    """The largest number of the boxes' type that is not above: a comparison with it says what one in doubles would."""
    near = number(threshold)
    return near if float(near) <= threshold else np.nextafter(near, number(-np.inf))
