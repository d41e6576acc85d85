"""One training: all that it holds on to, and how it is made from what was asked for."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn

from frcnn.config import Config, changed_settings, from_toml, to_toml
from frcnn.data.dataset import Dataset, training_splits
from frcnn.data.order import number_of_batches
from frcnn.device import Precision
from frcnn.errors import FrcnnError, UsageError
from frcnn.model.detector import FasterRCNN
from frcnn.predict import open_model
from frcnn.training.averaging import AverageModel
from frcnn.training.checkpoint import Progress, load_state, read_progress
from frcnn.training.diagnosis import REMEMBERED
from frcnn.training.log import Log
from frcnn.training.objectives import Objective
from frcnn.training.optim import build_optimizer
from frcnn.training.proposals import WrittenProposals
from frcnn.training.schedules import Stage, stages_of, take_weights, train_only
from frcnn.training.settings import FREE_WHEN_RESUMED
from frcnn.training.synced_batch_norm import synced
from frcnn.weights.build import assemble, starting_weights
from frcnn.weights.fine_tune import Kept, fine_tuned
from frcnn.weights.imagenet import BackboneWeights

Start = FasterRCNN | BackboneWeights | None
Suits = Callable[[Config, Start], Config]


@dataclass
class Training:
    """All that one training holds on to. Every process has one; only the first (`is_main`) writes files."""

    config: Config
    out: Path
    train: Dataset
    validation: Dataset | None
    fabric: Fabric
    model: FasterRCNN
    begin_anew: Callable[[], FasterRCNN]  # the model as it was before the first step
    kept: Kept | None = None  # what a continued detector has kept of its head
    progress: Progress = field(default_factory=Progress)
    changed: Mapping[str, str] = field(default_factory=dict)  # settings that are others than when the state was written
    trainable: frozenset[str] = field(init=False)  # names of the weights that may learn, whatever the stage
    is_halfway: bool = False  # between two places that can be gone on from
    log: Log = field(init=False)
    norms: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))  # of the last steps' gradients
    # What a stage brings: see `enter_stage`.
    optimizer: torch.optim.Optimizer = field(init=False)
    objective: nn.Module = field(init=False)
    average: AverageModel | None = field(init=False, default=None)
    proposals: WrittenProposals | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.trainable = frozenset(name for name, value in self.model.named_parameters() if value.requires_grad)
        self.log = Log(self.out, self.config, speaks=self.is_main)

    @property
    def is_main(self) -> bool:
        """Is this the process that writes and speaks?"""
        return self.fabric.is_global_zero

    @cached_property
    def steps_per_epoch(self) -> int:
        """One step a batch, every picture once an epoch."""
        return number_of_batches(
            self.train, self.config.train.batch_size, group_by_aspect=self.config.data.group_by_aspect
        )

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """What the schedule asks for."""
        return stages_of(self.config.train, self.steps_per_epoch)

    @property
    def stage(self) -> Stage:
        """The one that the training is in."""
        return self.stages[self.progress.stage]

    @property
    def total_steps(self) -> int:
        """Of all stages."""
        return self.stages[-1].end

    @property
    def best_guess(self) -> FasterRCNN:
        """The model that is evaluated and kept: the average of the weights where there is one."""
        return self.model if self.average is None else self.average.model

    @property
    def precision(self) -> Precision:
        """How precisely the network computes between the steps."""
        return "bfloat16" if self.config.train.precision == "bfloat16" else "float32"

    def proposals_file(self, name: str) -> Path:
        """Where a step's proposals are written."""
        return self.out / "proposals" / f"{name}.npy"


def open_run(
    settings: Config, out: Path, paths: Sequence[Path], fabric: Fabric, state: Path | None, suits: Suits
) -> Training:
    """The training that `settings` describe, before its first step or where `state` stands.

    `suits` makes the settings suit the weights that it begins with. Raises FrcnnError for data, weights or a state that
    cannot be used.
    """
    learnt, held_out = training_splits(
        paths, settings.data.validation, settings.train.seed, bad_boxes=settings.data.bad_boxes
    )
    source = None if state else read_start(settings)
    settings = settings if state else suits(settings, source)
    model, kept = made(settings, learnt.class_names, source, fabric)

    def begin_anew() -> FasterRCNN:
        return made(settings, learnt.class_names, read_start(settings), fabric)[0]

    run = Training(settings, out, learnt, held_out, fabric, model, begin_anew, kept)
    run.progress.data, run.progress.settings = fingerprint(learnt, held_out), to_toml(settings)
    if state is None:
        run.progress.beginning = fingerprint_of_backbone(model) if begins_anew_later(run) else ""
        enter_stage(run)
    else:
        take_up(run, state)
    return run


