"""The kernels as operators of torch, so that autograd, `torch.compile` and `torch.export` go through them.

What they compute, and for what shapes, is said where the rules are: `nms.py`, `matching.py`, `roi_align.py` and
`roi_pool.py`. Here `boxes` are those of all pictures together, and `picture` says whose each one is.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, no_type_check

import numpy as np
import torch
from torch import Tensor

from frcnn.ops.kernels.threads import in_parts

LEAST_BOXES = 8  # a thread is not worth waking for fewer
LEAST_CHANNELS = 64
LEAST_CHUNKS = 32
LEAST_ROWS = 64
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


@torch.library.custom_op("frcnn::match", mutates_args=(), device_types="cpu")
def match(
    objects: Tensor,
    candidates: Tensor,
    positive_above: float,
    negative_below: float,
    negative_from: float,
    rescue: bool,
    verdicts: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """The object that each candidate overlaps most, and its verdict: positive, negative or ignored of `verdicts`."""
    from frcnn.ops.kernels import matching

    rows, columns = _numpy(objects), _numpy(candidates)
    number, count = columns.dtype.type, len(columns)
    thresholds = (number(positive_above), number(negative_below), number(negative_from))
    index, verdict = np.empty(count, np.int64), np.empty(count, np.int64)
    best_of_chunk = np.empty((-(-count // matching.CHUNK), len(rows)), columns.dtype)
    arguments = (rows, columns, thresholds, tuple(verdicts), index, verdict, best_of_chunk)
    in_parts(partial(matching.match_chunks, *arguments), len(best_of_chunk), LEAST_CHUNKS)
    if rescue and len(columns):
        matching.rescue(rows, columns, best_of_chunk, verdict, verdicts[0])
    return torch.from_numpy(index), torch.from_numpy(verdict)


@match.register_fake
def _(
    objects: Tensor,
    candidates: Tensor,
    positive_above: float,
    negative_below: float,
    negative_from: float,
    rescue: bool,
    verdicts: Sequence[int],
) -> tuple[Tensor, Tensor]:
    index = candidates.new_empty(candidates.shape[0], dtype=torch.long)
    return index, torch.empty_like(index)


@torch.library.custom_op("frcnn::roi_align", mutates_args=(), device_types="cpu")
def align(
    pyramid: Sequence[Tensor],
    boxes: Tensor,
    picture: Tensor,
    level: Tensor,
    output_size: int,
    scales: Sequence[float],
    samples: int,
    aligned: bool,
) -> Tensor:
    """Regions (R, C, P, P), channels last: each box's from the map of its `level`, which has `scales` cells a pixel."""
    from frcnn.ops.kernels.alignment import align as kernel

    _check_levels(level, len(pyramid))
    number = _readable(pyramid[0].dtype)
    regions = _room((len(boxes), output_size, output_size, pyramid[0].shape[1]), number)
    for index, (features, scale) in enumerate(zip(pyramid, scales, strict=True)):
        members = _members(level, index)
        arguments = (_channels_last(features), _numpy(boxes), picture.numpy(), members, scale, samples, aligned)
        in_parts(partial(kernel, *arguments, _bits(regions)), len(members), LEAST_BOXES)
    return regions.permute(0, 3, 1, 2).to(pyramid[0].dtype)


@align.register_fake
def _(
    pyramid: Sequence[Tensor],
    boxes: Tensor,
    picture: Tensor,
    level: Tensor,
    output_size: int,
    scales: Sequence[float],
    samples: int,
    aligned: bool,
) -> Tensor:
    shape = (boxes.shape[0], output_size, output_size, pyramid[0].shape[1])
    return pyramid[0].new_empty(shape).permute(0, 3, 1, 2)


@torch.library.custom_op("frcnn::roi_align_backward", mutates_args=(), device_types="cpu")
def align_backward(
    gradient: Tensor,
    boxes: Tensor,
    picture: Tensor,
    level: Tensor,
    sizes: Sequence[int],
    scales: Sequence[float],
    samples: int,
    aligned: bool,
) -> list[Tensor]:
    """The gradient of each map; `sizes` are their (N, C, H, W), one after another."""
    from frcnn.ops.kernels.alignment import spread as kernel

    gradients = []
    for index, scale in enumerate(scales):
        number, channels, height, width = sizes[4 * index : 4 * index + 4]
        features = boxes.new_zeros(number, height, width, channels)
        members = _members(level, index)
        arguments = (_readable_bits(gradient), _numpy(boxes), picture.numpy(), members, scale, samples, aligned)
        in_parts(partial(kernel, *arguments, features.numpy()), channels, LEAST_CHANNELS)
        gradients.append(features.permute(0, 3, 1, 2).to(gradient.dtype))
    return gradients


