"""Training, in plain sight: approximate joint training, all four losses in one backward pass (Sec. 3.2 ii)."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console

from frcnn.config import Config, InputConfig, to_toml
from frcnn.data.dataset import Dataset, training_splits
from frcnn.data.loading import Batch, batches, number_of_batches
from frcnn.device import autocast, choose_device
from frcnn.errors import DataError, FrcnnError, UsageError
from frcnn.evaluation.results import Evaluation
from frcnn.evaluation.run import evaluate_model
from frcnn.files import folder_unless_in_vain, write_text
from frcnn.model.detector import FasterRCNN
from frcnn.structures import Losses
from frcnn.training.checkpoint import Progress, load_state, newest_state, save_state, states
from frcnn.training.interrupts import interrupts_held
from frcnn.training.log import Display, MetricsFile
from frcnn.training.optim import base_learning_rate, build_optimizer, learning_rate, set_learning_rate
from frcnn.training.settings import settle, suit_to_weights
from frcnn.weights.build import assemble, starting_weights
from frcnn.weights.imagenet import check_source
from frcnn.weights.model_file import save_model


@dataclass
class Training:
    """All that one training holds on to."""

    config: Config
    out: Path
    train: Dataset
    validation: Dataset | None
    model: FasterRCNN
    optimizer: torch.optim.Optimizer
    progress: Progress
    metrics: MetricsFile
    device: torch.device

    @property
    def steps_per_epoch(self) -> int:
        """One step a batch, every picture once an epoch."""
        return number_of_batches(
            self.train, self.config.train.batch_size, group_by_aspect=self.config.data.group_by_aspect
        )

    @property
    def total_steps(self) -> int:
        """`train.steps` where it is given, else whole epochs."""
        return self.config.train.steps or self.config.train.epochs * self.steps_per_epoch


def train(
    preset: str,
    data: Sequence[Path | str] | Path | str,
    out: Path | str | None = None,
    *,
    config: Config | None = None,
    overrides: Sequence[str] = (),
    backbone: str | Path | None = None,
    schedule: str | None = None,
    resume: bool = False,
    device: str = "auto",
    precision: str | None = None,
    console: Console | None = None,
) -> Path:
    """Train a preset on data sets and return the run's folder.

    `overrides` are `section.key=value`; `backbone` is "imagenet" (the default, where such weights are published),
    "none" or a file of weights; `schedule` is "joint", which takes proposals as given, or "exact", whose losses move
    them too. Raises UsageError before data is touched where the request makes no sense, FrcnnError where data or disk
    fail; Ctrl-C writes a state and raises KeyboardInterrupt.
    """
    folder = Path(out or Path("runs") / preset)
    settings = settle(
        preset,
        folder,
        config=config,
        overrides=overrides,
        precision=precision,
        schedule=schedule,
        resume=resume,
        backbone=backbone,
    )
    where = choose_device(device)
    state = newest_state(folder / "state") if resume else None
    if state is None:
        check_source(settings.train.backbone, settings.model.backbone.body)
    paths = [Path(p) for p in ([data] if isinstance(data, str | Path) else data)]
    if not paths:
        raise UsageError("no data set is named: give --data PATH")
    learnt, held_out = training_splits(
        paths, settings.data.validation, settings.train.seed, bad_boxes=settings.data.bad_boxes
    )
    weights = None if state else starting_weights(settings.model, settings.train.backbone)
    complete = config is not None or (resume and (folder / "config.toml").exists())  # suits its weights already
    if state is None and (backbone is not None or not complete):
        settings = suit_to_weights(settings, weights, overrides)
    torch.manual_seed(settings.train.seed)  # the layers that start at random
    model = assemble(settings.model, learnt.class_names, weights)
    model.to(where).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (not in torch's types)
    optimizer = build_optimizer(model, settings.train)
    progress = load_state(state, model, optimizer) if state else Progress()
    metrics = MetricsFile(folder / "metrics.jsonl")
    run = Training(settings, folder, learnt, held_out, model, optimizer, progress, metrics, where)
    with folder_unless_in_vain(folder, is_worth_keeping=lambda: bool(states(folder / "state"))):
        run_training(run, console or Console(), resume=resume)
    return folder


def run_training(run: Training, console: Console, *, resume: bool) -> None:
    """Every step from where the run stands to its end, with a state on the disk whatever stops it."""
    write_text(run.out / "config.toml", to_toml(run.config))
    run.metrics.forget_after(run.progress.step)
    run.metrics.write("resume" if resume else "start", step=run.progress.step)
    with Display(run.total_steps, console) as display:
        announce(run, display, resume=resume)
        try:
            train_to_the_end(run, display)
        except (KeyboardInterrupt, DataError) as reason:  # a picture that cannot be read may be mended
            if run.progress.step > 0 or isinstance(reason, KeyboardInterrupt):
                with interrupts_held():  # an impatient second Ctrl-C waits
                    save_state(run.out / "state", run.model, run.optimizer, run.progress)
                    display.say(f"Stopped after step {run.progress.step}. Go on with the same command and --resume.")
            raise
        display.say(f"Done: {run.out}")


def train_to_the_end(run: Training, display: Display) -> None:
    """The training loop: epochs of batches, an evaluation after each, model files at the end."""
    settings, progress, per_epoch = run.config.train, run.progress, run.steps_per_epoch
    while progress.step < run.total_steps:
        finish_epoch(run, display)
        epoch, done = divmod(progress.step, per_epoch)
        waiting = time.perf_counter()
        for batch in training_batches(run, epoch, skip=done):
            with interrupts_held():
                step = train_step(run, batch)
                progress.step += 1
                progress.seconds += time.perf_counter() - waiting
            speed = len(batch.pictures) / (time.perf_counter() - waiting)
            display.step(progress.step, f"loss {step.loss:.3f}  {speed:.1f} images/s")
            if progress.step % settings.log_every == 0:
                log_step(run, step, speed)
            if progress.step % settings.checkpoint_every == 0:
                check_weights(run)
                save_state(run.out / "state", run.model, run.optimizer, progress)
            if progress.step == run.total_steps:
                break
            waiting = time.perf_counter()
    check_weights(run)
    finish_epoch(run, display, last=True)
    save_model(run.model, run.out / "last.safetensors")
    save_state(run.out / "state", run.model, run.optimizer, progress)


def check_weights(run: Training) -> None:
    """Nothing is kept that no use could be made of. Raises FrcnnError where a weight is not finite."""
    broken = next((name for name, value in run.model.state_dict().items() if not value.isfinite().all()), None)
    if broken is not None:
        raise FrcnnError(
            f"step {run.progress.step}: the weights are not finite any more ({broken}): start anew with a lower "
            "train.lr or train.clip_gradient=10"
        )


def training_batches(run: Training, epoch: int, skip: int) -> Iterator[Batch]:
    """The batches of one epoch, from the one numbered `skip`."""
    data = run.config.data
    return batches(
        run.train,
        run.config.train.batch_size,
        seed=run.config.train.seed,
        epoch=epoch,
        flip=data.flip,
        group_by_aspect=data.group_by_aspect,
        workers=data.workers,
        ignore_regions=data.ignore_regions,
        skip=skip,
        reduce_to=reduction_rule(run.config),
    )


def reduction_rule(config: Config) -> InputConfig | None:
    """By which rule large pictures are reduced while they are loaded; None: not at all."""
    rpn = config.model.rpn
    if rpn.min_size_scaled and rpn.min_size > 0:
        return None  # proposals are measured in original pixels: in a reduced picture others would be dropped
    return config.model.input if config.data.reduce_large else None


class Step(NamedTuple):
    """What one step tells."""

    losses: Losses
    rate: float
    loss: float  # their sum


def train_step(run: Training, batch: Batch) -> Step:
    """One batch forward and back, one step of the solver. The same numbers for the same seed and step."""
    settings = run.config.train
    rate = learning_rate(run.progress.step, run.total_steps, settings)
    set_learning_rate(run.optimizer, rate)
    generator = torch.Generator().manual_seed(seed_of_step(settings.seed, run.progress.step))
    torch.manual_seed(seed_of_step(settings.seed, run.progress.step))  # dropout
    run.model.train()
    images = batch.images_on(run.device)
    targets = [target.to(run.device) for target in batch.targets]
    with autocast(run.device, settings.precision):
        losses = run.model(images, targets, generator, movable_proposals=settings.schedule == "exact")
    total = losses.total()
    loss = float(total.detach())  # the step's one wait for the device: what is not finite must not reach the weights
    if not math.isfinite(loss):
        raise FrcnnError(_not_finite(run.progress.step, losses, rate, batch))
    run.optimizer.zero_grad(set_to_none=True)
    total.backward()
    if settings.clip_gradient > 0:
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), settings.clip_gradient)
    run.optimizer.step()
    return Step(losses, rate, loss)


def seed_of_step(seed: int, step: int) -> int:
    """A seed of its own for every step, so that a resumed training draws what it would have drawn."""
    return (seed * 1_000_003 + step) % 2**63


def finish_epoch(run: Training, display: Display, *, last: bool = False) -> None:
    """At an epoch's end: evaluate what was held out (once), keep the best model file."""
    step = run.progress.step
    at_an_end = step > 0 and (last or step % run.steps_per_epoch == 0)
    if run.validation is None or not at_an_end or run.progress.evaluated_step == step:
        return
    check_weights(run)
    advance = display.evaluation(len(run.validation.examples))
    evaluation = evaluate_model(
        run.model,
        run.validation,
        workers=run.config.data.workers,
        precision=run.config.train.precision,
        progress=lambda done, _: advance(done),
    )
    log_evaluation(run, display, evaluation)
    score = evaluation.result.voc07_map or 0.0
    if score > run.progress.best_map:
        save_model(run.model, run.out / "best.safetensors")
        run.progress.best_map = score
    run.progress.evaluated_step = step
    save_state(run.out / "state", run.model, run.optimizer, run.progress)


