"""Training, in plain sight: the loop, and one step of it (Faster R-CNN, Sec. 3.2)."""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import NamedTuple, NoReturn

import torch
from rich.console import Console

from frcnn.config import Config, to_toml
from frcnn.data.dataset import Dataset
from frcnn.data.loading import Batch, steps
from frcnn.data.order import Chances
from frcnn.errors import DataError, DiskError, EndedProcessError, FrcnnError, LoadingError
from frcnn.evaluation.run import evaluate_model
from frcnn.files import remove_torn_files, write_text
from frcnn.interrupts import interrupts_held, interrupts_ignored
from frcnn.training.best import Score, take_if_best
from frcnn.training.checkpoint import newest_state, save_state
from frcnn.training.diagnosis import Failure, calmer, describe_failure, is_finite, weights_of
from frcnn.training.failure import FailedStep, folder_of, forget_failure, keep
from frcnn.training.log import Display
from frcnn.training.optim import learning_rate, set_learning_rate
from frcnn.training.pieces import added_up, by_its_share, piece_of, proposals_for
from frcnn.training.processes import mean_of_processes, one_fate, share_of
from frcnn.training.proposals import write_proposals
from frcnn.training.reporting import leave_report
from frcnn.training.run import Training, halfway, next_stage
from frcnn.training.schedules import set_modes
from frcnn.training.synced_batch_norm import statistics_of
from frcnn.training.telling import announce, log_evaluation, log_step
from frcnn.weights.model_file import save_model

WRITTEN = {  # what a run writes whole: a kill may leave the beginning of it
    ".": ("*.safetensors", "config.toml", "metrics.jsonl", "tracking.json", "report.html"),
    "state": ("step_*.safetensors",),
    "proposals": ("step?.npy",),
}
# What a training can go on from: a picture, or what is wrong with the machine, may be mended.
RESUMABLE = (KeyboardInterrupt, DataError, LoadingError, EndedProcessError)
NOT_KNOWN_HERE = Score(None, math.nan)  # the first process evaluates, and tells the others


def run_training(run: Training, console: Console, *, resume: bool) -> None:
    """Every step from where the run stands to its end, with a state on the disk whatever stops it."""
    if run.is_main:
        for folder, names in WRITTEN.items():
            remove_torn_files(run.out / folder, names)
        forget_failure(run.out)
        write_text(run.out / "config.toml", to_toml(run.config))
    display = Display(run.total_steps, console)
    with run.log.opened(run.progress, display.say, resuming=resume), display:
        announce(run, display, resume=resume)
        try:
            with one_fate(run.fabric):
                train_to_the_end(run, display)
        except RESUMABLE as reason:
            if run.progress.step > 0 or isinstance(reason, KeyboardInterrupt):
                leave_state(run, display)
            raise
        except DiskError as error:
            raise DiskError(f"{error}: {way_on(run)}") from error
        leave_report(run, display)
        display.say(f"Done: {run.out}")


def way_on(run: Training) -> str:
    """What to do where the disk refuses."""
    state = newest_state(run.out / "state")
    there = f"goes on from {state.name}" if state else "begins anew, as there is no state yet"
    return f"make room, or mend the disk; then --resume {there}"


def leave_state(run: Training, display: Display) -> None:
    """What `--resume` goes on from, where the training is stopped at a place from which it can."""
    if not run.is_main or run.is_halfway:
        return
    with interrupts_ignored():  # an impatient second Ctrl-C changes nothing
        keep_state(run)
        display.say(f"Stopped after step {run.progress.step}. Go on with the same command and --resume.")


def train_to_the_end(run: Training, display: Display) -> None:
    """Stage after stage: joint training has one, alternating training four."""
    train_stage(run, display)
    while run.stage is not run.stages[-1]:
        leave_proposals(run, display)
        with interrupts_held():
            with halfway(run):
                next_stage(run)
            keep_state(run)
        train_stage(run, display)
    if run.is_main:
        save_model(run.best_guess, run.out / "last.safetensors")


