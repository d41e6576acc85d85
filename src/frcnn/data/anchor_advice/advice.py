"""Which anchors and which picture size suit a data set: better settings, measured as exactly as what is there."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from frcnn.config import AnchorConfig, Config, load_preset, override
from frcnn.data.anchor_advice.report import AnchorAdvice, Suggestion, Trial, written
from frcnn.data.anchor_advice.search import Measured, Problem, best_anchors
from frcnn.data.anchor_advice.shares import groups, unreached
from frcnn.data.anchor_advice.views import as_trained
from frcnn.data.anchor_fit import fit_of
from frcnn.data.dataset import Dataset, training_splits
from frcnn.data.learnt_objects import LearntObjects, SeenObjects, learnt_objects, seen_sizes
from frcnn.model.level_grid import LevelGrid, level_grids
from frcnn.model.preprocess import at_scale

LARGER = (1.25, 1.5, 2.0)  # the short sides that are tried, beside the one there is
SOUGHT_WITH = 4000  # objects: a share of .95 of so many is right to a third of a point
SLACK = 0.005  # by which a share of all objects may fall where anchors were sought with some of them
MORE_EASY, MORE_GOOD = 0.02, 0.05  # by which a share must rise, by easy or by good anchors, to be worth other settings
ADVISED = (
    "model.anchors.sizes",
    "model.anchors.ratios",
    "model.input.short_side",
    "model.input.long_side",
    "data.scales",
)
LARGEST_SCALE = 4096  # that data.scales may hold


@dataclass(frozen=True)
class Case:
    """A data set, the objects with which anchors are sought, and the levels of a network."""

    dataset: Dataset
    objects: LearntObjects
    searched: LearntObjects
    levels: Sequence[LevelGrid]

    def views(self, config: Config) -> tuple[SeenObjects, ...]:
        """As detection sees the objects; and as training does, where that is something else."""
        detected = self.searched.as_seen(config.model.input)
        if not config.data.scales and config.data.crop == 0:
            return (detected,)
        return detected, as_trained(self.dataset, self.searched.pictures.unique().tolist(), config)

    def trial(self, title: str, config: Config, found: Measured) -> Trial:
        """Anchors that were found, measured with all objects."""
        config = _with_anchors(config, found.anchors)
        pixels = float(seen_sizes(self.objects.sizes, config.model.input).double().prod(dim=1).sum())
        return Trial(title, config, fit_of(self.objects, config.model, self.levels), found.reached[1], pixels)


def advise_on_anchors(paths: Sequence[Path], preset: str, settings: Sequence[str] = ()) -> AnchorAdvice:
    """Advice for a training of `preset` with these settings (`section.key=value`) on the data sets at `paths`.

    Raises ConfigError, DataError.
    """
    config = override(load_preset(preset), settings)
    levels = level_grids(config.model)
    dataset, _ = training_splits(paths, config.data.validation, config.train.seed, config.data.bad_boxes)
    objects = learnt_objects(dataset)
    case = Case(dataset, objects, some_of(objects), levels)
    trials = try_settings(case, config)
    better = better_trials(trials, SLACK if len(case.searched) < len(objects) else 0.0)
    return AnchorAdvice(
        pictures=len(dataset),
        skipped_boxes=dataset.skipped_boxes,
        searched=len(case.searched),
        trials=tuple(trials),
        suggestions=tuple(_suggestion(trial, paths, config, settings) for trial in better),
        groups=tuple(groups(objects, trials[0].fit)),
        groups_as_advised=tuple(groups(objects, [*trials[:1], *better][-1].fit)),
        unreached=tuple(unreached(dataset, objects, trials[0].fit)),
    )


def try_settings(case: Case, config: Config) -> list[Trial]:
    """What there is; the best anchors for pictures of this size; those for larger ones, which also reach no less."""
    problem = Problem(case.views(config), config.model, case.levels)
    trials = [case.trial("as it is", config, problem.measured(config.model.anchors))]
    found = best_anchors(problem)
    if found.anchors != config.model.anchors:
        trials.append(case.trial("other anchors", config, found))
    for factor in LARGER:
        larger = at_short_side(trials[-1].config, round(config.model.input.short_side * factor))
        found = best_anchors(Problem(case.views(larger), larger.model, case.levels, problem.to_keep))
        trials.append(case.trial(f"short side {larger.model.input.short_side}", larger, found))
    return trials


def better_trials(trials: Sequence[Trial], slack: float = 0.0) -> list[Trial]:
    """Those that each clearly better what stands before them: the more, by its square, the more pixels they take.

    What reaches less than the first of all, by more than `slack` at any bound, is out.
    """
    now, best, found = trials[0], trials[0], []
    for trial in trials[1:]:
        _, easy, good = (trial.together - best.together).tolist()
        price = (trial.pixels / now.pixels) ** 2
        keeps = bool((trial.reached >= now.reached - slack).all())
        if keeps and (easy >= MORE_EASY * price or good >= MORE_GOOD * price):
            best = trial
            found.append(trial)
    return found


def some_of(objects: LearntObjects) -> LearntObjects:
    """Those of some pictures, drawn with a seed; all where they are few."""
    counts = objects.pictures.bincount(minlength=len(objects.sizes))
    drawn = torch.randperm(len(counts), generator=torch.Generator().manual_seed(0))
    enough = int((counts[drawn].cumsum(dim=0) < SOUGHT_WITH).sum()) + 1
    return objects.chosen(torch.isin(objects.pictures, drawn[:enough]))


def at_short_side(config: Config, short_side: int) -> Config:
    """The same for pictures of another size: anchors, and the sizes that training draws, stay in proportion."""
    rule, own, multiple = config.model.input, config.model.anchors, config.data.pad_to_multiple
    factor = short_side / rule.short_side
    sizes = tuple(tuple(float(max(round(size * factor), 1)) for size in of_level) for of_level in own.sizes)
    scales = (min(round(scale * factor / multiple) * multiple, LARGEST_SCALE) for scale in config.data.scales)
    larger = _with_anchors(config, own.model_copy(update={"sizes": sizes}))
    model = larger.model.model_copy(update={"input": at_scale(rule, short_side)})
    data = config.data.model_copy(update={"scales": tuple(dict.fromkeys(scales))})
    return larger.model_copy(update={"model": model, "data": data})


def settings_of(config: Config, settings: Sequence[str], advised: Config) -> tuple[str, ...]:
    """What `--set` takes to train as advised: the settings that made `config` of its preset, and what is changed."""
    changed = {key: _at(advised, key) for key in ADVISED if _at(advised, key) != _at(config, key)}
    kept = (setting for setting in settings if setting.partition("=")[0].strip() not in changed)
    return (*kept, *(f"{key}={written(value)}" for key, value in changed.items()))


def _suggestion(trial: Trial, paths: Sequence[Path], config: Config, settings: Sequence[str]) -> Suggestion:
    to_set = settings_of(config, settings, trial.config)
    command = shlex.join(["frcnn", "train", config.preset, "--data", *map(str, paths), "--set", *to_set])
    return Suggestion(trial, to_set, command)


def _with_anchors(config: Config, anchors: AnchorConfig) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update={"anchors": anchors})})


def _at(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value
