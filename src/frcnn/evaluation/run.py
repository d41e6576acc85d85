"""Run a model over a data set and score it: the one way by which training, the console and the library evaluate."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from frcnn.data.dataset import BadBoxes, Dataset, load_dataset
from frcnn.data.loading import evaluation_batches
from frcnn.device import Precision, autocast, check_precision, choose_device
from frcnn.errors import DataError, UsageError
from frcnn.evaluation.analysis import analyse
from frcnn.evaluation.average_precision import evaluate_detections
from frcnn.evaluation.mode import evaluation_mode
from frcnn.evaluation.operating_points import threshold_shown
from frcnn.evaluation.proposal_recall import RecallTally, counts_up_to
from frcnn.evaluation.reporting.evaluated import Evaluated
from frcnn.evaluation.reporting.report import run_of, write_results
from frcnn.evaluation.reporting.texts import texts
from frcnn.evaluation.result_file import evaluate_result_file, of_another_size
from frcnn.evaluation.results import Evaluation
from frcnn.files import file_in_the_way, require_writable
from frcnn.model.detector import FasterRCNN
from frcnn.predict import open_model, with_score_threshold
from frcnn.structures import Detections, Losses, Target
from frcnn.texts import Language

Progress = Callable[[int, int], None]  # pictures done, pictures in all


@dataclass
class _Tally:
    """What has been gathered so far, picture by picture."""

    recall: RecallTally
    detections: list[Detections] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)  # summed over the pictures
    seconds: float = 0.0  # in the model alone, without loading and losses

    def add_losses(self, losses: Losses, pictures: int) -> None:
        for name, loss in losses.as_dict().items():
            self.losses[name] = self.losses.get(name, 0.0) + float(loss) * pictures


def evaluate(
    model: FasterRCNN | Path | str,
    data: Path | str | Sequence[Path | str],
    split: str = "test",
    out: Path | str | None = None,
    *,
    bad_boxes: BadBoxes = "refuse",
    batch_size: int = 1,
    workers: int = 2,
    device: str = "auto",
    precision: Precision = "float32",
    score_threshold: float | None = None,
    language: Language = "en",
    progress: Progress | None = None,
) -> Evaluation:
    """Score a model, or MODEL of the command line, on a split of a data set read with the model's own classes.

    MODEL may also be a result file in COCO's format (.json), for which no pictures are needed. A model handed in runs
    where it is; one from a file runs on `device`. `out` is a folder for metrics.json, per_class.csv, pictures of the
    curves, the confusion and the errors, and report.html in `language`, which tells of the training as well where the
    model lies in a run; `score_threshold` takes the place of the model's own (of a result file, what scores above it
    counts); `bad_boxes` as in `data.bad_boxes`.
    Raises FrcnnError for what cannot be used.
    """
    texts(language)
    if out is not None and (file := file_in_the_way(Path(out))):
        raise UsageError(f"{file}: is a file; name a folder for the results")
    if out is not None:
        require_writable(Path(out))
    check_precision(precision)
    paths = [Path(path) for path in ([data] if isinstance(data, (str, Path)) else data)]
    if isinstance(model, (str, Path)) and Path(model).suffix.lower() == ".json":
        evaluated = evaluate_result_file(Path(model), paths, split, score_threshold, bad_boxes)
        if out is not None:
            misfits = of_another_size(evaluated.dataset)  # what a model looks at has been found to fit
            evaluated = replace(evaluated, evaluation=replace(evaluated.evaluation, misfits=misfits))
            write_results(Path(out), evaluated, language=language)
        return evaluated.evaluation
    where = choose_device(device)
    network = model if isinstance(model, FasterRCNN) else open_model(model).to(where)
    network = with_score_threshold(network, score_threshold)
    dataset = load_dataset(paths, split, network.class_names, bad_boxes=bad_boxes)
    evaluation = evaluate_model(
        network,
        dataset,
        batch_size=batch_size,
        workers=workers,
        precision=precision,
        progress=progress,
    )
    targets = [example.target for example in dataset.examples]
    shown = threshold_shown(evaluation.score_threshold)
    analysis = analyse(evaluation.detections, targets, dataset.class_names, dataset.areas(), shown)
    evaluation = replace(evaluation, analysis=analysis)
    if out is not None:
        write_results(Path(out), Evaluated(dataset, evaluation, split), run_of(model), language)
    return evaluation


@torch.no_grad()
def evaluate_model(
    model: FasterRCNN,
    dataset: Dataset,
    *,
    batch_size: int = 1,
    workers: int = 0,
    precision: Precision = "float32",
    with_losses: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Detect on every picture, in the data set's order, where the model is; its mode is left as it was.

    It is scored by VOC's rules and by what its proposals reach, which is quick: `analyse` tells the rest. The losses
    are those of training, with anchors and proposals drawn from `seed`: they cost a second pass.
    """
    if tuple(dataset.class_names) != tuple(model.class_names):
        raise DataError("the data set's classes are not the model's: load it with the model's class names")
    device, number = next(model.parameters()).device, next(model.parameters()).dtype
    generator = torch.Generator().manual_seed(seed)
    tally, total = _Tally(RecallTally(counts_up_to(model.config.rpn.after_nms_test))), len(dataset.examples)
    batches = evaluation_batches(dataset, batch_size, workers)
    with closing(batches), evaluation_mode(model), autocast(device, precision):
        for batch in batches:
            images = [image.to(number) for image in batch.images_on(device)]
            _detect(model, images, batch.targets, tally)
            if with_losses:
                targets = [target.to(device) for target in batch.targets]
                tally.add_losses(model(images, targets, generator=generator), len(images))
            if progress is not None:
                progress(len(tally.detections), total)
    return _summary(model, dataset, tally)


def _detect(model: FasterRCNN, images: Sequence[Tensor], targets: Sequence[Target], tally: _Tally) -> None:
    """Timed with the way back to the processor, which waits until the device is done."""
    start = time.perf_counter()
    found = [(detections.to("cpu"), proposals.cpu()) for detections, proposals in model.find(images)]
    tally.seconds += time.perf_counter() - start
    for (detections, proposals), target in zip(found, targets, strict=True):
        tally.detections.append(detections)
        tally.recall.add(target, proposals)


def _summary(model: FasterRCNN, dataset: Dataset, tally: _Tally) -> Evaluation:
    targets = [example.target for example in dataset.examples]
    images = max(len(targets), 1)
    return Evaluation(
        result=evaluate_detections(tally.detections, targets, dataset.class_names),
        detections=tuple(tally.detections),
        losses={name: loss / images for name, loss in tally.losses.items()},
        score_threshold=model.config.head.score_threshold,
        seconds_per_image=tally.seconds / images,
        skipped_boxes=dataset.skipped_boxes,
        proposal_recall=tally.recall.of_all(),
    )
