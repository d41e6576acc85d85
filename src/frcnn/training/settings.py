"""What a training is asked to do, settled and checked before data is touched."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from frcnn.config import (
    Config,
    ModelConfig,
    TrainConfig,
    changed_settings,
    load_config,
    load_preset,
    override,
    override_sections,
)
from frcnn.data.order import piece_size
from frcnn.errors import UsageError
from frcnn.files import file_in_the_way
from frcnn.model.detector import FasterRCNN
from frcnn.training.checkpoint import states
from frcnn.weights.build import settle as settle_model
from frcnn.weights.imagenet import BackboneWeights

# They move no weight.
FREE_WHEN_RESUMED = ("data.workers", "train.checkpoint_every", "train.log_every", "train.trackers")
NO_FILE = ("imagenet", "none")  # what a backbone may start with besides, whatever lies in the folder
LEAST_LIVE_BATCH = 4  # pictures that are normalised together, from which batch norm may learn its statistics anew


def settle(
    preset: str,
    out: Path,
    *,
    config: Config | None,
    overrides: Sequence[str],
    precision: str | None,
    resume: bool,
    backbone: str | Path | None = None,
    weights: str | Path | None = None,
    schedule: str | None = None,
) -> Config:
    """The complete configuration of a run.

    A new run takes the preset (or `config`) and the overrides; a resumed one what its folder says, if it says
    anything, and what else is asked for must say the same, but for `FREE_WHEN_RESUMED`. Raises UsageError for a folder
    that already holds a run, ConfigError for settings that do not exist.
    """
    if (blocker := file_in_the_way(out)) is not None:
        raise UsageError(f"{out}: {blocker} is a file, not a folder: give another --out")
    if backbone is not None and weights is not None:
        raise UsageError("--weights continues a whole detector, --backbone starts a new one: give one of them")
    if backbone is not None and any(_key(assignment) == "train.weights" for assignment in overrides):
        raise UsageError("train.weights continues a whole detector, --backbone starts a new one: give one of them")
    if states(out / "state") and not resume:
        raise UsageError(f"{out}: already holds a run: add --resume to go on with it, or give another --out")
    if (out / "last.safetensors").exists() and not states(out / "state"):
        raise UsageError(
            f"{out}: holds a finished run without its states: to learn on from it, give --weights "
            f"{out / 'last.safetensors'} and another --out"
        )
    named = {"precision": precision, "schedule": schedule}
    assignments = [*overrides, *(f"train.{key}={value}" for key, value in named.items() if value is not None)]
    paths = {"backbone": backbone, "weights": weights}  # no TOML: a path may hold anything
    start = {key: _from_anywhere(str(value)) for key, value in paths.items() if value is not None}
    if resume and (out / "config.toml").exists():
        return _settings_of(out, preset, config, assignments, start)
    chosen = load_preset(preset) if config is None else config
    if chosen.preset != preset:
        raise UsageError(f"the configuration is of preset {chosen.preset}, not {preset}: name that one")
    return _complete(chosen, assignments, start)


def _complete(chosen: Config, assignments: Sequence[str], start: Mapping[str, str]) -> Config:
    """The settings of a new run, whose start takes the place of any other."""
    settings = override(chosen, assignments)
    begins = {"weights": None, **start} if start else {}
    return _placed(settings.model_copy(update={"train": settings.train.model_copy(update=begins)}))


def _placed(settings: Config) -> Config:
    """The settings with the files that they begin with named by their whole paths."""
    return _begun_with(settings, _from_anywhere)


def _from_anywhere(start: str) -> str:
    """A file by its whole path: alternating training reads it again, whatever folder it is gone on with from."""
    return _whole_path(start) if start not in NO_FILE and Path(start).is_file() else start


def _compared(settings: Config) -> Config:
    """As `_placed`, but whether those files are there or not: they may be gone, or have been named otherwise."""
    return _begun_with(settings, _whole_path)


def _begun_with(settings: Config, renamed: Callable[[str], str]) -> Config:
    named = {"backbone": settings.train.backbone, "weights": settings.train.weights}
    starts = {key: renamed(value) for key, value in named.items() if value is not None}
    return settings.model_copy(update={"train": settings.train.model_copy(update=starts)})


def _whole_path(start: str) -> str:
    return os.path.realpath(start) if "\0" not in start else start  # which is no path; nor do loops of links raise


def _settings_of(
    out: Path, preset: str, asked: Config | None, assignments: Sequence[str], start: Mapping[str, str]
) -> Config:
    """What the run's folder says. Raises UsageError where something else is asked for."""
    stored = load_config(out / "config.toml")
    assignments = list({_key(assignment): assignment for assignment in assignments}.values())  # the last has its way
    config = override(stored, [assignment for assignment in assignments if _key(assignment) in FREE_WHEN_RESUMED])
    if config.preset != preset:
        raise UsageError(f"{out}: is a run of preset {config.preset}, not {preset}: name that one")
    run = _compared(config)
    others = [assignment for assignment in assignments if _compared(override(config, [assignment])) != run]
    others += [f"--{key} {value}" for key, value in start.items() if getattr(run.train, key) != _whole_path(value)]
    if asked is not None:
        others += [f"--config ({key})" for key in _changed(run, _compared(_complete(asked, assignments, start)))]
    if others:
        raise UsageError(
            f"--resume goes on with the run's own settings, and {others[0]} is none of them: leave it out, or start a "
            "new run with another --out"
        )
    return config


