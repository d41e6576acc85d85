"""Cross-validation: each picture is looked at by a model that was trained on the others.

data set -> K parts -> a data set each, in COCO's layout -> a training each -> detections on the part left out
"""

import hashlib
import itertools
import math
import random
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int
from rich.console import Console

from frcnn.config import Config, load_config, load_preset, override, preset_names, to_toml
from frcnn.data.coco_writer import CocoWriter
from frcnn.data.dataset import Dataset, load_dataset
from frcnn.data.entries import Entry
from frcnn.data.examples import Example
from frcnn.data.held_out import as_met, count_met
from frcnn.data.index import DIFFICULT
from frcnn.data.real_paths import real_paths
from frcnn.data.sources import PICTURE_SUFFIXES
from frcnn.errors import FrcnnError, UsageError
from frcnn.files import link_or_copy, make_folder
from frcnn.model.detector import FasterRCNN
from frcnn.structures import Detections
from frcnn.training.begin import train
from frcnn.training.checkpoint import states
from frcnn.training.run import fingerprint
from frcnn.weights.model_file import load_model

# Nothing can be held out of what is trained on: the part left out is not to be seen. Written with four digits, the
# thinnest of boxes may have no area any more.
ALWAYS = ("data.validation=0", "train.patience=0", "train.trackers=[]", 'data.bad_boxes="skip"')

Detect = Callable[[FasterRCNN, Dataset], Sequence[Detections]]  # a model's detections, in the data set's order


@dataclass(frozen=True)
class Recipe:
    """How each of the models is trained."""

    preset: str
    config: Config  # complete
    is_run: bool  # the configuration of a run suits its weights already
    overrides: tuple[str, ...]


def recipe_of(model: str | Path, overrides: Sequence[str]) -> Recipe:
    """That of a preset, or of the run that a model file lies in. Raises UsageError where it is not known."""
    _require_free(overrides)
    asked = (*overrides, *ALWAYS)
    if str(model) in preset_names() and not Path(model).exists():
        return Recipe(str(model), override(load_preset(str(model)), asked), False, asked)
    path = Path(model).parent / "config.toml"
    if not path.is_file():
        raise UsageError(
            f"{model}: --folds trains as this model was trained, but there is no {path}: name a model in its run's "
            "folder, or a preset (see `frcnn presets`)"
        )
    config = load_config(path)
    return Recipe(config.preset, override(config, asked), True, asked)


def _require_free(overrides: Sequence[str]) -> None:
    """Raises UsageError for a setting that is not anyone's to choose."""
    decided = {setting.partition("=")[0]: setting for setting in ALWAYS}
    for asked in overrides:
        key = asked.partition("=")[0].strip()
        if key in decided:
            raise UsageError(f"--set {key}: --folds decides it ({decided[key]}): leave it out")


def fold_of_each(files: Int[np.ndarray, " P"], folds: int) -> Int[np.ndarray, " P"]:
    """The part that each picture belongs to: parts of equal size, drawn once and for all.

    `files` are numbers from 0, as they are met: pictures of one file are of one part.
    """
    parts = [number % folds for number in range(count_met(files))]
    random.Random(f"folds {folds}").shuffle(parts)
    return np.array(parts, np.int64)[files]


def cross_validated(
    dataset: Dataset, recipe: Recipe, folds: int, out: Path, detect: Detect, device: str, console: Console
) -> list[Detections]:
    """The detections on every picture, by the models of `folds` trainings, in the order and classes of the data set.

    What is trained stays in `out`, in a folder of its own for these pictures, annotations and settings: where it was
    stopped, the same call goes on. Raises FrcnnError.
    """
    files = as_met(real_paths(str(dataset.picture(number)) for number in range(len(dataset))))
    if (count := count_met(files)) < folds:
        raise UsageError(f"--folds {folds}: there are only {count} pictures: ask for fewer")
    folder = out / f"folds-{_digest(dataset, recipe, folds)}"
    part_of = fold_of_each(files, folds)
    detections: dict[int, Detections] = {}
    for fold in range(folds):
        own = folder / str(fold + 1)
        left_out = np.flatnonzero(part_of == fold)
        said = (
            f"Fold {fold + 1} of {folds}: {len(dataset) - len(left_out)} pictures to train on, {len(left_out)} left out"
        )
        console.print(said, highlight=False)
        data = write_fold(dataset, part_of == fold, own / "data")
        with _pictures_named_as_in(dataset, data):
            model = _trained(data, own / "run", recipe, device, console)
            found = detect(load_model(model), load_dataset([data], "test", bad_boxes="skip"))
        detections |= dict(zip(left_out.tolist(), found, strict=True))
    return [detections[number] for number in range(len(dataset))]


@contextmanager
def _pictures_named_as_in(dataset: Dataset, copies: Path) -> Iterator[None]:
    """Nobody but us knows of the copies that `write_fold` has made: errors tell of the pictures themselves."""
    copy = re.compile(rf"{re.escape(str(copies))}[/\\](?:train|test)[/\\](\d{{8}})\.\w+")
    try:
        yield
    except FrcnnError as error:
        raise type(error)(copy.sub(lambda found: str(dataset.picture(int(found[1]))), str(error))) from error


def write_fold(dataset: Dataset, left_out: Bool[np.ndarray, " P"], folder: Path) -> Path:
    """A data set whose split `test` is what is left out, and `train` the rest; pictures are links where that can be.

    In COCO's layout, which keeps the names and the order of the classes, and boxes of less than a pixel.
    Raises FrcnnError where the disk refuses.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        writer, identities = CocoWriter(make_folder(folder), dataset.class_names, ()), itertools.count(1)
        for number, example in enumerate(dataset.examples):
            entry = _entry(example, number, "test" if left_out[number] else "train", identities)
            make_folder(writer.picture(entry).parent)
            link_or_copy(example.picture, writer.picture(entry))
            writer.add(entry)
        writer.finish()
    except OSError as error:
        raise FrcnnError(f"{error.filename or folder}: cannot be written ({error.strerror or error})") from error
    return folder


def _entry(example: Example, number: int, split: str, identities: Iterator[int]) -> Entry:
    """Numbered, so that names are unlike and stay in order."""
    target, suffix = example.target, example.picture.suffix
    ignored = torch.zeros(len(target.boxes), dtype=torch.bool) if target.ignored is None else target.ignored
    return Entry(
        f"{number:08d}{suffix if suffix.lower() in PICTURE_SUFFIXES else '.jpg'}",
        split,
        example.size,
        target.boxes.double().tolist(),
        target.class_ids.tolist(),
        [DIFFICULT if is_ignored else 0 for is_ignored in ignored.tolist()],
        [math.nan] * len(ignored),
        number,
        [next(identities) for _ in ignored],
    )


def _trained(data: Path, run: Path, recipe: Recipe, device: str, console: Console) -> Path:
    """The model file, after going on with what was begun."""
    resume = bool(states(run / "state"))
    config = recipe.config if recipe.is_run and not resume else None
    overrides = () if config is not None or resume else recipe.overrides
    try:
        train(
            recipe.preset, data, run, config=config, overrides=overrides, resume=resume, device=device, console=console
        )
    except KeyboardInterrupt:
        console.print("The same command goes on from there.")
        raise
    return run / "last.safetensors"


def _digest(dataset: Dataset, recipe: Recipe, folds: int) -> str:
    """Another one for other pictures, annotations, settings, or layout."""
    what = f"coco {fingerprint(dataset)} {dataset.class_names} {folds} {recipe.is_run}\n{to_toml(recipe.config)}"
    return hashlib.blake2b(what.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
