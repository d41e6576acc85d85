"""What an evaluation found: kept, and written as metrics.json, per_class.csv and two pictures."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from frcnn.csv_text import as_csv
from frcnn.evaluation.analysis import Analysis
from frcnn.evaluation.average_precision import ClassResult, VocResult
from frcnn.evaluation.plots import draw_confusion, draw_curves
from frcnn.evaluation.proposal_recall import ProposalRecall
from frcnn.evaluation.summary import summary, three_digits
from frcnn.files import make_folder, write_text, written_whole
from frcnn.naming import counted, some_names, visible
from frcnn.structures import Detections

Row = dict[str, float | int | None]

VOC_COLUMNS = {
    "voc07_ap": "VOC07\nAP",
    "voc_ap": "VOC\nAP",
    "recall": "\nrecall",
    "objects": "\nobjects",
    "detections": "\ndetections",
}  # of the console's table, and their headings
COLUMNS = {
    "voc07_ap": "VOC07\nAP",
    "voc_ap": "VOC\nAP",
    "ap": "COCO\nAP",
    "ap50": "COCO\nAP50",
    "recall": "\nrecall",
    "best_f1": "best\nF1",
    "best_threshold": "from\nscore",
    "objects": "\nobjects",
}  # no more than fit a console of 80 columns


@dataclass(frozen=True)
class Evaluation:
    """A model's results on a data set; `detections` are in the data set's order, in original pixels."""

    result: VocResult
    detections: tuple[Detections, ...]
    losses: dict[str, float]  # mean over the pictures; empty where they were not asked for
    score_threshold: float | None  # the model's own: VOC AP rises when it is lowered; None for detections of a file
    seconds_per_image: float | None
    skipped_boxes: int = 0  # bad boxes of the data set that were left out, where that was asked for
    analysis: Analysis | None = None  # None where VOC's figures alone were asked for
    proposal_recall: ProposalRecall | None = None
    misfits: tuple[Path, ...] = ()  # pictures that could not be drawn, being of another size than is said of them

    @property
    def images(self) -> int:
        """How many pictures were looked at."""
        return len(self.detections)

    @property
    def objects(self) -> int:
        """How many objects there were to find, not counting the ignored ones."""
        return sum(result.objects for result in self.result.per_class.values())

    def metrics_dict(self) -> dict[str, Any]:
        """What metrics.json holds: fractions in [0, 1], seconds, and null for what is not defined."""
        metrics = {
            "voc07_map": self.result.voc07_map,
            "voc_map": self.result.voc_map,
            "per_class": self.class_rows(),
            "losses": {name: loss if math.isfinite(loss) else None for name, loss in self.losses.items()},
            "images": self.images,
            "objects": self.objects,
            "skipped_boxes": self.skipped_boxes,
            "score_threshold": self.score_threshold,
            "seconds_per_image": self.seconds_per_image,
        }
        if self.analysis is not None:
            metrics |= self.analysis.metrics_dict()
        if self.proposal_recall is not None:
            metrics["proposal_recall"] = self.proposal_recall.as_dict()
        return metrics

    def class_rows(self) -> dict[str, Row]:
        """Each class in numbers: VOC's, then what the analysis tells."""
        return {
            name: class_row(result) | ({} if self.analysis is None else self.analysis.class_row(name))
            for name, result in self.result.per_class.items()
        }

    def to_table(self) -> Group:
        """What was looked at, the classes, best first, with their means, and a few lines: for the console."""
        columns = VOC_COLUMNS if self.analysis is None else COLUMNS
        table = Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True, show_footer=True)
        table.add_column("\nclass", footer="mean", overflow="fold")
        footers = self._means() | {"objects": self.objects, "detections": sum(map(len, self.detections))}
        for key, heading in columns.items():
            table.add_column(heading, footer=_shown(footers.get(key, "")), justify="right")
        rows = self.class_rows()
        for name, _ in ranked(self.result):
            table.add_row(Text(visible(name)), *(_shown(rows[name][key]) for key in columns))
        return Group(Text(self._title()), table, Text("\n".join(self._lines())))

    def describe_misfits(self) -> str:
        """In a line; empty where there are none."""
        if not self.misfits:
            return ""
        pictures = f"{counted(len(self.misfits), 'picture')} ({some_names([path.name for path in self.misfits])})"
        are, their = ("is", "its annotation says") if len(self.misfits) == 1 else ("are", "their annotations say")
        return f"{pictures} {are} not of the size that {their}, and not drawn: frcnn data check tells such pictures"

    def _means(self) -> Row:
        means: Row = {"voc07_ap": self.result.voc07_map, "voc_ap": self.result.voc_map}
        if self.analysis is not None:
            means |= {"ap": self.analysis.coco.ap, "ap50": self.analysis.coco.ap50}
        return means

    def _title(self) -> str:
        skipped = f" ({self.skipped_boxes} bad boxes left out)" if self.skipped_boxes else ""
        objects = f"{self.objects} objects{skipped}"
        above = "" if self.score_threshold is None else f" scored above {self.score_threshold:g}"
        return f"{self.images} pictures, {objects}, detections{above}"

    def _lines(self) -> list[str]:
        losses = "  ".join(f"{name} {loss:.4f}" for name, loss in self.losses.items())
        time = [] if self.seconds_per_image is None else [f"{self.seconds_per_image:.3f} s a picture"]
        last = "  ".join(time + ([f"losses: {losses}"] if losses else []))
        analysed = [] if self.analysis is None else summary(self.analysis)
        proposals = "" if self.proposal_recall is None else self.proposal_recall.describe()
        return [line for line in (*analysed, proposals, last) if line]


def ranked(result: VocResult) -> list[tuple[str, ClassResult]]:
    """The classes with the best VOC07 AP first, those without objects last."""
    return sorted(result.per_class.items(), key=_from_best)


def _from_best(item: tuple[str, ClassResult]) -> float:
    return 1.0 if item[1].voc07_ap is None else -item[1].voc07_ap


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write what is known into `folder`, making it; each file whole or not at all, metrics.json last.

    Raises FrcnnError, naming the file, where the disk refuses.
    """
    make_folder(folder)
    write_text(folder / "per_class.csv", _per_class_csv(evaluation.class_rows()))
    if evaluation.analysis is not None:
        curves = draw_curves(evaluation.result, evaluation.analysis.operating_points)
        _write_picture(folder / "pr_curves.png", curves)
        _write_picture(folder / "confusion.png", draw_confusion(evaluation.analysis.confusion))
    write_text(folder / "metrics.json", json.dumps(evaluation.metrics_dict(), indent=2, allow_nan=False) + "\n")


def class_row(result: ClassResult) -> Row:
    """A class in VOC's numbers; `recall` is the share of the objects that were found at any score."""
    recall = None if result.objects == 0 else float(result.recall[-1]) if len(result.recall) else 0.0
    return {
        "voc07_ap": result.voc07_ap,
        "voc_ap": result.voc_ap,
        "recall": recall,
        "objects": result.objects,
        "detections": result.detections,
    }


def _per_class_csv(rows: Mapping[str, Row]) -> str:
    columns = ("class", *next(iter(rows.values()), {}))
    return as_csv(columns, ((name, *row.values()) for name, row in rows.items()))


def _write_picture(path: Path, picture: Image.Image) -> None:
    with written_whole(path) as aside:
        picture.save(aside, "PNG")


def _shown(value: float | int | str | None) -> str:
    """Three digits of a fraction; whole numbers and words as they are."""
    return str(value) if isinstance(value, (int, str)) else three_digits(value)
