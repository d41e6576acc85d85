"""torchvision's detectors with weights from a seed under which every layer matters, and pictures to show them."""

from collections.abc import Sequence

import torch
import torchvision.models.detection as peers
from torch import Tensor, nn
from torchvision.models.mobilenetv3 import InvertedResidual
from torchvision.models.resnet import Bottleneck

# The last is so wide that the bound on the long side rules. None is so much smaller than another that a batch has wide
# padding, within which torchvision scores many anchors alike: rounding would decide which comes first.
SIZES = ((240, 320), (240, 290), (200, 340))


@torch.no_grad()
def enliven(peer: peers.FasterRCNN, spread: float = 0.7) -> None:
    """Weights under which every layer matters: no batch norm is neutral, no bias is 0, and much is detected.

    `spread`: the standard deviation of each class's logit over the regions.
    """
    for layer in peer.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.uniform_(0.7, 1.3)
            layer.bias.normal_(0, 0.2)
            layer.momentum = 1.0  # the pass in training mode below sets the running statistics
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                layer.bias.normal_(0, 0.05)
    for block in peer.backbone.body.modules():
        if isinstance(block, Bottleneck | InvertedResidual):  # or rounding errors grow from block to block
            [layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)][-1].weight.mul_(0.25)
    images = pictures(((192, 256), (256, 192)))
    peer.train().backbone(torch.randn(2, 3, 192, 256))
    peer.roi_heads.box_head(torch.randn(64, 256, 7, 7))
    predictor = peer.roi_heads.box_predictor
    if not any(isinstance(layer, nn.BatchNorm2d) for layer in peer.backbone.fpn.modules()):
        standardise(peer, {block[0]: 1.0 for block in peer.backbone.fpn.layer_blocks}, images)
    standardise(peer, {peer.rpn.head.cls_logits: 1.0, peer.rpn.head.bbox_pred: 0.2}, images)
    standardise(peer, {predictor.cls_score: spread, predictor.bbox_pred: 0.5}, images)


def standardise(peer: peers.FasterRCNN, layers: dict[nn.Module, float], images: list[Tensor]) -> None:
    """Scale layers so that what they say of these pictures has mean 0 and this standard deviation, by channel."""
    said: dict[nn.Module, list[Tensor]] = {layer: [] for layer in layers}
    hooks = [layer.register_forward_hook(lambda layer, _, output: said[layer].append(output)) for layer in layers]
    peer.eval()(images)
    for hook in hooks:
        hook.remove()
    for layer, spread in layers.items():
        values = torch.cat([output.transpose(0, 1).flatten(1) for output in said[layer]], dim=1)
        factor = spread / values.std(dim=1)
        layer.weight *= factor.reshape(-1, *[1] * (layer.weight.ndim - 1))
        layer.bias.copy_((layer.bias - values.mean(dim=1)) * factor)


def pictures(sizes: Sequence[tuple[int, int]] = SIZES) -> list[Tensor]:
    """Random colours in blobs of every size, from the pixel to half the picture."""
    generator = torch.Generator().manual_seed(1)
    return [_blobs(size, generator) for size in sizes]


def _blobs(size: tuple[int, int], generator: torch.Generator) -> Tensor:
    grids = [torch.rand(1, 3, *(-(-side // cell) for side in size), generator=generator) for cell in (1, 5, 20, 80)]
    return torch.cat([nn.functional.interpolate(grid, size=size) for grid in grids]).mean(dim=0)