def log_step(run: Training, step: Step, speed: float) -> None:
    """One line of metrics.jsonl."""
    epoch = (run.progress.step - 1) // run.steps_per_epoch + 1
    values = {name: round(float(loss), 6) for name, loss in step.losses.as_dict().items()}
    run.metrics.write(
        "step", step=run.progress.step, epoch=epoch, lr=step.rate, **values, images_per_second=round(speed, 3)
    )


def log_evaluation(run: Training, display: Display, evaluation: Evaluation) -> None:
    """One line of metrics.jsonl and one for people."""
    epoch = -(-run.progress.step // run.steps_per_epoch)
    result = evaluation.result
    run.metrics.write(
        "evaluation",
        step=run.progress.step,
        epoch=epoch,
        voc07_map=result.voc07_map,
        voc_map=result.voc_map,
        losses=evaluation.losses,
    )
    average = "no objects" if result.voc07_map is None else f"VOC07 mAP {result.voc07_map:.3f}"
    display.say(f"epoch {epoch}: validation {average}, loss {evaluation.losses.get('total', math.nan):.3f}")


def announce(run: Training, display: Display, *, resume: bool) -> None:
    """What is about to be done, in a few lines."""
    settings, objects = run.config.train, sum(len(e.target.learnt().boxes) for e in run.train.examples)
    held_out = "nothing held out" if run.validation is None else f"{len(run.validation.examples)} held out"
    if resume:
        start = (
            "from the beginning: no whole state was found"
            if run.progress.step == 0
            else f"after step {run.progress.step}"
        )
        display.say(f"Resuming {start}.")
    display.say(
        f"{run.config.preset}: {len(run.train.examples)} pictures, {objects} objects, "
        f"{len(run.train.class_names)} classes, {held_out}"
    )
    if run.train.skipped_boxes:
        display.say(f"{run.train.skipped_boxes} bad boxes are left out, as data.bad_boxes asks.")
    rule = f" ({settings.lr} for 16 pictures, in proportion)" if settings.lr_scaling == "linear" else ""
    display.say(
        f"{run.total_steps} steps, batch size {settings.batch_size}, {settings.optimizer} at rate "
        f"{base_learning_rate(settings):.4g}{rule}, "
        f"{settings.precision} on {run.device}; {settings.schedule} training; "
        f"batch norm: {run.config.model.backbone.batch_norm}"
    )


def _not_finite(step: int, losses: Losses, rate: float, batch: Batch) -> str:
    parts = ", ".join(f"{name} {float(loss):.4g}" for name, loss in losses.as_dict().items())
    pictures = ", ".join(str(path) for path in batch.pictures)
    return (
        f"step {step}: the loss is not finite ({parts}) at rate {rate:.4g} on {pictures}: look at these pictures' "
        "boxes, and start anew with a lower train.lr or train.clip_gradient=10"
    )
