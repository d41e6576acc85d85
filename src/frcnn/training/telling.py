"""What a training says of itself: before it begins, at its steps, after an evaluation."""

import math
import os
from pathlib import Path

from frcnn.data.anchor_fit import fit_in_training
from frcnn.data.order import piece_size
from frcnn.evaluation.results import Evaluation
from frcnn.naming import counted
from frcnn.training.log import Display
from frcnn.training.optim import base_learning_rate
from frcnn.training.run import Training, listed


def announce(run: Training, display: Display, *, resume: bool) -> None:
    """What is about to be done, in a few lines; among them what can't be learnt."""
    if not run.is_main:
        return
    if resume:
        display.say(f"Resuming {_place(run)}.")
    if run.changed:
        display.say(f"Settings that have changed since: {listed(run.changed)}.")
    display.say(_data_in_a_line(run))
    if run.kept is not None:
        display.say(run.kept.describe())
    if run.train.skipped_boxes:
        boxes = counted(run.train.skipped_boxes, "bad box is", "bad boxes are")
        display.say(f"{boxes} left out, as data.bad_boxes asks.")
    if run.train.taken_pictures:
        pictures = counted(run.train.taken_pictures, "picture is", "pictures are")
        display.say(f"{pictures} in two splits, of which one is not taken at its word: test comes first, then val.")
    for line in fit_in_training(run.train, run.config).describe():
        display.say(line)
    display.say(_solver_in_a_line(run))
    display.say(_layers_in_a_line(run))
    for line in _without_effect(run):
        display.say(line)


def log_step(
    run: Training, losses: dict[str, float], rate: float, gradient_norm: float, images_per_second: float
) -> None:
    """One line of metrics.jsonl."""
    run.log.write(
        "step",
        step=run.progress.step,
        epoch=_epoch(run),
        stage=run.progress.stage + 1,
        lr=rate,
        **{name: _rounded(loss) for name, loss in losses.items()},
        total=_rounded(sum(losses.values())),
        gradient_norm=_rounded(gradient_norm),
        images_per_second=round(images_per_second, 3),
        memory_mb=resident_megabytes(),
    )


def log_evaluation(run: Training, display: Display, evaluation: Evaluation) -> None:
    """One line of metrics.jsonl and one for people."""
    result, epoch = evaluation.result, _epoch(run)
    run.log.write(
        "evaluation",
        step=run.progress.step,
        epoch=epoch,
        voc07_map=result.voc07_map,
        voc_map=result.voc_map,
        losses=evaluation.losses,
    )
    average = "no objects" if result.voc07_map is None else f"VOC07 mAP {result.voc07_map:.3f}"
    display.say(f"epoch {epoch}: validation {average}, loss {evaluation.losses.get('total', math.nan):.3f}")


def resident_megabytes() -> float | None:
    """The memory that this process holds, in 10^6 bytes, so that a log shows whether it grows; None where unknown."""
    statistics = Path("/proc/self/statm")
    if not statistics.exists():
        return None  # not Linux
    return round(int(statistics.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def _rounded(number: float) -> float:
    """More digits than float32 has, fewer than float64 prints."""
    return float(f"{number:.12g}")


def _epoch(run: Training) -> int:
    """Of the stage, counted from 1."""
    return max(1, -(-(run.progress.step - run.stage.first) // run.steps_per_epoch))


def _place(run: Training) -> str:
    if run.progress.step == 0:
        return "from the beginning: no whole state was found"
    stage = f", {run.stage.title}" if len(run.stages) > 1 else ""
    return f"after step {run.progress.step}{stage}"


def _data_in_a_line(run: Training) -> str:
    objects = run.train.count_learnt()
    held_out = "nothing held out" if run.validation is None else f"{len(run.validation.examples)} held out"
    return (
        f"{run.config.preset}: {counted(len(run.train.examples), 'picture')}, {counted(objects, 'object')}, "
        f"{counted(len(run.train.class_names), 'class', 'classes')}, {held_out}"
    )


def _solver_in_a_line(run: Training) -> str:
    settings, processes = run.config.train, run.fabric.world_size
    rule = f" ({settings.lr} for 16 pictures, in proportion)" if settings.lr_scaling == "linear" else ""
    pieces = f" in {settings.accumulate} pieces" if settings.accumulate > 1 else ""
    together = f", {processes} processes" if processes > 1 else ""
    return (
        f"{counted(run.total_steps, 'step')}, batch size {settings.batch_size}{pieces}, {settings.optimizer} at rate "
        f"{base_learning_rate(settings):.4g}{rule}, {settings.precision} on {run.fabric.device}{together}; "
        f"{settings.schedule} training"
    )


def _without_effect(run: Training) -> list[str]:
    """What was asked for and cannot come about."""
    settings, found = run.config.train, []
    shortest = min(stage.steps for stage in run.stages)
    if settings.warmup_steps >= shortest:
        found.append(
            f"The rate never rises to what it should be: train.warmup_steps = {settings.warmup_steps} of "
            f"{counted(shortest, 'step')}. Lower it, or train longer."
        )
    if settings.patience and (run.validation is None or run.validation.count_learnt() == 0):
        found.append("train.patience has no effect: no object is held out to be found.")
    scales, side = run.config.data.scales, run.config.model.input.short_side
    if scales and side not in scales:
        found.append(
            f"Training draws short sides of {', '.join(map(str, scales))} (data.scales); model.input.short_side = "
            f"{side} is for validation and use."
        )
    if run.fabric.world_size > settings.batch_size:
        found.append(
            f"{settings.batch_size} of {run.fabric.world_size} processes have a picture in each step, the others "
            "nothing to do: raise train.batch_size."
        )
    return found


def _layers_in_a_line(run: Training) -> str:
    """Which layers learn: what people look for when nothing is learnt."""
    backbone = run.config.model.backbone
    learning = sum(value.numel() for name, value in run.model.named_parameters() if name in run.trainable)
    everything = sum(value.numel() for value in run.model.parameters())
    built = max(backbone.taps) + 1
    stages = f"{min(backbone.frozen_stages, built)} of {built} stages are frozen"
    live = f"live over {counted(piece_size(run.config.train.batch_size, run.config.train.accumulate), 'picture')}"
    norm = live if backbone.batch_norm == "live" else backbone.batch_norm
    in_the_neck = {"none": "", "group": ", group norm in the neck", "batch": f", in the neck {live}"}
    neck = in_the_neck[backbone.neck_norm] if backbone.neck == "fpn" else ""
    return f"{learning:,} of {everything:,} weights learn; {stages}; batch norm: {norm}{neck}"