def _changed(run: Config, asked: Config) -> list[str]:
    """What may not differ; the model has been suited to the weights it began with."""
    changed = changed_settings(run, asked)
    return [key for key in changed if not key.startswith("model.") and key not in FREE_WHEN_RESUMED]


def require_run(out: Path) -> None:
    """Refuse to go on with what is not there. Raises UsageError."""
    if (out / "config.toml").is_file():
        return
    if states(out / "state"):
        raise UsageError(f"{out}: its config.toml is gone, which says how to go on: put it back, or give another --out")
    raise UsageError(f"{out}: holds no run to go on with: leave out --resume to begin one, or give the run's --out")


def _key(assignment: str) -> str:
    """What is set by `section.key=value`."""
    return assignment.partition("=")[0].strip()


def suit_to_weights(config: Config, start: FasterRCNN | BackboneWeights | None, overrides: Sequence[str]) -> Config:
    """The input and the layers that suit the starting weights; what was asked for by name has the last word.

    A detector that is continued brings the settings of its network, but where others than the preset's were asked for.
    Raises UsageError where it is of another body.
    """
    model = _of_detector(config, start) if isinstance(start, FasterRCNN) else settle_model(config.model, start)
    suited = override(config.model_copy(update={"model": model}), overrides).model
    if start is not None and _too_small_for_live_statistics(suited, config.train, overrides):
        suited = override_sections(suited, {"backbone": {"batch_norm": "frozen"}})
    return config.model_copy(update={"model": suited})


def _of_detector(config: Config, start: FasterRCNN) -> ModelConfig:
    wanted, found = (_structure(model) for model in (config.model, start.config))
    if wanted != found:
        raise UsageError(
            f"--weights {config.train.weights}: is a detector on {found}, but preset {config.preset} stands on "
            f"{wanted}: name the preset that it was trained with"
        )
    return override_sections(start.config, _asked_for(config))


def _asked_for(config: Config) -> dict[str, dict[str, Any]]:
    """What the network's settings say otherwise than their preset."""
    asked, plain = (model.model_dump() for model in (config.model, load_preset(config.preset).model))
    return {
        name: {key: value for key, value in section.items() if value != plain[name][key]}
        for name, section in asked.items()
    }


def _structure(model: ModelConfig) -> str:
    """What tells presets apart, in words."""
    neck = f" with {model.backbone.neck}" if model.backbone.neck != "none" else ""
    return f"{model.backbone.body}{neck}, {len(model.anchors.sizes)} levels, head {model.head.layers}"


def _too_small_for_live_statistics(model: ModelConfig, train: TrainConfig, overrides: Sequence[str]) -> bool:
    """Few pictures give no mean worth more than the one that was learnt; live where that was asked for by name."""
    asked = any(_key(assignment) == "model.backbone.batch_norm" for assignment in overrides)
    together = piece_size(train.batch_size, train.accumulate)  # of several processes, which share their statistics
    return model.backbone.batch_norm == "live" and together < LEAST_LIVE_BATCH and not asked