def train_stage(run: Training, display: Display) -> None:
    """The training loop: epochs of batches, an evaluation after each."""
    settings, progress, stage = run.config.train, run.progress, run.stage
    display.title = stage.title
    if len(run.stages) > 1 and not progress.ended_early:
        display.say(f"{stage.title}: from step {progress.step} to {stage.end} of {run.total_steps}")
    finish_epoch(run, display)  # a resumed training may stand at an epoch's end
    while progress.step < stage.end and not progress.ended_early:
        epoch, done = divmod(progress.step - stage.first, run.steps_per_epoch)
        waiting = time.perf_counter()
        with closing(training_steps(run, epoch, skip=done)) as batches:  # or a Ctrl-C that met their end were lost
            for batch in batches:
                with interrupts_held():
                    step = train_step(run, batch)
                    progress.step += 1
                    seconds = time.perf_counter() - waiting
                    progress.seconds += seconds
                    speed = step.pictures / seconds
                    display.step(progress.step, f"loss {step.loss:.3f}  {speed:.1f} images/s")
                    # Logged before the next step can be interrupted: a resumed training doesn't do this one again.
                    if progress.step % settings.log_every == 0 or progress.step == stage.end:
                        log_step(run, step.losses, step.rate, step.gradient_norm, speed)
                if progress.step % settings.checkpoint_every == 0:
                    check_weights(run)
                    keep_state(run)
                if progress.step == stage.end:
                    break
                waiting = time.perf_counter()
        finish_epoch(run, display)
    check_weights(run)
    finish_epoch(run, display, last=True)
    keep_state(run)


def training_steps(run: Training, epoch: int, skip: int) -> Generator[list[Batch], None, None]:
    """The steps of one epoch, from the one numbered `skip`: the pieces that this process takes."""
    data, settings = run.config.data, run.config.train
    return steps(
        run.train,
        settings.batch_size,
        seed=settings.seed,
        epoch=epoch,
        chances=Chances(data.flip, data.crop, data.light),
        group_by_aspect=data.group_by_aspect,
        workers=data.workers,
        ignore_regions=data.ignore_regions,
        skip=skip,
        seen_by=run.config.model.input,
        reduce=reduces(run.config),
        scales=data.scales,
        share=share_of(run.fabric),
        pieces=settings.accumulate,
        pad_to_multiple=data.pad_to_multiple,
    )


def reduces(config: Config) -> bool:
    """Are large pictures reduced while they are loaded?"""
    rpn = config.model.rpn
    if rpn.min_size_scaled and rpn.min_size > 0:
        return False  # proposals are measured in original pixels: in a reduced picture others would be dropped
    return config.data.reduce_large


class Step(NamedTuple):
    """What one step tells: of all processes."""

    losses: dict[str, float]
    gradient_norm: float
    rate: float
    pictures: int

    @property
    def loss(self) -> float:
        """What was minimised."""
        return sum(self.losses.values())


class NotFiniteError(Exception):
    """A step whose losses or gradient are no numbers, before the solver's part."""

    def __init__(self, losses: dict[str, float], gradient_norm: float, rate: float) -> None:
        super().__init__()
        self.losses, self.gradient_norm, self.rate = losses, gradient_norm, rate


def train_step(run: Training, batches: Sequence[Batch]) -> Step:
    """One step, or no trace of it. Raises FrcnnError, and keeps the batch, where numbers are not finite."""
    try:
        with taken_back_in_vain(run.model):
            return take_step(run, batches)
    except NotFiniteError as found:
        fail_step(run, batches, found)


@contextmanager
def taken_back_in_vain(model: torch.nn.Module) -> Iterator[None]:
    """A step that the others do not live to finish leaves no trace; before the solver's part, only statistics move."""
    learnt = statistics_of(model)
    before = [value.clone() for value in learnt]
    try:
        yield
    except BaseException:
        for value, was in zip(learnt, before, strict=True):
            value.copy_(was)
        raise


def take_step(run: Training, batches: Sequence[Batch]) -> Step:
    """One batch forward and back, piece by piece, and one step of the solver. The same numbers for the same seed."""
    settings, stage, taken = run.config.train, run.stage, run.progress.step
    rate = learning_rate(taken - stage.first, stage.steps, settings)
    set_learning_rate(run.optimizer, rate)
    set_modes(run.model, stage.trains)
    run.optimizer.zero_grad(set_to_none=True)
    seen: list[dict[str, torch.Tensor]] = []
    for number, batch in enumerate(batches):
        more_to_come = number + 1 < len(batches)
        with run.fabric.no_backward_sync(run.objective, enabled=more_to_come):  # pyright: ignore[reportArgumentType]
            weighted = by_its_share(run.objective(piece_of(run, batch)), batch)
            run.fabric.backward(torch.stack(list(weighted.values())).sum())
        seen.append({name: loss.detach() for name, loss in weighted.items()})
    return finish_step(run, batches, seen, rate)


def finish_step(run: Training, batches: Sequence[Batch], seen: Sequence[dict[str, torch.Tensor]], rate: float) -> Step:
    """The solver's step. Raises NotFiniteError before it."""
    norm = torch.nn.utils.clip_grad_norm_(run.model.parameters(), run.config.train.clip_gradient or math.inf)
    over_all = mean_of_processes(run.fabric, added_up(seen))
    *values, gradient_norm = torch.cat((over_all, norm.reshape(1).to(over_all.dtype))).tolist()  # the step's one wait
    losses = dict(zip(seen[0], values, strict=True))
    if not is_finite(losses, gradient_norm):
        raise NotFiniteError(losses, gradient_norm, rate)
    with halfway(run):
        run.optimizer.step()
        if run.average is not None:
            run.average.update(run.model, run.progress.step - run.stage.first)
    run.norms.append(gradient_norm)
    return Step(losses, gradient_norm, rate, batches[0].part.batch_size)


