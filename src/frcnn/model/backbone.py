"""Backbones: from the network's input to feature maps, as a chain of stages.

Every body is a `Stages`: stage 0 is next to the picture. Which stages are handed on (`taps`) and which stay fixed is
the configuration's business, not the body's. The published bodies are torchvision's, cut into stages.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch.nn.functional as F
import torchvision.models
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from frcnn.config import BackboneConfig
from frcnn.model.fold import fold_batch_norm
from frcnn.model.strided import replace_strided

# Where torchvision's chain of layers is cut into stages; its detectors read V3's layers 13 and 16, both at stride 32.
MOBILENET_CUTS = {"mobilenet_v2": (0, 2, 4, 7, 14, 19), "mobilenet_v3_large": (0, 2, 4, 7, 13, 14, 17)}

NormLayer = Callable[[int], nn.Module]
AnyModule = TypeVar("AnyModule", bound=nn.Module)


class Stages(nn.Module):
    """A backbone's body: stages one after another, of which some are handed on.

    `strides` and `channels` describe the maps that are handed on, finest first.
    """

    def __init__(
        self, stages: Sequence[nn.Module], strides: Sequence[int], channels: Sequence[int], taps: Sequence[int]
    ) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.stages = nn.ModuleList(stages[: max(taps) + 1])  # what nobody reads is not built
        self.strides = tuple(strides[tap] for tap in taps)
        self.channels = tuple(channels[tap] for tap in taps)

    def forward(self, pixels: Float[Tensor, "N C H W"]) -> list[Tensor]:
        """The feature maps of the taps."""
        maps = []
        features = pixels
        for number, stage in enumerate(self.stages):
            features = stage(features)
            if number in self.taps:
                maps.append(features)
        return maps

    def freeze(self, stages: int) -> None:
        """The first `stages` stages no longer train."""
        for stage in self.stages[:stages]:
            stage.requires_grad_(False)


class LocalResponseNorm(nn.Module):
    """ZF's normalisation: by the squares of a 3 x 3 neighbourhood within the channel (Caffe's WITHIN_CHANNEL)."""

    alpha, beta = 5e-5, 0.75

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """Dampen where the neighbourhood is already loud."""
        energy = F.avg_pool2d(features.square(), kernel_size=3, stride=1, padding=1)
        return features * (1 + self.alpha * energy) ** -self.beta


def build_body(config: BackboneConfig) -> Stages:
    """The body that the configuration names, with random weights."""
    body = BODIES[config.body](config)
    if config.batch_norm == "folded":
        fold_batch_norm(body)
        body.requires_grad_(True)  # what the batch norm added is now a bias, and trains
    body.freeze(config.frozen_stages)
    return body


def _vgg16(config: BackboneConfig) -> Stages:
    """The 13 convolutions to conv5_3: four poolings, which round up, so stride 16."""
    layers = list(torchvision.models.vgg16(init_weights=False).features.children())[
        :30
    ]  # the fifth pooling is RoI pooling's
    stages: list[list[nn.Module]] = [[]]
    for layer in layers:
        if isinstance(layer, nn.MaxPool2d):
            stages.append([])
            layer.ceil_mode = True
        stages[-1].append(layer)
    body = Stages([nn.Sequential(*s) for s in stages], (1, 2, 4, 8, 16), (64, 128, 256, 512, 512), config.taps)
    return _initialise_he_normal(body)


def _zf(config: BackboneConfig) -> Stages:
    """Zeiler and Fergus's five convolutions, as the authors' ZF network has them."""

    def normalised(convolution: nn.Conv2d) -> nn.Sequential:
        pool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        return nn.Sequential(convolution, nn.ReLU(inplace=True), LocalResponseNorm(), pool)

    stages = (
        normalised(nn.Conv2d(3, 96, 7, stride=2, padding=3)),
        normalised(nn.Conv2d(96, 256, 5, stride=2, padding=2)),
        nn.Sequential(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True)),
    )
    body = Stages(stages, (4, 16, 16, 16, 16), (96, 256, 384, 384, 256), config.taps)
    return _initialise_he_normal(body)


def _resnet(config: BackboneConfig) -> Stages:
    network = build_resnet(config)
    stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
    stages = (stem, network.layer1, network.layer2, network.layer3, network.layer4)
    widest = network.fc.in_features
    channels = (64, widest // 8, widest // 4, widest // 2, widest)
    return Stages(stages, (4, 4, 8, 16, 32), channels, config.taps)


def build_resnet(config: BackboneConfig) -> torchvision.models.ResNet:
    """torchvision's classifier, of which the body takes the stages and a C4 head the last one."""
    constructor = {
        "resnet18": torchvision.models.resnet18,
        "resnet50": torchvision.models.resnet50,
        "resnet101": torchvision.models.resnet101,
    }[config.body]
    return constructor(norm_layer=norm_layer(config))


