"""What an evaluation found: kept, tabulated for the console, and written as metrics.json and per_class.csv."""

import csv
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from frcnn.evaluation.average_precision import ClassResult, VocResult
from frcnn.files import make_folder, write_text
from frcnn.structures import Detections


@dataclass(frozen=True)
class Evaluation:
    """A model's results on a data set; `detections` are in the data set's order, in original pixels."""

    result: VocResult
    detections: tuple[Detections, ...]
    losses: dict[str, float]  # mean over the pictures; empty where they were not asked for
    score_threshold: float  # the model's own: VOC AP rises when it is lowered
    seconds_per_image: float
    skipped_boxes: int = 0  # bad boxes of the data set that were left out, where that was asked for

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
        return {
            "voc07_map": self.result.voc07_map,
            "voc_map": self.result.voc_map,
            "per_class": {name: class_row(result) for name, result in self.result.per_class.items()},
            "losses": {name: loss if math.isfinite(loss) else None for name, loss in self.losses.items()},
            "images": self.images,
            "objects": self.objects,
            "skipped_boxes": self.skipped_boxes,
            "score_threshold": self.score_threshold,
            "seconds_per_image": self.seconds_per_image,
        }

    def to_table(self) -> Table:
        """The classes, best first, with their means in the last line: for the console."""
        table = Table(title=self._title(), caption=self._caption(), title_justify="left", caption_justify="left")
        table.add_column("class", footer="mean")
        for name, footer in (
            ("VOC07 AP", _three_digits(self.result.voc07_map)),
            ("VOC AP", _three_digits(self.result.voc_map)),
            ("recall", ""),
            ("objects", str(self.objects)),
            ("detections", str(sum(len(found) for found in self.detections))),
        ):
            table.add_column(name, footer=footer, justify="right")
        table.show_footer = True
        for name, result in ranked(self.result):
            values = class_row(result)
            fractions = [_three_digits(values[key]) for key in ("voc07_ap", "voc_ap", "recall")]
            table.add_row(escape(name), *fractions, str(result.objects), str(result.detections))
        return table

    def _title(self) -> str:
        skipped = f" ({self.skipped_boxes} bad boxes left out)" if self.skipped_boxes else ""
        objects = f"{self.objects} objects{skipped}"
        return f"{self.images} pictures, {objects}, detections scored above {self.score_threshold:g}"

    def _caption(self) -> str:
        losses = "  ".join(f"{name} {loss:.4f}" for name, loss in self.losses.items())
        return f"{self.seconds_per_image:.3f} s a picture" + (f"  losses: {losses}" if losses else "")


def ranked(result: VocResult) -> list[tuple[str, ClassResult]]:
    """The classes with the best VOC07 AP first, those without objects last."""
    return sorted(result.per_class.items(), key=_from_best)


def _from_best(item: tuple[str, ClassResult]) -> float:
    return 1.0 if item[1].voc07_ap is None else -item[1].voc07_ap


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write metrics.json and per_class.csv into `folder`, making it; each file whole or not at all.

    Raises FrcnnError, naming the file, where the disk refuses.
    """
    make_folder(folder)
    write_text(folder / "per_class.csv", _per_class_csv(evaluation.result))
    write_text(folder / "metrics.json", json.dumps(evaluation.metrics_dict(), indent=2, allow_nan=False) + "\n")


def class_row(result: ClassResult) -> dict[str, float | int | None]:
    """A class in numbers; `recall` is the share of the objects that were found at any score."""
    recall = None if result.objects == 0 else float(result.recall[-1]) if len(result.recall) else 0.0
    return {
        "voc07_ap": result.voc07_ap,
        "voc_ap": result.voc_ap,
        "recall": recall,
        "objects": result.objects,
        "detections": result.detections,
    }


def _per_class_csv(result: VocResult) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("class", "voc07_ap", "voc_ap", "recall", "objects", "detections"))
    for name, of_class in result.per_class.items():
        writer.writerow((name, *class_row(of_class).values()))  # None becomes an empty cell
    return text.getvalue()


def _three_digits(value: float | int | None) -> str:
    return "-" if value is None else f"{value:.3f}"