def fail_step(run: Training, batches: Sequence[Batch], found: NotFiniteError) -> NoReturn:
    """What is not finite must not reach the weights: every process keeps its part of the batch, and all end."""
    folder = folder_of(run.out, run.fabric.global_rank, run.fabric.world_size)
    taken, weights = run.progress.step, weights_of(run.model)
    is_first = taken == run.stage.first
    failure = Failure(taken + 1, found.losses, found.gradient_norm, found.rate, run.norms, weights, is_first=is_first)
    pictures = [path for batch in batches for path in batch.pictures]
    said = describe_failure(failure, run.config.train, pictures, run.out / "failure")  # of all processes together
    try:
        keep(folder, failed_step(run, batches, said))
    except FrcnnError as error:  # a full disk must not hide what happened
        raise FrcnnError(f"{said}; but they were not: {error}") from error
    finally:
        run.fabric.barrier()  # torchrun ends all where one ends: not before all have written
    raise FrcnnError(said)


def failed_step(run: Training, batches: Sequence[Batch], said: str) -> FailedStep:
    """What this process takes of the step that comes next."""
    return FailedStep(
        run.model,
        run.config,
        run.precision,
        run.progress.stage,
        run.progress.step,
        list(batches),
        [proposals_for(run, batch) for batch in batches],
        str(run.fabric.device),
        run.fabric.world_size,
        said,
    )


def check_weights(run: Training) -> None:
    """Nothing is kept that no use could be made of. Raises FrcnnError where a weight is not finite."""
    broken = next((name for name, value in run.model.state_dict().items() if not value.isfinite().all()), None)
    if broken is not None:
        raise FrcnnError(
            f"step {run.progress.step}: the weights are not finite any more ({broken}): {calmer(run.config.train)}"
        )


def keep_state(run: Training) -> None:
    """Write the state of this step."""
    if run.is_main:
        average = None if run.average is None else run.average.model
        save_state(run.out / "state", run.model, run.optimizer, run.progress, average)


def leave_proposals(run: Training, display: Display) -> None:
    """Write what the stage's RPN proposes for the next stage to train on; the others wait for the first process."""
    if run.stage.writes is not None and run.is_main:
        write_proposals(
            run.proposals_file(run.stage.writes),
            run.best_guess,
            run.train,
            run.config.train.proposals_per_image,
            workers=run.config.data.workers,
            precision=run.precision,
            progress=display.beside("writing proposals", len(run.train)),
        )
    run.fabric.barrier()


def finish_epoch(run: Training, display: Display, *, last: bool = False) -> None:
    """At an epoch's end: evaluate what was held out (once), keep the best model file, notice that nothing improves."""
    progress, taken = run.progress, run.progress.step - run.stage.first
    at_an_end = taken > 0 and (last or taken % run.steps_per_epoch == 0)
    if run.validation is None or not run.stage.leaves_detector or not at_an_end:
        return
    if progress.evaluated_step == progress.step:
        return
    check_weights(run)
    score = run.fabric.broadcast(evaluate_held_out(run, run.validation, display) if run.is_main else NOT_KNOWN_HERE)
    with interrupts_held():  # a state that knows of a best model, and no file of it, would never have one
        if take_if_best(score, progress) and run.is_main:
            save_model(run.best_guess, run.out / "best.safetensors")
        progress.evaluated_step = progress.step
        progress.ended_early = 0 < run.config.train.patience <= progress.in_vain
        if progress.ended_early:
            display.say(f"Ended early: no better validation AP in {progress.in_vain} epochs (train.patience).")
        keep_state(run)


def evaluate_held_out(run: Training, held_out: Dataset, display: Display) -> Score:
    """How good the model is on what is not trained on, logged and said.

    Raises FrcnnError where the network says nothing finite any more.
    """
    advance = display.beside("validating", len(held_out))
    evaluation = evaluate_model(
        run.best_guess,
        held_out,
        workers=run.config.data.workers,
        precision=run.precision,
        progress=lambda done, _: advance(done),
    )
    log_evaluation(run, display, evaluation)
    if not math.isfinite(evaluation.losses["total"]):
        raise FrcnnError(f"step {run.progress.step}: the validation loss is not finite: {calmer(run.config.train)}")
    return Score(evaluation.result.voc07_map, evaluation.losses["total"])
