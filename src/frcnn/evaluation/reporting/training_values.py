"""What the page says of a training: its settings, its curves, its speed and its memory."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from markupsafe import Markup

from frcnn.config import Config, TrainConfig
from frcnn.evaluation.history import History, column
from frcnn.evaluation.reporting.charts import Section, Series, line_chart, smoothed
from frcnn.texts import Texts

LOSSES = ("total", "rpn_objectness", "rpn_box", "head_class", "head_box")
OF_HEAD = LOSSES[3:]
STAGES = 4  # of alternating training (Faster R-CNN, Sec. 3.2)

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
    scaled = train.lr_scaling == "linear"
    rows = {
        "preset": config.preset,
        "backbone": config.model.backbone.body + neck,
        "input": f"{size.short_side}²" if size.resize == "square" else sides,
        "schedule": train.schedule,
        "epochs" if train.steps is None else "steps": _length(train, say),
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
        _rate_chart(history, say),
        _step_chart(say("chart.speed"), history, _over_steps(history, "images_per_second", say), say),
        _memory_chart(history, say),
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


def _length(train: TrainConfig, say: Texts) -> str:
    """In epochs or steps of the solver; alternating training has as many in each of its steps as is asked for."""
    length = train.epochs if train.steps is None else train.steps
    if train.schedule != "alternating":
        return f"{length:,}"
    return say("setting.by_step", counts=" · ".join(f"{each:,}" for each in train.step_epochs or (length,) * 4))


def _loss_chart(history: History, name: str, say: Texts) -> Chart | None:
    title, tested, held_out = say(f"loss.{name}"), column(history.evaluations, "step"), _held_out(history, name)
    if name == "total" and _alternates(history):
        title = say("loss.of_each_step")
    lines = [*_over_steps(history, name, say), Series(say("chart.validation"), tested, held_out, "validation")]
    return _step_chart(title, history, [line for line in lines if len(line.points())], say)


def _held_out(history: History, name: str) -> list[float]:
    """The losses in validation; in total those that the last step of alternating training minimises, or all four."""
    if name == "total" and _alternates(history):
        classes, boxes = (column(history.evaluations, "losses", each) for each in OF_HEAD)
        return [of_class + of_box for of_class, of_box in zip(classes, boxes, strict=True)]
    return column(history.evaluations, "losses", name)


def _average_precision_chart(history: History, say: Texts) -> Chart | None:
    epochs, label = column(history.evaluations, "epoch"), say("chart.epoch")
    if _alternates(history):
        label = say("chart.epoch_of_step", number=_stage(history.steps[-1]))  # only the last one is evaluated
    lines = [
        Series(say("chart.voc07"), epochs, column(history.evaluations, "voc07_map"), "validation"),
        Series(say("chart.voc"), epochs, column(history.evaluations, "voc_map"), "second"),
    ]
    svg = line_chart(lines, label, (0.0, 1.0))
    return None if svg is None else Chart(say("chart.map"), svg, _keys(lines))


def _rate_chart(history: History, say: Texts) -> Chart | None:
    title = say("chart.rate")
    lines = [Series(title, column(part, "step"), column(part, "lr")) for part in _stages(history)]
    return _step_chart(title, history, lines, say)


def _memory_chart(history: History, say: Texts) -> Chart | None:
    title, megabytes = say("chart.memory"), column(history.steps, "memory_mb")
    lines = [Series(title, column(history.steps, "step"), [number / 1000 for number in megabytes])]
    return _step_chart(title, history, lines, say)


def _over_steps(history: History, name: str, say: Texts) -> list[Series]:
    """A faint line of what was logged and a smooth one; a stage of the training goes on with no line of another."""
    faint, smooth = [], []
    for part in _stages(history):
        steps, values = column(part, "step"), column(part, name)
        faint.append(Series(say("chart.each"), steps, values, "faint"))
        smooth.append(Series(say("chart.training"), steps, smoothed(values, len(values) // 25), "train"))
    return faint + smooth


def _step_chart(title: str, history: History, series: Sequence[Series], say: Texts) -> Chart | None:
    """Over the steps of the solver, with the stages that they belong to."""
    stages = _stages(history)
    ends = [(column(part, "step")[0], column(part, "step")[-1], _stage(part[0])) for part in stages]
    sections = [Section(first, last, f"{stage}/{STAGES}") for first, last, stage in ends]
    svg = line_chart(series, say("chart.step"), sections=sections if len(stages) > 1 else ())
    keys = _keys(series) + ([("section", say("chart.sections"))] if len(stages) > 1 else [])
    return None if svg is None else Chart(title, svg, keys)


def _keys(series: Sequence[Series]) -> Named:
    """What the lines are, where they are of several kinds."""
    keys = list(dict.fromkeys((line.kind, line.name) for line in series))
    return keys if len(keys) > 1 else []


def _stages(history: History) -> list[list[dict[str, Any]]]:
    """The steps of each stage: one in joint training, four in alternating."""
    return [list(part) for _, part in groupby(history.steps, _stage)]


def _stage(line: Mapping[str, Any]) -> int:
    return line.get("stage", 1)


def _alternates(history: History) -> bool:
    """Does each step minimise some of the four losses, not all of them?"""
    counts = {sum(name in line for name in LOSSES[1:]) for line in history.steps}
    return bool(counts & {1, 2, 3})


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]