@align_backward.register_fake
@no_type_check  # sizes may be symbols
def _(
    gradient: Tensor,
    boxes: Tensor,
    picture: Tensor,
    level: Tensor,
    sizes: Sequence[int],
    scales: Sequence[float],
    samples: int,
    aligned: bool,
) -> list[Tensor]:
    return [
        gradient.new_empty(n, h, w, c).permute(0, 3, 1, 2)
        for n, c, h, w in (sizes[4 * index : 4 * index + 4] for index in range(len(scales)))
    ]


@torch.library.custom_op("frcnn::roi_align_lean", mutates_args=(), device_types="cpu")
def align_lean(
    gradient: Tensor,
    pyramid: Sequence[Tensor],
    boxes: Tensor,
    picture: Tensor,
    level: Tensor,
    scales: Sequence[float],
    samples: int,
    aligned: bool,
) -> Tensor:
    """The gradient of the boxes (R, 4)."""
    from frcnn.ops.kernels.alignment import lean as kernel

    pull = torch.zeros_like(boxes, memory_format=torch.contiguous_format)
    for index, (features, scale) in enumerate(zip(pyramid, scales, strict=True)):
        members = _members(level, index)
        arguments = (_readable_bits(gradient), _channels_last(features), _numpy(boxes), picture.numpy(), members)
        in_parts(partial(kernel, *arguments, scale, samples, aligned, pull.numpy()), len(members), LEAST_BOXES)
    return pull


@align_lean.register_fake
def _(
    gradient: Tensor,
    pyramid: Sequence[Tensor],
    boxes: Tensor,
    picture: Tensor,
    level: Tensor,
    scales: Sequence[float],
    samples: int,
    aligned: bool,
) -> Tensor:
    return boxes.new_empty(boxes.shape)


