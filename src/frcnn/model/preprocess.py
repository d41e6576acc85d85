"""From pictures of any size to what the network sees, and the one rule by which they are resized (Sec. 3.3).

N pictures, C = 3 channels. Sizes are (height, width).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from frcnn.config import InputConfig
from frcnn.ops.kernels import operators
from frcnn.structures import ImageBatch

TORCHVISION_MULTIPLE = 32  # torchvision pads each side of a batch to a multiple of the coarsest stride


def network_size(size: tuple[int, int], rule: InputConfig) -> tuple[int, int]:
    """The size at which the network sees a picture of `size`.

    "short_side": the short side becomes `short_side`, unless the long side would pass `long_side`; both sides are
    rounded down, as torchvision does. "square": stretched to `short_side` x `short_side`.
    """
    if rule.resize == "square":
        return rule.short_side, rule.short_side
    scale = min(rule.short_side / min(size), rule.long_side / max(size))
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def at_scale(rule: InputConfig, short_side: int) -> InputConfig:
    """The same rule with another short side, and the bound on the long side in proportion."""
    long_side = max(1, round(rule.long_side * short_side / rule.short_side))
    return rule.model_copy(update={"short_side": short_side, "long_side": long_side})


def preprocess(images: Sequence[Tensor], rule: InputConfig, canvas: tuple[int, int] = (0, 0)) -> ImageBatch:
    """Resize, normalise and pad pictures in [0, 1] (RGB) into one batch; each is (3, H, W), floating point.

    The batch is at least as large as `canvas`. Raises ValueError for what is no picture: wrong dimensions, no pixels,
    integers.
    """
    for image in images:
        _check_picture(image)
    original_sizes = [(image.shape[1], image.shape[2]) for image in images]
    image_sizes = [network_size(size, rule) for size in original_sizes]
    sides = _batch_size(image_sizes, rule.padding, canvas)
    if any(_needs_torch(image, size, rule) for image, size in zip(images, image_sizes, strict=True)):
        seen = [_as_seen(image, size, rule) for image, size in zip(images, image_sizes, strict=True)]
        pixels = _put_together(seen, sides)
    else:
        pixels = _in_one_pass(images, image_sizes, sides, rule)
    return ImageBatch(pixels, image_sizes, original_sizes)


def groups_that_share_a_batch(sizes: Sequence[tuple[int, int]], rule: InputConfig) -> list[list[int]]:
    """Which pictures may be inferred together without any seeing another's padding.

    "exact" padding: those of equal network size. "torchvision" padding: all of them, as there.
    """
    if rule.padding == "torchvision":
        return [list(range(len(sizes)))]
    groups: dict[tuple[int, int], list[int]] = {}
    for index, size in enumerate(sizes):
        groups.setdefault(network_size(size, rule), []).append(index)
    return list(groups.values())


def _check_picture(image: Tensor) -> None:
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise ValueError(f"a picture must be (3, H, W) with H and W at least 1, not {tuple(image.shape)}")
    if not image.is_floating_point():
        raise ValueError(f"a picture must be floating point in [0, 1], not {image.dtype}: divide by 255")


def _batch_size(sizes: Sequence[tuple[int, int]], padding: str, canvas: tuple[int, int]) -> tuple[int, int]:
    height, width = (max(least, *(size[axis] for size in sizes)) for axis, least in enumerate(canvas))
    multiple = TORCHVISION_MULTIPLE if padding == "torchvision" else 1
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def _needs_torch(image: Tensor, size: tuple[int, int], rule: InputConfig) -> bool:
    """The kernel is for float32 on the processor, has no gradient and does not average what becomes smaller."""
    other = image.device.type != "cpu" or image.dtype != torch.float32 or image.requires_grad
    return other or (rule.antialias and _shrinks(image.shape[1:], size))


def _shrinks(shape: Sequence[int], size: tuple[int, int]) -> bool:
    return size[0] < shape[0] or size[1] < shape[1]


def _in_one_pass(
    images: Sequence[Float[Tensor, "C _ _"]],
    sizes: Sequence[tuple[int, int]],
    sides: tuple[int, int],
    rule: InputConfig,
) -> Float[Tensor, "N C H W"]:
    factor = [rule.pixel_scale / std for std in rule.std]
    offset = [-mean / std for mean, std in zip(rule.mean, rule.std, strict=True)]
    is_reverse = rule.channel_order == "bgr"
    if is_reverse:  # of the picture's channels
        factor, offset = factor[::-1], offset[::-1]
    return operators.resize(images, [side for size in sizes for side in size], sides, factor, offset, is_reverse)


def _as_seen(image: Float[Tensor, "C _ _"], size: tuple[int, int], rule: InputConfig) -> Float[Tensor, "_ _ C"]:
    """Resized and normalised, in either order since both are linear: where there are fewer pixels to normalise."""
    pixels = image.permute(1, 2, 0).contiguous()  # (C, H, W) -> (H, W, C), in which resizing is twice as fast
    if size[0] * size[1] > pixels.shape[0] * pixels.shape[1]:
        return _resize(_normalise(pixels, rule), size, rule.antialias)
    return _normalise(_resize(pixels, size, rule.antialias), rule)


def _resize(pixels: Float[Tensor, "_ _ C"], size: tuple[int, int], antialias: bool) -> Float[Tensor, "_ _ C"]:
    """Antialiasing is for what becomes smaller: it changes nothing else, and takes three times as long."""
    if tuple(pixels.shape[:2]) == size:
        return pixels
    antialias = antialias and _shrinks(pixels.shape, size)
    planes = pixels[None].permute(0, 3, 1, 2)  # (H, W, C) -> (1, C, H, W)
    if antialias:
        planes = planes.contiguous()  # torch antialiases channels last slowly
    resized = F.interpolate(planes, size=size, mode="bilinear", align_corners=False, antialias=antialias)
    return resized[0].permute(1, 2, 0).contiguous()  # (1, C, H, W) -> (H, W, C)


def _normalise(pixels: Float[Tensor, "H W C"], rule: InputConfig) -> Float[Tensor, "H W C"]:
    """Row by row: operators are slow over a last axis of three."""
    height, width, _ = pixels.shape
    if rule.channel_order == "bgr":
        pixels = pixels.flip(2)
    mean, std = (pixels.new_tensor(values).repeat(width) for values in (rule.mean, rule.std))
    rows = pixels.reshape(height, -1) * rule.pixel_scale  # (H, W, C) -> (H, W * C)
    return rows.sub_(mean).div_(std).view(height, width, -1)


def _put_together(images: Sequence[Float[Tensor, "_ _ C"]], sides: tuple[int, int]) -> Float[Tensor, "N C H W"]:
    """Zeros (the mean colour) at the right and the bottom."""
    if len(images) == 1 and tuple(images[0].shape[:2]) == sides:
        return images[0][None].permute(0, 3, 1, 2)  # (H, W, C) -> (1, C, H, W), channels last
    batch = images[0].new_zeros(len(images), *sides, 3)
    for number, image in enumerate(images):
        batch[number, : image.shape[0], : image.shape[1]] = image
    return batch.permute(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W), channels last
