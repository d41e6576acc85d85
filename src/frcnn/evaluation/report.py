"""report.html: one page that tells a run, with nothing outside it, for a desk and a phone."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from frcnn.config import Config, load_config, to_toml
from frcnn.data.dataset import Dataset, Example
from frcnn.data.pictures import read_picture
from frcnn.drawing import class_colour, draw_detections
from frcnn.evaluation.average_precision import FALSE_POSITIVE, TRUE_POSITIVE, judge_picture
from frcnn.evaluation.charts import Series, curve, line_chart, smoothed
from frcnn.evaluation.history import History, column, read_history
from frcnn.evaluation.results import Evaluation, class_row, ranked
from frcnn.files import write_text
from frcnn.structures import Detections, Target

SHOWN_ABOVE = 0.5  # score of the detections that are drawn: below it most are doubts, and hide the picture
PICTURE_SIDE = 640  # pixels of a drawn picture's long side
LARGEST_ENLARGEMENT = 4
JPEG_QUALITY = 85
LOSS_TITLES = {
    "total": "Loss, all four together",
    "rpn_objectness": "RPN: object or not",
    "rpn_box": "RPN: boxes",
    "head_class": "Head: classes",
    "head_box": "Head: boxes",
}


class Chart(NamedTuple):
    """A chart with its heading; `keys` are (kind, name) of its lines, none where the heading says enough."""

    title: str
    svg: Markup
    keys: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class DrawnPicture:
    """A picture in the page, as base64 JPEG."""

    name: str
    jpeg: str
    width: int
    height: int
    caption: str
    alt: str


def write_report(
    run_folder: Path, dataset: Dataset | None = None, evaluation: Evaluation | None = None, pictures: int = 12
) -> Path:
    """Write `run_folder`/report.html from its config.toml and metrics.jsonl, as far as they are there.

    `evaluation` is that of `dataset`, of which `pictures` are shown. Raises FrcnnError for a file that cannot be
    read or written.
    """
    config = load_config(run_folder / "config.toml") if (run_folder / "config.toml").is_file() else None
    history = read_history(run_folder / "metrics.jsonl")
    examples = list(zip(dataset.examples, evaluation.detections, strict=True)) if dataset and evaluation else []
    chosen = spread([pair for pair in examples if len(pair[0].target.boxes) or len(_shown(pair[1]))], pictures)
    values = {
        "title": f"Training report: {run_folder.resolve().name}",
        "subtitle": _subtitle(config, evaluation),
        "tiles": _tiles(history, evaluation),
        "settings": [] if config is None else _settings(config, history),
        "config_text": "" if config is None else to_toml(config),
        "charts": _charts(history),
        **_evaluation_values(evaluation),
        "pictures": [_drawn(example, detections) for example, detections in chosen],
        "any_ignored": any(len(example.target.ignored_boxes()) for example, _ in chosen),
        "shown_above": SHOWN_ABOVE,
    }
    path = run_folder / "report.html"
    write_text(path, render(values))
    return path


def render(values: dict[str, Any]) -> str:
    """The page; whatever is not our own markup is escaped."""
    template = (resources.files("frcnn.evaluation") / "report.html.jinja").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(values)


def spread(items: Sequence[Any], number: int) -> list[Any]:
    """At most `number` of the items, evenly over all of them."""
    if len(items) <= number:
        return list(items)
    return [items[(2 * i + 1) * len(items) // (2 * number)] for i in range(number)]


def duration(seconds: float) -> str:
    """As people say it: 42 s, 7 min 30 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _subtitle(config: Config | None, evaluation: Evaluation | None) -> str:
    parts = ["Faster R-CNN"]
    if config is not None:
        parts.append(f"preset {config.preset}")
    if evaluation is not None:
        parts.append(f"{len(evaluation.result.per_class)} classes")
    return " · ".join(parts)


def _tiles(history: History, evaluation: Evaluation | None) -> list[tuple[str, str]]:
    """The numbers looked for first."""
    tiles = []
    if evaluation is not None:
        tiles += [
            ("VOC07 mAP (11 points)", _fraction(evaluation.result.voc07_map)),
            ("VOC mAP (area)", _fraction(evaluation.result.voc_map)),
            ("pictures evaluated", f"{evaluation.images:,}"),
        ]
        if evaluation.seconds_per_image is not None:
            tiles.append(("a picture, detection alone", f"{evaluation.seconds_per_image * 1000:.0f} ms"))
    if history.steps:
        tiles += [("training", duration(history.seconds)), ("steps", f"{history.steps[-1]['step']:,}")]
    return tiles


