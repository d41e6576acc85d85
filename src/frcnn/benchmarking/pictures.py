"""Pictures and objects drawn from a seed: what is measured needs no data."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from frcnn.structures import Target

BLOB = 20  # pixels
SMALLEST, LARGEST = 20.0, 400.0  # sides of random boxes, in pixels


def draw_picture(size: tuple[int, int], generator: torch.Generator) -> Float[Tensor, "3 H W"]:
    """Blobs and noise of random colours, in [0, 1]."""
    height, width = size
    blobs = torch.rand(1, 3, -(-height // BLOB), -(-width // BLOB), generator=generator)
    return (F.interpolate(blobs, size=size)[0] + torch.rand(3, *size, generator=generator)) / 2


def draw_boxes(
    count: int, size: tuple[int, int], generator: torch.Generator, largest: float = LARGEST
) -> Float[Tensor, "R 4"]:
    """Anywhere in a picture of `size`, as proposals at the start of training are."""
    limit = torch.tensor([size[1], size[0]], dtype=torch.float32)
    corner = torch.rand(count, 2, generator=generator) * (limit - SMALLEST)
    side = SMALLEST + (largest - SMALLEST) * torch.rand(count, 2, generator=generator)
    return torch.cat((corner, (corner + side).minimum(limit)), dim=1)


def draw_target(count: int, size: tuple[int, int], classes: int, generator: torch.Generator) -> Target:
    """Objects of up to a third of the picture's short side."""
    boxes = draw_boxes(count, size, generator, largest=min(size) / 3)
    return Target(boxes, torch.randint(0, classes, (count,), generator=generator))