def _keep_for_align(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    pyramid, boxes, picture, level, _, ctx.scales, ctx.samples, ctx.aligned = inputs
    ctx.sizes = [side for features in pyramid for side in features.shape]
    ctx.boxes_move = boxes.requires_grad
    ctx.save_for_backward(boxes, picture, level, *(pyramid if boxes.requires_grad else ()))


def _align_backward(ctx: Any, gradient: Tensor) -> tuple[list[Tensor] | Tensor | None, ...]:
    boxes, picture, level, *pyramid = ctx.saved_tensors
    settings = (ctx.scales, ctx.samples, ctx.aligned)
    of_features = align_backward(gradient, boxes, picture, level, ctx.sizes, *settings)
    of_boxes = align_lean(gradient, pyramid, boxes, picture, level, *settings) if ctx.boxes_move else None
    return (of_features, of_boxes, *[None] * 6)


align.register_autograd(_align_backward, setup_context=_keep_for_align)


@torch.library.custom_op("frcnn::roi_pool", mutates_args=(), device_types="cpu")
def pool(features: Tensor, boxes: Tensor, picture: Tensor, output_size: int, scale: float) -> tuple[Tensor, Tensor]:
    """Regions (R, C, P, P), channels last, and the cell of each maximum (R, P, P, C), -1 for none."""
    from frcnn.ops.kernels.pooling import pool as kernel

    shape = (boxes.shape[0], output_size, output_size, features.shape[1])
    regions, winner = _room(shape, boxes.dtype), _room(shape, _cell_type(features))
    arguments = (_channels_last(features), _numpy(boxes), picture.numpy(), scale, regions.numpy(), winner.numpy())
    in_parts(partial(kernel, *arguments), len(boxes), LEAST_BOXES)
    return regions.permute(0, 3, 1, 2).to(features.dtype), winner


@pool.register_fake
def _(features: Tensor, boxes: Tensor, picture: Tensor, output_size: int, scale: float) -> tuple[Tensor, Tensor]:
    shape = (boxes.shape[0], output_size, output_size, features.shape[1])
    return features.new_empty(shape).permute(0, 3, 1, 2), features.new_empty(shape, dtype=_cell_type(features))


@torch.library.custom_op("frcnn::roi_pool_backward", mutates_args=(), device_types="cpu")
def pool_backward(gradient: Tensor, winner: Tensor, boxes: Tensor, picture: Tensor, size: list[int]) -> Tensor:
    """The gradient of the features, which have `size` (N, C, H, W)."""
    from frcnn.ops.kernels.pooling import unpool as kernel

    number, channels, height, width = size
    features = boxes.new_zeros(number, height, width, channels)
    cells = features.view(number, height * width, channels)
    arguments = (_readable_bits(gradient), winner.numpy(), picture.numpy(), cells.numpy())
    in_parts(partial(kernel, *arguments), channels, LEAST_CHANNELS)
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
    ctx.set_materialize_grads(False)  # it would make zeros for the winners, which no one reads
    ctx.save_for_backward(output[1], boxes, picture)


def _pool_backward(ctx: Any, gradient: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    if gradient is None:
        return (None,) * 5
    return (pool_backward(gradient, *ctx.saved_tensors, ctx.size), *[None] * 4)


pool.register_autograd(_pool_backward, setup_context=_keep_for_pool)


@torch.library.custom_op("frcnn::resize", mutates_args=(), device_types="cpu")
def resize(
    images: Sequence[Tensor],
    sizes: Sequence[int],
    canvas: Sequence[int],
    factor: Sequence[float],
    offset: Sequence[float],
    reverse: bool,
) -> Tensor:
    """A batch (N, 3, Y, X) of float32, channels last, zero beside the pictures, which are (3, H, W) of float32.

    Each is resized to its (height, width), which `sizes` lists one after another; each channel is multiplied by its
    `factor`, and its `offset` is added; `reverse` puts the channels in reverse order at last.
    """
    from frcnn.ops.kernels import resizing

    batch = _room((len(images), *canvas, 3), torch.float32)
    for number, image in enumerate(images):
        height, width = image.shape[1:]
        of_channels = (np.tile(np.array(values, np.float32), width) for values in (factor, offset))
        rows = resizing.rows_of(height, sizes[2 * number])
        taps = resizing.taps_of(width, sizes[2 * number + 1], reverse=reverse)
        picture, target = _numpy(image.permute(1, 2, 0)), batch[number].numpy()
        arguments = (picture.reshape(height, -1), rows, taps, *of_channels, target.reshape(canvas[0], -1))
        in_parts(partial(resizing.resize, *arguments), canvas[0], LEAST_ROWS)
    return batch.permute(0, 3, 1, 2)


@resize.register_fake
def _(
    images: Sequence[Tensor],
    sizes: Sequence[int],
    canvas: Sequence[int],
    factor: Sequence[float],
    offset: Sequence[float],
    reverse: bool,
) -> Tensor:
    return images[0].new_empty(len(images), *canvas, 3).permute(0, 3, 1, 2)


def flatten(boxes: Sequence[Tensor], number: torch.dtype) -> tuple[Tensor, Tensor]:
    """The boxes of all pictures in one tensor (R, 4), and whose each is (R,)."""
    if not boxes:
        return torch.zeros(0, 4, dtype=number), torch.zeros(0, dtype=torch.long)
    picture = torch.cat([torch.full((of_picture.shape[0],), index) for index, of_picture in enumerate(boxes)])
    return torch.cat(list(boxes)).to(number), picture


def _numpy(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


def _room(shape: Sequence[int], number: torch.dtype) -> Tensor:
    """Memory by numpy, which asks for large pages where torch does not: making room takes longer than filling it."""
    if number == torch.bfloat16:
        return torch.from_numpy(np.empty(shape, np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(np.empty(shape, str(number).removeprefix("torch.")))


def _cell_type(features: Tensor) -> torch.dtype:
    """Large enough to number the cells of a map, and no larger: what is remembered fills as much memory as regions."""
    return torch.int16 if features.shape[2] * features.shape[3] <= torch.iinfo(torch.int16).max else torch.int32


def _check_levels(level: Tensor, count: int) -> None:
    """A box without a map would be a region that nobody fills."""
    if len(level):
        lowest, highest = (int(value) for value in level.aminmax())
        if lowest < 0 or highest >= count:
            raise ValueError(f"levels must be 0 to {count - 1}, not {lowest} to {highest}")


def _members(level: Tensor, index: int) -> Any:
    return (level == index).nonzero().squeeze(1).numpy()


def _readable(number: torch.dtype) -> torch.dtype:
    return number if number in READABLE else torch.float32


def _bits(tensor: Tensor) -> Any:
    """bfloat16 as its bits, which numpy has no name for."""
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _readable_bits(tensor: Tensor) -> Any:
    return _bits(tensor.detach().to(_readable(tensor.dtype)).contiguous())


def _channels_last(features: Tensor) -> Any:
    """(N, H, W, C) in memory, copied only where it is not."""
    return _readable_bits(features.permute(0, 2, 3, 1))


def _at_most(threshold: float, number: Any) -> Any:
    """The largest number of the boxes' type that is not above: a comparison with it says what one in doubles would."""
    near = number(threshold)
    return near if float(near) <= threshold else np.nextafter(near, number(-np.inf))
