"""Find the annotations of a data set that are probably wrong: what the console and the library call."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from frcnn.config import override_sections
from frcnn.data.dataset import BadBoxes, Dataset, load_dataset, split_to_learn, training_splits
from frcnn.device import Precision, check_precision, choose_device
from frcnn.errors import UsageError
from frcnn.evaluation.run import Progress, evaluate_model
from frcnn.files import file_in_the_way, make_folder, require_writable, write_text, written_whole
from frcnn.model.detector import FasterRCNN
from frcnn.predict import open_model
from frcnn.progress import progress_bar
from frcnn.structures import Detections
from frcnn.suspects.evidence import LEAST_SCORE
from frcnn.suspects.findings import Suspects
from frcnn.suspects.folds import cross_validated, recipe_of
from frcnn.suspects.page import page
from frcnn.suspects.ranking import rank
from frcnn.suspects.suspect import suspects_of
from frcnn.suspects.words import words
from frcnn.texts import Language, Texts

DETECTIONS = 300  # of a picture: low scores tell what a model would not rule out


def find_suspects(
    model: str | Path,
    data: Path | str | Sequence[Path | str],
    split: str | None = None,
    out: Path | str | None = "runs/suspects",
    *,
    folds: int = 0,
    top: int = 200,
    language: Language = "en",
    overrides: Sequence[str] = (),
    bad_boxes: BadBoxes = "refuse",
    batch_size: int = 1,
    workers: int = 2,
    device: str = "auto",
    precision: Precision = "float32",
    progress: bool = False,
    console: Console | None = None,
) -> Suspects:
    """Rank at most `top` annotations of a split that are probably wrong; suspects.html and suspects.csv go into `out`.

    `model` is a model file or a preset with published weights, which must not have been trained on the split (`test`
    unless another is named). With `folds` it tells how to train that many models instead, each of which looks at
    pictures that it was not trained on: of the named split, or of all but `test`; `overrides` are then settings as for
    `train`. Raises FrcnnError for what cannot be used.
    """
    paths = [Path(path) for path in ([data] if isinstance(data, (str, Path)) else data)]
    where, say = None if out is None else Path(out), words(language)
    _check_request(split, where, folds, top, overrides)
    check_precision(precision)
    choose_device(device)
    how = {"batch_size": batch_size, "workers": workers, "precision": precision}

    def detect(network: FasterRCNN, pictures: Dataset) -> list[Detections]:
        with progress_bar("detecting", shown=progress) as advance:
            return detections_of(network.to(choose_device(device)), pictures, **how, progress=advance)

    if folds and where is not None:
        recipe = recipe_of(model, overrides)
        dataset = _training_part(paths, split, bad_boxes)
        speaker = console or Console(stderr=True)
        detections = cross_validated(dataset, recipe, folds, where, detect, device, speaker)
    else:
        network = open_model(model)
        dataset = load_dataset(paths, split or "test", network.class_names, bad_boxes)
        detections = detect(network, dataset)
    named = split or (None if folds else "test")
    findings = _findings(detections, dataset, top, str(model), paths, named, folds)
    return findings if where is None else _written(findings, dataset, where, say)


def detections_of(
    model: FasterRCNN,
    dataset: Dataset,
    *,
    batch_size: int = 1,
    workers: int = 0,
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> list[Detections]:
    """On every picture, down to scores that say next to nothing; the model's classes are the data set's."""
    config = model.config
    head = {"score_threshold": LEAST_SCORE, "max_detections": max(DETECTIONS, config.head.max_detections)}
    asked = copy.copy(model)  # the same weights; the model handed in stays as it is
    asked.config = override_sections(config, {"head": head})
    evaluation = evaluate_model(
        asked,
        dataset,
        batch_size=batch_size,
        workers=workers,
        precision=precision,
        with_losses=False,
        progress=progress,
    )
    return list(evaluation.detections)


def _check_request(split: str | None, out: Path | None, folds: int, top: int, overrides: Sequence[str]) -> None:
    """Refuse what cannot end well before anything is read."""
    if out is not None and (file := file_in_the_way(out)):
        raise UsageError(f"{file}: is a file; name a folder for the results")
    if out is not None:
        require_writable(out)
    if top < 1:
        raise UsageError(f"--top {top}: ask for 1 or more")
    if folds < 0 or folds == 1:
        raise UsageError(f"--folds {folds}: it takes at least 2 parts, one to look at and one to train on")
    if folds and split == "test":
        raise UsageError("--folds trains on the pictures, and nothing is ever trained on test: name another --split")
    if folds and out is None:
        raise UsageError("--folds needs a folder for its trainings: name one with --out")
    if overrides and not folds:
        raise UsageError("--set is for the trainings of --folds: add --folds, or leave it out")


def _training_part(paths: Sequence[Path], split: str | None, bad_boxes: BadBoxes) -> Dataset:
    """What a training would learn from: everything, or the split that is named, but nothing of `test`."""
    if split is not None:
        return split_to_learn(paths, split, bad_boxes)
    return training_splits(paths, validation=0, seed=0, bad_boxes=bad_boxes)[0]


def _findings(
    detections: Sequence[Detections],
    dataset: Dataset,
    top: int,
    model: str,
    paths: Sequence[Path],
    split: str | None,
    folds: int,
) -> Suspects:
    targets = [example.target for example in dataset.examples]
    suspicions = rank(detections, targets, dataset.sizes, len(dataset.class_names))[:top]
    return Suspects(
        suspects=suspects_of(suspicions, detections, dataset),
        model=model,
        data=tuple(paths),
        split=split,
        folds=folds,
        pictures=len(dataset),
        objects=dataset.count_learnt(),
    )


def _written(findings: Suspects, dataset: Dataset, out: Path, say: Texts) -> Suspects:
    """Both files whole, the page last."""
    findings = replace(findings, page=make_folder(out) / "suspects.html")
    with written_whole(out / "suspects.csv") as aside:  # names of files may hold bytes that are no text: they stay
        aside.write_text(findings.to_csv(say), encoding="utf-8", errors="surrogateescape")
    write_text(out / "suspects.html", page(findings, dataset, say))
    return findings
