"""The strided convolutions of the MobileNets: padded as their weights were trained, and learning at full speed."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class StridedConv2d(nn.Conv2d):
    """Where it is depthwise and learns in bfloat16 on a processor, float32: oneDNN's own gradient takes five times as
    long.
    """

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D _ _"]:
        """The convolution, handed on in the precision that autocast asks for."""
        learns_slowly = self.groups > 1 and torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()
        if input.device.type != "cpu" or not learns_slowly:
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            features = super().forward(input.float())
        return features.to(torch.get_autocast_dtype("cpu"))


class BottomRightConv2d(StridedConv2d):
    """A 3 x 3 convolution of stride 2, padded right and below alone, so that window i begins at pixel 2 i.

    On even sides that is TensorFlow's "SAME" padding, by which the weights were learnt. On odd ones that would begin at
    2 i - 1, and what lies at a place would move with the parity of the picture's size; here it does not.
    """

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D _ _"]:
        """Pad each axis by what it lacks (an even side one cell, an odd one two), then convolve."""
        height, width = input.shape[2:]
        return super().forward(F.pad(input, (0, 1 + width % 2, 0, 1 + height % 2)))


def replace_strided(layers: nn.Module, *, pad_bottom_right: bool = False) -> None:
    """Change `layers` in place: each convolution of stride 2 becomes one of these, with the same weights."""
    for name, child in layers.named_children():
        if isinstance(child, nn.Conv2d) and child.stride == (2, 2):
            setattr(layers, name, _twin(child, pad_bottom_right))
        else:
            replace_strided(child, pad_bottom_right=pad_bottom_right)


def _twin(layer: nn.Conv2d, pad_bottom_right: bool) -> StridedConv2d:
    twin = (BottomRightConv2d if pad_bottom_right else StridedConv2d)(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,  # pyright: ignore[reportArgumentType]  # torch types it as any number of sides
        stride=2,
        padding=0 if pad_bottom_right else layer.padding,  # pyright: ignore[reportArgumentType]
        groups=layer.groups,
        bias=layer.bias is not None,
        device="meta",  # random weights would be drawn in vain, and move those of the layers after it
    )
    twin.load_state_dict(layer.state_dict(), assign=True)
    return twin