def _settings(config: Config, history: History) -> list[tuple[str, str]]:
    train, size = config.train, config.model.input
    neck = "" if config.model.backbone.neck == "none" else " + FPN"
    square = size.resize == "square"
    speed = [value for value in column(history.steps, "images_per_second") if math.isfinite(value)]
    length = f"{train.epochs} epochs" if train.steps is None else f"{train.steps:,} steps"
    rows = [
        ("Preset", config.preset),
        ("Backbone", config.model.backbone.body + neck),
        ("Network input", f"{size.short_side}²" if square else f"short side {size.short_side}, long {size.long_side}"),
        ("Length", length),
        ("Batch", f"{train.batch_size} pictures"),
        ("Learning rate", f"{train.lr:g}" + (" × batch / 16" if train.lr_scaling == "linear" else "")),
        ("Solver, momentum, weight decay", f"{train.optimizer}, {train.momentum:g}, {train.weight_decay:g}"),
        ("Precision", train.precision),
        ("Seed", str(train.seed)),
    ]
    if speed:
        rows.append(("Speed", f"{sum(speed) / len(speed):.1f} pictures/s"))
    if history.starts > 1:
        rows.append(("Resumed", f"{history.starts - 1} times"))
    return rows


def _charts(history: History) -> list[Chart]:
    parts = [_loss_chart(history, name) for name in LOSS_TITLES if name != "total"]
    charts = [_loss_chart(history, "total"), _average_precision_chart(history), *parts, _rate_chart(history)]
    return [chart for chart in charts if chart is not None]


def _loss_chart(history: History, name: str) -> Chart | None:
    steps, losses = column(history.steps, "step"), column(history.steps, name)
    series = [
        Series("each logged step", steps, losses, "faint"),
        Series("training", steps, smoothed(losses, len(losses) // 25), "train"),
        Series(
            "validation", column(history.evaluations, "step"), column(history.evaluations, "losses", name), "validation"
        ),
    ]
    return _chart(LOSS_TITLES[name], [line for line in series if len(line.points())], "step")


def _average_precision_chart(history: History) -> Chart | None:
    epochs = column(history.evaluations, "epoch")
    series = [
        Series("VOC07, 11 points", epochs, column(history.evaluations, "voc07_map"), "validation"),
        Series("VOC, area", epochs, column(history.evaluations, "voc_map"), "second"),
    ]
    return _chart("Validation mAP at IoU .5", series, "epoch", (0.0, 1.0))


def _rate_chart(history: History) -> Chart | None:
    rate = Series("learning rate", column(history.steps, "step"), column(history.steps, "lr"))
    return _chart("Learning rate", [rate], "step")


def _chart(
    title: str, series: Sequence[Series], label: str, y_range: tuple[float, float] | None = None
) -> Chart | None:
    svg = line_chart(series, label, y_range)
    keys = [(line.kind, line.name) for line in series] if len(series) > 1 else []
    return None if svg is None else Chart(title, svg, keys)


def _evaluation_values(evaluation: Evaluation | None) -> dict[str, Any]:
    if evaluation is None:
        return {"classes": [], "means": [], "evaluated": ""}
    result = evaluation.result
    ids = {name: number for number, name in enumerate(result.per_class)}
    classes = [
        {
            "name": name,
            "colour": "rgb({}, {}, {})".format(*class_colour(ids[name])),
            "curve": curve(of_class.recall.tolist(), of_class.precision.tolist(), name) if of_class.objects else None,
            **class_row(of_class),
        }
        for name, of_class in ranked(result)
    ]
    found = sum(len(detections) for detections in evaluation.detections)
    means = ["mean", _fraction(result.voc07_map), _fraction(result.voc_map), "", evaluation.objects, found]
    above = "" if evaluation.score_threshold is None else f" with scores above {evaluation.score_threshold:g}"
    evaluated = (
        f"{evaluation.images:,} pictures with {evaluation.objects:,} objects, detections{above}, right where the IoU "
        "exceeds .5. Click a heading to sort."
    )
    return {"classes": classes, "means": means, "evaluated": evaluated}


def _drawn(example: Example, detections: Detections) -> DrawnPicture:
    """Scaled first, drawn then: lines and letters are as crisp in a small picture as in a large one."""
    picture, shown = read_picture(example.picture), _shown(detections)
    scale = min(PICTURE_SIDE / max(picture.size), LARGEST_ENLARGEMENT)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    target = Target(example.target.boxes * scale, example.target.class_ids, example.target.ignored)
    scaled = Detections(shown.boxes * scale, shown.scores, shown.class_ids, shown.class_names)
    names = ", ".join(f"{found.class_name} {found.score:.2f}" for found in shown)
    return DrawnPicture(
        name=example.picture.name,
        jpeg=_jpeg(draw_detections(picture, scaled, target)),
        width=width,
        height=height,
        caption=_caption(shown, example.target),
        alt=f"Detected: {names or 'nothing'}",
    )


def _caption(shown: Detections, target: Target) -> str:
    verdict = judge_picture(shown, target).verdict
    right, wrong = int((verdict == TRUE_POSITIVE).sum()), int((verdict == FALSE_POSITIVE).sum())
    return f"{right} of {len(target.learnt().boxes)} found" + (f", {wrong} wrong" if wrong else "")


def _shown(detections: Detections) -> Detections:
    return detections[torch.nonzero(detections.scores >= SHOWN_ABOVE).flatten()]


def _jpeg(picture: Image.Image) -> str:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)  # whole colours: thin lines stay clean
    return base64.b64encode(data.getvalue()).decode("ascii")


def _fraction(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
