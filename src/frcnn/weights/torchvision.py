"""torchvision's detectors: their state dicts in our networks, key by key."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from frcnn.config import ModelConfig, load_preset, override_sections
from frcnn.errors import ModelFileError, UsageError
from frcnn.model.detector import FasterRCNN
from frcnn.model.zoo import build_from_config
from frcnn.weights.build import checked_classes
from frcnn.weights.imagenet import body_rules
from frcnn.weights.keys import KeyRule, load_exactly, rename_keys

PRESETS = (
    "resnet18_fpn",
    "resnet50_fpn",
    "resnet101_fpn",
    "resnet50_fpn_v2",
    "mobilenet_v3_large_fpn",
    "mobilenet_v3_large_320_fpn",
)
SOURCE = "state dict"


def from_torchvision(
    state_dict: Mapping[str, Tensor], preset: str, classes: Sequence[str], batch_norm_eps: float = 1e-5
) -> FasterRCNN:
    """The detector whose torchvision state dict this is, in evaluation mode.

    `classes`: the names of torchvision's labels 1, 2, ... (label 0, the background, has none). `batch_norm_eps` is not
    in a state dict: 0 for the published weights of resnet50_fpn, 1e-5 for others.
    Raises UsageError, or ModelFileError where the weights are not of this network.
    """
    if preset not in PRESETS:
        raise UsageError(f"preset {preset!r} has no torchvision counterpart: use one of {', '.join(PRESETS)}")
    names = checked_classes(classes)
    config = override_sections(load_preset(preset).model, {"backbone": {"batch_norm_eps": batch_norm_eps}})
    state = convert_state(state_dict, config, len(names))
    model = build_from_config(config, names)
    load_exactly(model, state, SOURCE)
    return model.eval()


def convert_state(state_dict: Mapping[str, Tensor], config: ModelConfig, num_classes: int) -> dict[str, Tensor]:
    """Their tensors under our names and in our order of classes; gradients can be compared so, too."""
    return _background_last(rename_keys(state_dict, detector_rules(config), SOURCE), num_classes)


def detector_rules(config: ModelConfig) -> list[KeyRule]:
    """From torchvision's names to ours. In older state dicts some convolutions lack the ".0" of their block."""
    body = [
        KeyRule(rule.pattern, None if rule.becomes is None else f"backbone.body.{rule.becomes}")
        for rule in body_rules(config.backbone.body, r"backbone\.body\.")
    ]
    return [
        *body,
        KeyRule(r"backbone\.fpn\.inner_blocks\.(\d+)\.(\d\..+)", r"backbone.fpn.laterals.\1.\2"),
        KeyRule(r"backbone\.fpn\.layer_blocks\.(\d+)\.(\d\..+)", r"backbone.fpn.outputs.\1.\2"),
        KeyRule(r"backbone\.fpn\.inner_blocks\.(\d+)\.(weight|bias)", r"backbone.fpn.laterals.\1.0.\2"),
        KeyRule(r"backbone\.fpn\.layer_blocks\.(\d+)\.(weight|bias)", r"backbone.fpn.outputs.\1.0.\2"),
        KeyRule(r"rpn\.head\.conv\.(\d+)\.0\.(weight|bias)", r"rpn.convolutions.\1.\2"),
        KeyRule(r"rpn\.head\.conv\.(weight|bias)", r"rpn.convolutions.0.\1"),
        KeyRule(r"rpn\.head\.cls_logits\.(weight|bias)", r"rpn.objectness.\1"),
        KeyRule(r"rpn\.head\.bbox_pred\.(weight|bias)", r"rpn.deltas.\1"),
        *_head_rules(config),
        KeyRule(r"roi_heads\.box_predictor\.cls_score\.(weight|bias)", r"head.classes.\1"),
        KeyRule(r"roi_heads\.box_predictor\.bbox_pred\.(weight|bias)", r"head.deltas.\1"),
    ]


def _head_rules(config: ModelConfig) -> list[KeyRule]:
    """The hidden layers: theirs by name or by block, ours by their place in the chain."""
    if config.head.layers == "two_fc":
        second = 4 if config.head.dropout > 0 else 3  # flatten, fc6, ReLU (, dropout), fc7
        return [
            KeyRule(r"roi_heads\.box_head\.fc6\.(weight|bias)", r"head.hidden.1.\1"),
            KeyRule(r"roi_heads\.box_head\.fc7\.(weight|bias)", rf"head.hidden.{second}.\1"),
        ]
    count = config.head.convolutions  # convolution, batch norm, ReLU of each block; flatten, fully connected
    return [
        *(
            KeyRule(rf"roi_heads\.box_head\.{block}\.{layer}\.(.+)", rf"head.hidden.{3 * block + layer}.\1")
            for block in range(count)
            for layer in (0, 1)
        ),
        KeyRule(rf"roi_heads\.box_head\.{count + 1}\.(weight|bias)", rf"head.hidden.{3 * count + 1}.\1"),
    ]


def _background_last(state: dict[str, Tensor], num_classes: int) -> dict[str, Tensor]:
    """Their row 0 is the background; ours is the last, and it has no deltas."""
    rows = [f"head.{part}.{kind}" for part in ("classes", "deltas") for kind in ("weight", "bias")]
    if missing := [name for name in rows if name not in state]:
        raise ModelFileError(f"{SOURCE}: the tensor {missing[0]!r} is missing: these are weights of another network")
    given = len(state["head.classes.bias"])
    if given != num_classes + 1:
        raise ModelFileError(
            f"{SOURCE}: it is for {given - 1} classes (and the background), but {num_classes} are named"
        )
    moved = {name: torch.roll(state[name], -1, 0) for name in rows[:2]}
    return state | moved | {name: state[name][4:] for name in rows[2:]}
