"""ImageNet weights for a backbone: torchvision's, fetched and checked, or a file with torchvision's key names.

What the weights expect of a picture (mean, std, channel order) belongs to them and travels with them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torchvision.models import (
    MobileNet_V2_Weights,
    MobileNet_V3_Large_Weights,
    ResNet18_Weights,
    ResNet50_Weights,
    ResNet101_Weights,
    VGG16_Weights,
    WeightsEnum,
)

from frcnn.config import BackboneConfig, ModelConfig, override_sections
from frcnn.errors import ModelFileError, UsageError
from frcnn.model.backbone import MOBILENET_CUTS, build_body
from frcnn.model.detector import FasterRCNN
from frcnn.model.fold import fold_batch_norm
from frcnn.weights.fetch import Progress, checksum_in_name, fetch
from frcnn.weights.keys import KeyRule, load_exactly, rename_keys
from frcnn.weights.state_file import StateFile, read_state

PUBLISHED: Mapping[str, WeightsEnum] = {
    "vgg16": VGG16_Weights.IMAGENET1K_V1,
    "resnet18": ResNet18_Weights.IMAGENET1K_V1,
    "resnet50": ResNet50_Weights.IMAGENET1K_V1,
    "resnet101": ResNet101_Weights.IMAGENET1K_V1,
    "mobilenet_v2": MobileNet_V2_Weights.IMAGENET1K_V1,
    "mobilenet_v3_large": MobileNet_V3_Large_Weights.IMAGENET1K_V1,
}

# Where torchvision's chain of layers ("features") is cut into our stages.
VGG16_CUTS = (0, 4, 9, 16, 23, 30)

TORCHVISION_INPUT = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
INPUT_SENTENCES = {  # what a file may say of its input, and what that is in our settings
    "RGB, x/127.5 - 1": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
}
PADDING_SENTENCES = {"stride-2 convolutions were trained with bottom/right padding": "bottom_right"}
INPUT_KEYS = ("mean", "std", "channel_order", "pixel_scale")  # or one by one, as JSON

CLASSIFIER_HIDDEN, CLASSIFIER_POOL = 4096, 7  # VGG-16's fc6 reads a 7 x 7 map, as RoI pooling hands it over


@dataclass(frozen=True)
class BackboneWeights:
    """A backbone's tensors under our names ("stages.0...", VGG-16's "fc6..." and "fc7..."), and what they expect."""

    state: dict[str, Tensor]
    input: dict[str, Any]  # settings of ModelConfig.input
    backbone: dict[str, Any]  # settings of ModelConfig.backbone
    source: str

    def settle(self, config: ModelConfig) -> ModelConfig:
        """The configuration with what these weights expect of the picture and of the layers."""
        return override_sections(config, {"input": self.input, "backbone": self.backbone})


def check_source(source: str | Path, body: str) -> None:
    """Find out without a network whether there can be such weights. Raises UsageError or ModelFileError."""
    if source == "imagenet" and body not in PUBLISHED:
        raise UsageError(f"backbone: {body} has no published ImageNet weights: use none, or name a file")
    if source not in ("imagenet", "none") and not Path(source).is_file():
        raise ModelFileError(f"backbone: {source}: no such file: name a file of weights, imagenet or none")


def read_backbone_weights(source: str | Path, body: str, progress: Progress | None = None) -> BackboneWeights:
    """The weights of `body` from "imagenet" (torchvision's) or from a file (.safetensors or .pth).

    Raises DownloadError, ModelFileError, or UsageError where no weights are published.
    """
    check_source(source, body)
    if source != "imagenet":
        return _from_file(Path(source), body)
    weights = PUBLISHED[body]
    path = fetch(weights.url, checksum_in_name(weights.url), progress=progress)
    transforms = weights.transforms()
    expected = {"mean": tuple(transforms.mean), "std": tuple(transforms.std)}
    return _backbone_weights(read_state(path), body, expected, str(path))


def load_backbone(model: FasterRCNN, weights: BackboneWeights) -> None:
    """Copy the weights into the model's backbone, and into the layers of its head that come from the classifier.

    Those are fc6 and fc7 of VGG-16 (Sec. 4 of Fast R-CNN) and the last stage of a ResNet in a C4 head.
    """
    body = model.backbone.body
    stages = [f"stages.{number}." for number in range(len(body.stages))]
    state = {k: v for k, v in weights.state.items() if k.startswith(tuple(stages))}
    if model.config.backbone.batch_norm == "folded":
        state = _folded(state, model.config.backbone, weights.source)
    load_exactly(body, state, weights.source)
    for prefix, layer in _layers_of_the_head(model):
        part = {k.removeprefix(prefix): v for k, v in weights.state.items() if k.startswith(prefix)}
        if part or model.config.head.layers == "res5":  # a file may well leave out the classifier
            load_exactly(layer, part, weights.source)


def _folded(state: dict[str, Tensor], config: BackboneConfig, source: str) -> dict[str, Tensor]:
    """Weights with batch norm, as weights of the same body without."""
    twin = build_body(config.model_copy(update={"batch_norm": "frozen"}))
    load_exactly(twin, state, source)
    fold_batch_norm(twin)
    return twin.state_dict()


def body_rules(body: str, prefix: str = "") -> list[KeyRule]:
    """From torchvision's names of a body's tensors, which begin with `prefix` (a pattern), to ours."""
    if body.startswith("resnet"):
        return [
            KeyRule(prefix + r"conv1\.(.+)", r"stages.0.0.\1"),
            KeyRule(prefix + r"bn1\.(.+)", r"stages.0.1.\1"),
            *(KeyRule(rf"{prefix}layer{stage}\.(.+)", rf"stages.{stage}.\1") for stage in (1, 2, 3, 4)),
        ]
    if body == "vgg16":
        return [
            KeyRule(rf"{prefix}{layer}\.(.+)", rf"stages.{stage}.{layer - begin}.\1")
            for stage, (begin, end) in enumerate(pairwise(VGG16_CUTS))
            for layer in range(begin, end)
        ]
    if body in MOBILENET_CUTS:  # a slice of layers keeps their numbers
        return [
            KeyRule(rf"{prefix}({layer})\.(.+)", rf"stages.{stage}.\1.\2")
            for stage, (begin, end) in enumerate(pairwise(MOBILENET_CUTS[body]))
            for layer in range(begin, end)
        ]
    return [KeyRule(prefix + r"(stages\..+)", r"\1")]


CLASSIFIER_RULES: Mapping[str, list[KeyRule]] = {
    "vgg16": [
        KeyRule(r"classifier\.0\.(.+)", r"fc6.\1"),
        KeyRule(r"classifier\.3\.(.+)", r"fc7.\1"),
        KeyRule(r"classifier\.6\..+", None),
    ],
    "resnet18": [KeyRule(r"fc\..+", None)],
    "resnet50": [KeyRule(r"fc\..+", None)],
    "resnet101": [KeyRule(r"fc\..+", None)],
    "mobilenet_v2": [KeyRule(r"classifier\..+", None)],
    "mobilenet_v3_large": [KeyRule(r"classifier\..+", None)],
}


def _from_file(path: Path, body: str) -> BackboneWeights:
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file: a backbone is none, imagenet or a file of weights")
    file = read_state(path)
    return _backbone_weights(file, body, _input_of(file.metadata, path), str(path))


def _backbone_weights(file: StateFile, body: str, expected: dict[str, Any], source: str) -> BackboneWeights:
    prefix = r"features\." if body == "vgg16" or body in MOBILENET_CUTS else ""
    rules = [*body_rules(body, prefix), *CLASSIFIER_RULES.get(body, [])]
    layers: dict[str, Any] = {}
    if body == "mobilenet_v3_large":
        layers["batch_norm_eps"] = 1e-3  # as torchvision's classifier was trained
    if body == "mobilenet_v2" and file.metadata.get("padding") in PADDING_SENTENCES:
        layers["stride_padding"] = PADDING_SENTENCES[file.metadata["padding"]]
    return BackboneWeights(rename_keys(file.state, rules, source), expected, layers, source)


def _input_of(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """What the file says of its input; torchvision's mean and standard deviation where it says nothing."""
    sentence = metadata.get("input")
    if sentence is not None and sentence not in INPUT_SENTENCES:
        known = ", ".join(map(repr, INPUT_SENTENCES))
        raise ModelFileError(f"{path}: its metadata say input = {sentence!r}, which is not known (known: {known})")
    try:
        listed = {key: json.loads(metadata[key]) for key in INPUT_KEYS if key in metadata}
    except ValueError as error:
        raise ModelFileError(f"{path}: its metadata {', '.join(INPUT_KEYS)} must be JSON ({error})") from error
    return TORCHVISION_INPUT | INPUT_SENTENCES.get(sentence or "", {}) | listed


def _layers_of_the_head(model: FasterRCNN) -> list[tuple[str, nn.Module]]:
    """The parts of the head that the ImageNet classifier also has, with the prefix of their names."""
    config, hidden = model.config, model.head.hidden
    if config.head.layers == "res5":
        return [("stages.4.", next(hidden.children()))]
    fits = (config.head.hidden, config.head.pool_size) == (CLASSIFIER_HIDDEN, CLASSIFIER_POOL)
    if config.backbone.body == "vgg16" and config.head.layers == "two_fc" and fits:
        fc6, fc7 = (layer for layer in hidden.children() if isinstance(layer, nn.Linear))
        return [("fc6.", fc6), ("fc7.", fc7)]
    return []
