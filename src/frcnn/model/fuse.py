"""A convolution and what follows it in one pass over memory: for inference on the processor, through oneDNN.

The arithmetic stays; what goes is reading and writing every map once more for ReLU, and twice more for a sum.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from frcnn.model.strided import StridedConv2d

ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {  # oneDNN's names and numbers
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.Hardswish: ("hardswish", []),
}


def fuse_activations(model: nn.Module) -> None:
    """Change `model` in place: convolutions take over their activation, residual blocks their sum.

    Batch norm must be folded already. Nothing happens where torch comes without oneDNN. What remains has no gradient.
    """
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")):
        return
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, BasicBlock | Bottleneck) and all(map(_is_fusible, _convolutions(child))):
                setattr(module, name, FusedResidual(child))
        if isinstance(module, nn.Sequential):
            _fuse_chain(module)


def _fuse_chain(chain: nn.Sequential) -> None:
    """In a sequence: a convolution, perhaps the place of a folded batch norm, an activation."""
    previous: tuple[str, nn.Conv2d] | None = None
    for name, layer in list(chain.named_children()):
        if isinstance(layer, nn.Conv2d) and _is_fusible(layer):
            previous = (name, layer)
        elif not isinstance(layer, nn.Identity):
            if previous is not None and type(layer) in ACTIVATIONS:
                setattr(chain, previous[0], FusedConvolution(previous[1], *ACTIVATIONS[type(layer)]))
                setattr(chain, name, nn.Identity())
            previous = None


def _is_fusible(layer: nn.Conv2d) -> bool:
    """Of numbers that oneDNN knows, and padded with zeros as it pads: not one that does so in its own way."""
    is_plain = (
        type(layer) in (nn.Conv2d, StridedConv2d)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )
    return is_plain and _is_computed_with(layer.weight.dtype)


def _is_computed_with(number: torch.dtype) -> bool:
    """By oneDNN, here: it refuses bfloat16 on processors without AVX-512, where torch's own layers still run."""
    if number != torch.bfloat16:
        return number == torch.float32
    return hasattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported") and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _convolutions(block: BasicBlock | Bottleneck) -> list[nn.Conv2d]:
    return [layer for layer in block.children() if isinstance(layer, nn.Conv2d)]


class FusedConvolution(nn.Module):
    """A convolution, perhaps a sum, and an activation."""

    def __init__(self, convolution: nn.Conv2d, activation: str, numbers: list[float]) -> None:
        super().__init__()
        self.convolution = convolution
        self.activation, self.numbers = activation, numbers

    def forward(
        self, features: Float[Tensor, "N C H W"], added: Float[Tensor, "N D _ _"] | None = None
    ) -> Float[Tensor, "N D _ _"]:
        """activation(convolution(features) + added)."""
        layer = self.convolution
        features = features.to(layer.weight.dtype)  # autocast knows nothing of what follows
        where = (layer.padding, layer.stride, layer.dilation, layer.groups)
        weights, how = (layer.weight, layer.bias), (self.activation, self.numbers, "")
        if added is None:
            return torch.ops.mkldnn._convolution_pointwise(features, *weights, *where, *how)
        both = (features, added.to(layer.weight.dtype))
        return torch.ops.mkldnn._convolution_pointwise.binary(*both, *weights, *where, "add", 1.0, *how)


class FusedResidual(nn.Module):
    """torchvision's residual block, with the sum and the ReLU in the last convolution."""

    def __init__(self, block: BasicBlock | Bottleneck) -> None:
        super().__init__()
        fused = [FusedConvolution(layer, "relu", []) for layer in _convolutions(block)]
        self.first, self.last = nn.Sequential(*fused[:-1]), fused[-1]
        self.downsample = block.downsample or nn.Identity()

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D _ _"]:
        """ReLU of what the convolutions add to the features."""
        return self.last(self.first(features), self.downsample(features))
