"""From a configuration to a network with random weights: the rooms, built and joined."""

from collections.abc import Sequence

from torch import nn

from frcnn.config import ModelConfig
from frcnn.errors import ConfigError
from frcnn.model.backbone import build_body, build_resnet
from frcnn.model.detector import FasterRCNN
from frcnn.model.fpn import FeaturePyramid
from frcnn.model.head import RegionHead, convolutions_and_fully_connected, stage_and_average, two_fully_connected
from frcnn.model.rpn import RPNHead


def build_from_config(config: ModelConfig, class_names: Sequence[str]) -> FasterRCNN:
    """The network that the configuration describes, with random weights.

    Raises ConfigError where rooms do not fit each other.
    """
    body = build_body(config.backbone)
    backbone = FeaturePyramid(body, config.backbone)
    if len(config.anchors.sizes) != len(backbone.strides):
        raise ConfigError(
            f"model.anchors.sizes has {len(config.anchors.sizes)} levels, the backbone {len(backbone.strides)}: "
            "give one list of sizes for each level"
        )
    num_anchors = {len(sizes) * len(config.anchors.ratios) for sizes in config.anchors.sizes}
    if len(num_anchors) > 1:
        raise ConfigError("model.anchors.sizes must have as many sizes on each level: the levels share one RPN")
    rpn = RPNHead(backbone.channels, num_anchors.pop(), config.rpn)
    hidden, width = _hidden_layers(backbone.channels, config)
    return FasterRCNN(config, class_names, backbone, rpn, RegionHead(hidden, width, len(class_names)))


def _hidden_layers(channels: int, config: ModelConfig) -> tuple[nn.Module, int]:
    """The layers between RoI pooling and the two outputs, and how wide they end."""
    if config.head.layers == "two_fc":
        return two_fully_connected(channels, config.head), config.head.hidden
    if config.head.layers == "convolutions_fc":
        return convolutions_and_fully_connected(channels, config.head), config.head.hidden
    if not config.backbone.body.startswith("resnet"):
        raise ConfigError('model.head.layers = "res5" needs a ResNet as model.backbone.body')
    network = build_resnet(config.backbone)
    return stage_and_average(network.layer4), network.fc.in_features
