"""The tables of the page: each cell is what is read and what its column is sorted by."""

from collections.abc import Sequence
from typing import NamedTuple

from frcnn.cropping import css
from frcnn.drawing import class_colour
from frcnn.evaluation.analysis import Analysis
from frcnn.evaluation.coco import CocoFigures
from frcnn.evaluation.proposal_recall import ProposalRecall
from frcnn.evaluation.reporting.colours import KIND_COLOURS
from frcnn.evaluation.reporting.judged import KINDS
from frcnn.evaluation.results import Evaluation, class_row, ranked
from frcnn.texts import Texts

CLASS_COLUMNS = (
    "voc07_ap", "voc_ap", "ap", "ap50", "ap_small", "ap_medium", "ap_large",
    "best_f1", "best_threshold", "best_precision", "best_recall", "objects",
)  # fmt: skip
LAST = -1.0  # below every figure: what is not defined stands at the end, best first


class Cell(NamedTuple):
    """Words are sorted by the alphabet, numbers from the largest; `share` is a bar, `colour` a spot before the text."""

    text: str
    value: float | str
    share: float | None = None
    colour: str = ""


class Table(NamedTuple):
    """Rows below headings that sort them; the footer, where there is one, stays below."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    footer: Sequence[str] = ()


def class_table(evaluation: Evaluation, analysis: Analysis, say: Texts) -> Table:
    """Every class in figures, best first; below them the means, and F1 with one threshold for all."""
    ids = {name: number for number, name in enumerate(evaluation.result.per_class)}
    figures = {name: class_row(of) | analysis.class_row(name) for name, of in evaluation.result.per_class.items()}
    rows = [
        [
            Cell(name, name, colour=css(class_colour(ids[name]))),
            _with_bar(figures[name]["voc07_ap"]),
            *(figure(figures[name][column]) for column in CLASS_COLUMNS[1:]),
        ]
        for name, _ in ranked(evaluation.result)
    ]
    headings = [say("column.class"), *(say(f"column.{column}") for column in CLASS_COLUMNS)]
    footer = _of_all(evaluation, analysis)
    return Table(headings, rows, [say("column.all"), *(figure(footer.get(key)).text for key in CLASS_COLUMNS)])


def coco_rows(figures: CocoFigures, say: Texts) -> list[tuple[str, str]]:
    """COCO's twelve, by their names."""
    return [(say(f"coco.{name}"), three_digits(value)) for name, value in figures.as_dict().items()]


def error_table(analysis: Analysis, say: Texts) -> Table:
    """Each kind of error: how many there are, and what they cost."""
    costs = analysis.error_costs or {}
    rows = [
        [
            Cell(say(f"kind.{kind}"), say(f"kind.{kind}"), colour=css(KIND_COLOURS[kind])),
            figure(analysis.errors.counts[kind]),
            figure(costs.get(kind)),
            Cell(say(f"meaning.{kind}"), say(f"meaning.{kind}")),
        ]
        for kind in KINDS
    ]
    return Table([say(f"column.{name}") for name in ("kind", "count", "cost", "meaning")], rows)


def recall_table(recall: ProposalRecall, say: Texts) -> Table:
    """A row for each count of proposals."""
    thresholds = [say("column.iou", threshold=f"{threshold:g}") for threshold in recall.thresholds]
    rows = [
        [figure(count), *(figure(of_threshold[row]) for of_threshold in recall.recall), figure(average)]
        for row, (count, average) in enumerate(zip(recall.counts, recall.average_recall, strict=True))
    ]
    return Table([say("column.proposals"), *thresholds, say("column.average_recall")], rows)


def figure(value: float | int | None) -> Cell:
    """A fraction with three digits, a whole number as it is, a dash for what is not defined."""
    return Cell(f"{value:,}" if isinstance(value, int) else three_digits(value), LAST if value is None else value)


def three_digits(value: float | None) -> str:
    """A fraction, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def _with_bar(value: float | int | None) -> Cell:
    return figure(value)._replace(share=value or 0.0)


def _of_all(evaluation: Evaluation, analysis: Analysis) -> dict[str, float | int | None]:
    """Of all classes together, by the columns of the table."""
    points = analysis.operating_points.all
    best = {} if points is None or points.best is None else points.best.as_dict()
    return {
        "voc07_ap": evaluation.result.voc07_map,
        "voc_ap": evaluation.result.voc_map,
        **analysis.coco.as_dict(),
        **{f"best_{name}": value for name, value in best.items()},
        "objects": evaluation.objects,
    }
