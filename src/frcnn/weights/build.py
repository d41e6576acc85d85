"""From the name of a preset to a network: configuration, layers, and the weights that its backbone starts with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frcnn.class_names import fault_of_name
from frcnn.config import ModelConfig, load_preset, override_sections
from frcnn.errors import ConfigError, UsageError
from frcnn.model.detector import FasterRCNN
from frcnn.model.zoo import build_from_config
from frcnn.naming import excerpt
from frcnn.weights.fetch import Progress
from frcnn.weights.imagenet import BackboneWeights, load_backbone, read_backbone_weights


def build(preset: str, classes: Sequence[str], backbone: str | Path = "none", **overrides: Any) -> FasterRCNN:
    """A detector for `classes`, ready to train: the preset's network, all new but for its backbone.

    `backbone`: "none" (random weights, so nothing is frozen; the network is never touched), "imagenet" or a file of
    weights, whose mean, std and channel order the model then takes. `overrides` replace settings, by section,
    `input={"short_side": 224}`, or one by one, `**{"backbone.frozen_stages": 0}`.
    Raises UsageError, DownloadError or ModelFileError.
    """
    names = checked_classes(classes)
    sections = _by_section(overrides)
    config = load_preset(preset).model
    override_sections(config, sections)  # a misspelt setting is found before anything is fetched
    weights = starting_weights(config, backbone)
    return assemble(override_sections(settle(config, weights), sections), names, weights)


def starting_weights(
    config: ModelConfig, backbone: str | Path, progress: Progress | None = None
) -> BackboneWeights | None:
    """What the backbone starts with: None for "none"; "imagenet" is fetched, a file is read."""
    return None if backbone == "none" else read_backbone_weights(backbone, config.backbone.body, progress)


def settle(config: ModelConfig, weights: BackboneWeights | None) -> ModelConfig:
    """The configuration that suits the weights: their input; or, without any, nothing frozen at random values."""
    if weights is not None:
        return weights.settle(config)
    live = "live" if config.backbone.batch_norm in ("frozen", "folded") else config.backbone.batch_norm
    return override_sections(config, {"backbone": {"frozen_stages": 0, "batch_norm": live}})


def assemble(config: ModelConfig, class_names: Sequence[str], weights: BackboneWeights | None) -> FasterRCNN:
    """The network of a settled configuration, with the weights in its backbone."""
    model = build_from_config(config, class_names)
    if weights is not None:
        load_backbone(model, weights)
    return model


def checked_classes(classes: Sequence[Any]) -> tuple[str, ...]:
    """The class names, without space round them, if they can be: whoever wrote them may have written anything.

    Raises UsageError.
    """
    if isinstance(classes, str) or not classes:
        raise UsageError(f"classes must be a list of one name or more, not {classes!r}")
    names: list[str] = []
    for name in classes:
        if fault := fault_of_name(name):
            raise UsageError(f"classes: {excerpt(name)} is no name: it {fault}")
        if name.strip() in names:
            raise UsageError(f"classes: {excerpt(name.strip())} is there twice")
        names.append(name.strip())
    return tuple(names)


def _by_section(overrides: dict[str, Any]) -> dict[str, dict[str, Any]]:
    sections: dict[str, dict[str, Any]] = {}
    for key, value in overrides.items():
        section, dot, name = key.partition(".")
        if not dot and not isinstance(value, dict):
            raise ConfigError(f"model.{key} = {value!r}: a section is overridden by a dict of its settings")
        sections[section] = sections.get(section, {}) | ({name: value} if dot else value)
    return sections
