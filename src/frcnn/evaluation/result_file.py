"""Detections that another program has written in COCO's format, scored like our own. No picture is needed."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from frcnn.data.dataset import BadBoxes, Dataset, load_dataset, open_sets
from frcnn.data.examples import Example
from frcnn.data.index import NO_IDENTITY, OpenSet
from frcnn.data.pictures import read_size
from frcnn.errors import DataError
from frcnn.evaluation.analysis import analyse
from frcnn.evaluation.average_precision import evaluate_detections
from frcnn.evaluation.coco_results import read_coco_results
from frcnn.evaluation.operating_points import threshold_shown
from frcnn.evaluation.reporting.evaluated import Evaluated
from frcnn.evaluation.results import Evaluation
from frcnn.naming import some_names


def evaluate_result_file(
    path: Path, paths: Sequence[Path], split: str, score_threshold: float | None, bad_boxes: BadBoxes
) -> Evaluated:
    """Score the detections of a result file on a split of a COCO data set; those below the threshold are left out.

    Raises DataError where the data set has no ids, or the file names others.
    """
    sets = open_sets(paths)
    if len(sets) != 1 or sets[0].index.kind != "coco":
        raise DataError(f"{path}: names pictures and classes by COCO's ids: --data must be one data set in that format")
    dataset = by_identity(load_dataset(paths, split, bad_boxes=bad_boxes))
    results = read_coco_results(path)
    _require_one_meaning(path, sets[0], dataset)
    ids = [example.identity for example in dataset.examples]
    found = results.detections(ids, sets[0].index.classes_by_id(), dataset.class_names)
    if score_threshold is not None:
        found = [detections[detections.scores > score_threshold] for detections in found]
    targets = [example.target for example in dataset.examples]
    evaluation = Evaluation(
        result=evaluate_detections(found, targets, dataset.class_names),
        detections=tuple(found),
        losses={},
        score_threshold=score_threshold,
        seconds_per_image=None,
        skipped_boxes=dataset.skipped_boxes,
        analysis=analyse(found, targets, dataset.class_names, dataset.areas(), threshold_shown(score_threshold)),
    )
    return Evaluated(dataset, evaluation, split)


def of_another_size(dataset: Dataset) -> tuple[Path, ...]:
    """The pictures that a person sees in another size than the data set says, so that boxes would lie elsewhere."""
    return tuple(example.picture for example in dataset.examples if _size(example) not in (None, example.size))


def _size(example: Example) -> tuple[int, int] | None:
    """(height, width) of the file; None without one."""
    try:
        return read_size(example.picture)
    except DataError:
        return None


def _require_one_meaning(path: Path, one: OpenSet, dataset: Dataset) -> None:
    """Raises DataError where an id of the result file may mean two classes, or two pictures."""
    if len(one.index.category_ids) != len(one.index.class_names):
        names = one.index.annotation_names
        files = some_names([names[number] for number in range(len(names))])
        raise DataError(
            f"{one.root}: the category ids of its files ({files}) are not the same, so that those of {path} may mean "
            "either: name the JSON file of the split as --data"
        )
    for first, second in pairwise(dataset.examples):
        if first.identity == second.identity:
            raise DataError(
                f"{second.annotation}: has an image of the id {second.identity}, and so has {first.annotation}, so "
                f"that those of {path} may mean either: name one of the JSON files as --data"
            )


def by_identity(dataset: Dataset) -> Dataset:
    """The pictures in the order of their ids, as COCO's own evaluation takes them: it decides between equal scores."""
    examples = sorted(dataset.examples, key=lambda example: example.identity)
    if examples[0].identity == NO_IDENTITY:
        raise ValueError("the pictures have no ids")
    return Dataset(tuple(examples), dataset.class_names, dataset.skipped_boxes)