def take_up(run: Training, state: Path) -> None:
    """Put the run where `state` stands. Raises FrcnnError where it is of other data or of another model."""
    fresh, run.progress = run.progress, read_progress(state) or run.progress
    if run.progress.data != fresh.data:
        raise FrcnnError(
            f"{state}: was written while other pictures, boxes or classes were trained on or held out: resume with the "
            "same data sets in the same order, or start a new run with --weights and another --out"
        )
    if run.progress.settings:  # else the state is older than this
        run.changed = changed_settings(from_toml(run.progress.settings, str(state)), run.config)
    if bound := {key: change for key, change in run.changed.items() if key not in FREE_WHEN_RESUMED}:
        raise UsageError(
            f"{run.out / 'config.toml'}: has changed since {state.name} was written ({listed(bound)}), and a run "
            "keeps its settings: undo that, or start a new run with --weights and another --out"
        )
    run.progress.settings = fresh.settings
    if begins_anew_later(run):
        beginning(run)  # what is missing is better known now than after the stage
    enter_stage(run)
    load_state(state, run.model, run.optimizer, run.average.model if run.average else None)


def listed(changes: Mapping[str, str]) -> str:
    """Changed settings in a line."""
    return ", ".join(f"{key} {change}" for key, change in changes.items())


def fingerprint(*datasets: Dataset | None) -> str:
    """The same for the same pictures (by their names) with the same boxes in the same order, wherever they lie."""
    there = [dataset for dataset in datasets if dataset is not None]
    digest = hashlib.blake2b(str([len(dataset) for dataset in there]).encode(), digest_size=16)  # which has which
    for example in chain.from_iterable(dataset.examples for dataset in there):
        target = example.target
        digest.update(f"{example.picture.name} {example.size} {target.class_ids.tolist()}".encode())
        digest.update(target.boxes.numpy().tobytes())
        digest.update(target.ignored_boxes().numpy().tobytes())
    return digest.hexdigest()


def fingerprint_of_backbone(model: FasterRCNN) -> str:
    """The same for the same weights."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in model.backbone.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def begins_anew_later(run: Training) -> bool:
    """Will a later stage read again what the run began with?"""
    return any(stage.starts_anew for stage in run.stages[run.progress.stage + 1 :])


def beginning(run: Training) -> FasterRCNN:
    """The model as it was before the first step, read again. Raises FrcnnError where its file is another by now."""
    model = run.begin_anew()
    if run.progress.beginning not in ("", fingerprint_of_backbone(model)):
        raise FrcnnError(
            f"{run.config.train.weights or run.config.train.backbone}: holds other weights than when this training "
            "began, and its second step begins with those: put them back, or start a new run with another --out"
        )
    return model


def read_start(settings: Config) -> Start:
    """What the run begins with: a detector, a backbone's weights, or nothing. Raises FrcnnError."""
    if settings.train.weights is not None:
        return open_model(settings.train.weights)
    return starting_weights(settings.model, settings.train.backbone)


def made(settings: Config, class_names: Sequence[str], start: Start, fabric: Fabric) -> tuple[FasterRCNN, Kept | None]:
    """The model before its first step, on its device; with a detector to continue, what was kept of its head."""
    torch.manual_seed(settings.train.seed)  # the layers that start at random
    if isinstance(start, FasterRCNN):
        model, kept = fine_tuned(start, settings.model, class_names, str(settings.train.weights))
    else:
        model, kept = assemble(settings.model, class_names, start), None
    if settings.train.precision == "float64":
        model.double()
    model.to(fabric.device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (not in torch's types)
    synced(model)
    return model, kept


def enter_stage(run: Training) -> None:
    """What the current stage trains, with a solver of its own, on the proposals that the stage before has written."""
    train_only(run.model, run.stage.trains, run.trainable)
    run.norms.clear()
    run.model.zero_grad(set_to_none=True)  # what no longer trains must not count in the gradient's norm
    run.optimizer = build_optimizer(run.model, run.config.train)
    run.objective = run.fabric.setup_module(Objective(run.model, run.stage.losses_of), move_to_device=False)
    decay = run.config.train.ema_decay
    run.average = AverageModel(run.model, decay) if decay > 0 else None
    reads = run.stage.reads
    run.proposals = WrittenProposals(run.proposals_file(reads), run.train) if reads else None


def next_stage(run: Training) -> None:
    """Go over to the stage that follows, with the weights that it begins with."""
    if run.average is not None:
        run.model.load_state_dict(run.average.model.state_dict())
    run.progress.stage += 1
    if run.stage.starts_anew:
        take_weights(run.model, beginning(run), run.stage.starts_anew)
    enter_stage(run)


@contextmanager
def halfway(run: Training) -> Iterator[None]:
    """Whatever fails within the block leaves a training of which no state may be written."""
    run.is_halfway = True
    yield
    run.is_halfway = False
