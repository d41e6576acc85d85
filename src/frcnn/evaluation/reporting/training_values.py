"""What the page says of a training: its settings, its curves, its speed and its memory."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from frcnn.config import Config
from frcnn.evaluation.history import History, column
from frcnn.evaluation.reporting.charts import Series, line_chart, smoothed
from frcnn.evaluation.reporting.texts import Texts

LOSSES = ("total", "rpn_objectness", "rpn_box", "head_class", "head_box")

Named = list[tuple[str, str]]  # names with their values


class Chart(NamedTuple):
    """A chart with its heading; `keys` are (kind, name) of its lines, none where the heading says enough."""

    title: str
    svg: Markup
    keys: Sequence[tuple[str, str]]


def training_tiles(history: History, say: Texts) -> Named:
    """The numbers looked for first."""
    steps = _finite(column(history.steps, "step"))
    if not steps:
        return []
    tiles = [(say("tile.training"), duration(history.seconds, say)), (say("tile.steps"), f"{int(steps[-1]):,}")]
    if speeds := _finite(column(history.steps, "images_per_second")):
        tiles.append((say("tile.speed"), f"{sum(speeds) / len(speeds):.1f}"))
    if megabytes := _finite(column(history.steps, "memory_mb")):
        tiles.append((say("tile.memory"), f"{max(megabytes) / 1000:.1f} GB"))
    return tiles


def settings(config: Config, history: History, say: Texts) -> Named:
    """What people ask of a training; the whole configuration stands below."""
    train, size = config.train, config.model.input
    neck = "" if config.model.backbone.neck == "none" else " + FPN"
    sides = say("setting.sides", short=size.short_side, long=size.long_side)
    length = ("epochs", train.epochs) if train.steps is None else ("steps", train.steps)
    scaled = train.lr_scaling == "linear"
    rows = {
        "preset": config.preset,
        "backbone": config.model.backbone.body + neck,
        "input": f"{size.short_side}²" if size.resize == "square" else sides,
        "schedule": train.schedule,
        length[0]: f"{length[1]:,}",
        "batch": str(train.batch_size),
        "rate": say("setting.scaled_rate", rate=f"{train.lr:g}") if scaled else f"{train.lr:g}",
        "solver": train.optimizer,
        "momentum": f"{train.momentum:g}",
        "decay": f"{train.weight_decay:g}",
        "precision": train.precision,
        "seed": str(train.seed),
    }
    if history.starts > 1:
        rows["starts"] = str(history.starts - 1)
    return [(say(f"setting.{name}"), value) for name, value in rows.items()]


def training_charts(history: History, say: Texts) -> list[Chart]:
    """The loss and the validation mAP first, then the parts, the rate, speed and memory; those that have values."""
    charts = [
        _loss_chart(history, "total", say),
        _average_precision_chart(history, say),
        *(_loss_chart(history, name, say) for name in LOSSES[1:]),
        _step_chart(history, "rate", column(history.steps, "lr"), say),
        _step_chart(history, "speed", column(history.steps, "images_per_second"), say, smooth=True),
        _step_chart(history, "memory", [mb / 1000 for mb in column(history.steps, "memory_mb")], say),
    ]
    return [chart for chart in charts if chart is not None]


def duration(seconds: float, say: Texts) -> str:
    """As people say it: 42 s, 7 min 30 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return say("duration.seconds", seconds=whole)
    if whole < 3600:
        return say("duration.minutes", minutes=whole // 60, seconds=whole % 60)
    return say("duration.hours", hours=whole // 3600, minutes=whole % 3600 // 60)


def _loss_chart(history: History, name: str, say: Texts) -> Chart | None:
    steps, losses = column(history.steps, "step"), column(history.steps, name)
    tested, held_out = column(history.evaluations, "step"), column(history.evaluations, "losses", name)
    lines = [*_faint_and_smooth(steps, losses, say), Series(say("chart.validation"), tested, held_out, "validation")]
    return _chart(say(f"loss.{name}"), [line for line in lines if len(line.points())], say("chart.step"))


def _average_precision_chart(history: History, say: Texts) -> Chart | None:
    epochs = column(history.evaluations, "epoch")
    lines = [
        Series(say("chart.voc07"), epochs, column(history.evaluations, "voc07_map"), "validation"),
        Series(say("chart.voc"), epochs, column(history.evaluations, "voc_map"), "second"),
    ]
    return _chart(say("chart.map"), lines, say("chart.epoch"), (0.0, 1.0))


def _step_chart(
    history: History, name: str, values: Sequence[float], say: Texts, *, smooth: bool = False
) -> Chart | None:
    steps, title = column(history.steps, "step"), say(f"chart.{name}")
    lines = _faint_and_smooth(steps, values, say) if smooth else [Series(title, steps, values)]
    return _chart(title, lines, say("chart.step"))


def _faint_and_smooth(steps: Sequence[float], values: Sequence[float], say: Texts) -> list[Series]:
    return [
        Series(say("chart.each"), steps, values, "faint"),
        Series(say("chart.training"), steps, smoothed(values, len(values) // 25), "train"),
    ]


def _chart(
    title: str, series: Sequence[Series], label: str, y_range: tuple[float, float] | None = None
) -> Chart | None:
    svg = line_chart(series, label, y_range)
    keys = [(line.kind, line.name) for line in series] if len(series) > 1 else []
    return None if svg is None else Chart(title, svg, keys)


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]
