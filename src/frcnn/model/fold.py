"""Batch norm folded into the convolution before it: the same function with one layer less."""

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision.ops import FrozenBatchNorm2d

BatchNorm = nn.BatchNorm2d | FrozenBatchNorm2d


def fold_batch_norm(model: nn.Module) -> None:
    """Change `model` in place: each batch norm joins the convolution registered directly before it.

    The bodies and blocks here, torchvision's too, register their layers in the order in which the features pass them.
    """
    for module in list(model.modules()):
        children = list(module.named_children())
        for (_, layer), (name, norm) in pairwise(children):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, BatchNorm):
                _fold(layer, norm)
                setattr(module, name, nn.Identity())


def _fold(convolution: nn.Conv2d, norm: BatchNorm) -> None:
    tensors = dict(norm.named_buffers()) | dict(norm.named_parameters())  # frozen batch norm has buffers alone
    mean, variance = tensors["running_mean"], tensors["running_var"]
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, mean, variance, norm.eps, tensors.get("weight"), tensors.get("bias")
    )
