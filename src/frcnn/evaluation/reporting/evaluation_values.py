"""What the page says of an evaluation: figures, curves, errors and pictures."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from frcnn.cropping import css
from frcnn.evaluation.analysis import Analysis
from frcnn.evaluation.error_types import Fate, Verdict
from frcnn.evaluation.reporting.colours import KIND_COLOURS
from frcnn.evaluation.reporting.curves import calibration_chart, curve_cards
from frcnn.evaluation.reporting.judged import KINDS, MISSED, Judged, JudgedPicture
from frcnn.evaluation.reporting.matrix import confusion_matrix, pairs_table
from frcnn.evaluation.reporting.pictures import DrawnPicture, drawn
from frcnn.evaluation.reporting.tables import class_table, coco_rows, error_table, recall_table, three_digits
from frcnn.evaluation.reporting.training_values import Named
from frcnn.evaluation.results import Evaluation
from frcnn.naming import some_names
from frcnn.texts import Texts

WORST_PICTURES = 6  # of each kind of error
ORDINARY_PICTURES = 6


class PictureGroup(NamedTuple):
    """Pictures with a heading in common."""

    title: str
    colour: str  # none for ordinary ones
    pictures: Sequence[DrawnPicture]


def evaluation_tiles(evaluation: Evaluation, analysis: Analysis, say: Texts) -> Named:
    """The numbers looked for first."""
    tiles = [
        (say("tile.voc07"), three_digits(evaluation.result.voc07_map)),
        (say("tile.voc"), three_digits(evaluation.result.voc_map)),
        (say("tile.coco"), three_digits(analysis.coco.ap)),
        (say("tile.images"), f"{evaluation.images:,}"),
    ]
    if evaluation.seconds_per_image is not None:
        milliseconds = say("tile.milliseconds", number=f"{evaluation.seconds_per_image * 1000:.0f}")
        tiles.append((say("tile.seconds"), milliseconds))
    return tiles


def evaluation_values(evaluation: Evaluation, analysis: Analysis, say: Texts) -> dict[str, Any]:
    """All that needs no picture."""
    recall = evaluation.proposal_recall
    cards = curve_cards(evaluation.result, analysis.operating_points, say)
    return {
        "evaluated": _evaluated(evaluation, say),
        "class_table": class_table(evaluation, analysis, say),
        "coco": coco_rows(analysis.coco, say),
        "losses": [(say(f"loss.{name}"), f"{loss:.4f}") for name, loss in evaluation.losses.items()],
        "recall_table": None if recall is None else recall_table(recall, say),
        "curves": cards,
        "some_curves": _some_curves(evaluation, len(cards), say),
        "errors": _errors_in_words(analysis, say),
        "error_table": error_table(analysis, say),
        "matrix": confusion_matrix(analysis.confusion, say),
        "pairs_table": pairs_table(analysis.confusion, say),
        "confusion_threshold": f"{analysis.confusion.threshold:.3f}",
        "calibration": calibration_chart(analysis.calibration, say),
        "calibration_error": three_digits(analysis.calibration.expected_error),
    }


def picture_values(judged: Judged, say: Texts) -> dict[str, Any]:
    """The worst pictures of each kind of error, and some ordinary ones, with what their colours mean."""
    worst = {kind: [judged.picture(number) for number in judged.worst(kind, WORST_PICTURES)] for kind in KINDS}
    ordinary = [judged.picture(number) for number in judged.ordinary(ORDINARY_PICTURES)]
    groups = [
        PictureGroup(
            say("picture.worst", kind=say(f"kind.{kind}"), meaning=say(f"meaning.{kind}")),
            css(KIND_COLOURS[kind]),
            drawn(pictures, kind, say),
        )
        for kind, pictures in worst.items()
    ]
    groups.append(PictureGroup(say("picture.ordinary"), "", drawn(ordinary, None, say)))
    shown = [*ordinary, *(picture for pictures in worst.values() for picture in pictures)]
    return {
        "groups": [group for group in groups if group.pictures],
        "legend": [(say(f"kind.{kind}"), css(KIND_COLOURS[kind])) for kind in _kinds_in(shown)],
        "missed_colour": css(KIND_COLOURS[MISSED]),
        "any_ignored": any(picture.with_fate(Fate.IGNORED) for picture in shown),
        "shown_from": f"{judged.errors.threshold:.3f}",
    }


def _kinds_in(pictures: Sequence[JudgedPicture]) -> list[str]:
    """The verdicts that are drawn, right ones first."""
    kinds = (Verdict.RIGHT.key, *KINDS[:-1])
    return [kind for kind in kinds if any(picture.of_kind(kind) for picture in pictures)]


def _evaluated(evaluation: Evaluation, say: Texts) -> str:
    """What was looked at, and what counts."""
    parts = [say("quality.evaluated", images=f"{evaluation.images:,}", objects=f"{evaluation.objects:,}")]
    if evaluation.score_threshold is not None:
        parts.append(say("quality.score", threshold=f"{evaluation.score_threshold:g}"))
    if evaluation.skipped_boxes:
        parts.append(say("quality.skipped", number=f"{evaluation.skipped_boxes:,}"))
    if evaluation.misfits:
        names = some_names([path.name for path in evaluation.misfits])
        parts.append(say("quality.misfits", number=f"{len(evaluation.misfits):,}", names=names))
    return " ".join(parts)


def _some_curves(evaluation: Evaluation, shown: int, say: Texts) -> str:
    with_objects = sum(of_class.objects > 0 for of_class in evaluation.result.per_class.values())
    return "" if shown == with_objects else say("quality.some_curves", number=shown)


def _errors_in_words(analysis: Analysis, say: Texts) -> str:
    """From which score they are counted, and how much is right."""
    errors, points = analysis.errors, analysis.operating_points.all
    key = "errors.default" if points is None or points.best is None else "errors.best"
    counts = {name: f"{errors.counts[name]:,}" for name in ("right", "missed", "ignored")}
    return " ".join([say(key, threshold=f"{errors.threshold:.3f}"), say("errors.counts", **counts), say("errors.cost")])
