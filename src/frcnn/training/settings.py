"""What a training is asked to do, settled and checked before data is touched."""

from collections.abc import Sequence
from pathlib import Path

from frcnn.config import Config, load_config, load_preset, override
from frcnn.errors import UsageError
from frcnn.training.checkpoint import states
from frcnn.weights.build import settle as settle_model
from frcnn.weights.imagenet import BackboneWeights


def settle(
    preset: str,
    out: Path,
    *,
    config: Config | None,
    overrides: Sequence[str],
    precision: str | None,
    resume: bool,
    backbone: str | Path | None = None,
    schedule: str | None = None,
) -> Config:
    """The complete configuration of a run.

    A new run takes the preset (or `config`) and the overrides; a resumed one what its folder says, if it says
    anything. Raises UsageError for a folder that already holds a run, ConfigError for settings that do not exist.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file, not a folder: give another --out")
    if resume and (out / "config.toml").exists():
        others = (config, overrides, precision, backbone, schedule)
        return _settings_of(out, preset, asked_for_others=any(others))
    if states(out / "state") and not resume:
        raise UsageError(f"{out}: already holds a run: add --resume to go on with it, or give another --out")
    chosen = load_preset(preset) if config is None else config
    if chosen.preset != preset:
        raise UsageError(f"the configuration is of preset {chosen.preset}, not {preset}: name that one")
    named = {"precision": precision, "schedule": schedule}
    by_name = [f"train.{key}={value}" for key, value in named.items() if value is not None]
    settings = override(chosen, [*overrides, *by_name])
    if backbone is None:
        return settings
    return settings.model_copy(update={"train": settings.train.model_copy(update={"backbone": str(backbone)})})


def _settings_of(out: Path, preset: str, *, asked_for_others: bool) -> Config:
    if asked_for_others:
        raise UsageError(
            "--resume goes on with the run's own settings: leave out --set, --config, --precision and --backbone"
        )
    config = load_config(out / "config.toml")
    if config.preset != preset:
        raise UsageError(f"{out}: is a run of preset {config.preset}, not {preset}: name that one")
    return config


def suit_to_weights(config: Config, weights: BackboneWeights | None, overrides: Sequence[str]) -> Config:
    """The input and the frozen layers that suit the starting weights; what was asked for by name has the last word."""
    settled = config.model_copy(update={"model": settle_model(config.model, weights)})
    return config.model_copy(update={"model": override(settled, overrides).model})