def _mobilenet_v3_large(config: BackboneConfig) -> Stages:
    layers = torchvision.models.mobilenet_v3_large(norm_layer=norm_layer(config)).features
    replace_strided(layers)
    stages = [layers[begin:end] for begin, end in itertools.pairwise(MOBILENET_CUTS["mobilenet_v3_large"])]
    return Stages(stages, (2, 4, 8, 16, 32, 32), (16, 24, 40, 112, 160, 960), config.taps)


def _mobilenet_v2(config: BackboneConfig) -> Stages:
    layers = torchvision.models.mobilenet_v2(norm_layer=norm_layer(config)).features
    replace_strided(layers, pad_bottom_right=config.stride_padding == "bottom_right")
    stages = [layers[begin:end] for begin, end in itertools.pairwise(MOBILENET_CUTS["mobilenet_v2"])]
    return Stages(stages, (2, 4, 8, 16, 32), (16, 24, 32, 96, 1280), config.taps)


def _tiny(config: BackboneConfig) -> Stages:
    """A small residual network that learns the sample data from scratch in minutes."""
    norm = norm_layer(config)
    widths = (16, 32, 64, 96, 128)
    before = (3, *widths[:-1])
    stages = [_tiny_stage(i, o, norm, residual=o > 32) for i, o in zip(before, widths, strict=True)]
    return Stages(stages, (2, 4, 8, 16, 32), widths, config.taps)


def _tiny_stage(channels_in: int, channels_out: int, norm: NormLayer, residual: bool) -> nn.Sequential:
    stage = nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
        norm(channels_out),
        nn.ReLU(inplace=True),
    )
    if residual:
        stage.append(TinyBlock(channels_out, norm))
    return _initialise_he_normal(stage)


class TinyBlock(nn.Module):
    """Two 3 x 3 convolutions around which the features also pass unchanged (ResNet, Fig. 2)."""

    def __init__(self, channels: int, norm: NormLayer) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            norm(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            norm(channels),
        )

    def forward(self, features: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """Features plus what the block adds to them."""
        return F.relu(features + self.layers(features))


BODIES: dict[str, Callable[[BackboneConfig], Stages]] = {
    "vgg16": _vgg16,
    "zf": _zf,
    "resnet18": _resnet,
    "resnet50": _resnet,
    "resnet101": _resnet,
    "mobilenet_v2": _mobilenet_v2,
    "mobilenet_v3_large": _mobilenet_v3_large,
    "tiny": _tiny,
}


def norm_layer(config: BackboneConfig) -> NormLayer:
    """Live or frozen batch norm, with the configured epsilon. What will be folded begins as frozen."""
    layer = nn.BatchNorm2d if config.batch_norm == "live" else FrozenBatchNorm2d
    return partial(layer, eps=config.batch_norm_eps)


def _initialise_he_normal(body: AnyModule) -> AnyModule:
    """For networks that start without ImageNet weights."""
    for layer in body.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return body
