"""`frcnn.train`: from what is asked for to a training under way in its folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from frcnn.config import Config
from frcnn.errors import UsageError
from frcnn.files import folder_unless_in_vain
from frcnn.interrupts import termination_raised
from frcnn.training.alone import alone_in, is_taken
from frcnn.training.checkpoint import newest_state, states
from frcnn.training.joining import begun_before, remember_begun
from frcnn.training.loop import run_training
from frcnn.training.processes import one_fate, open_fabric
from frcnn.training.run import Training, open_run
from frcnn.training.settings import require_run, settle, suit_to_weights
from frcnn.training.trackers import check_trackers
from frcnn.weights.imagenet import check_source


def train(
    preset: str,
    data: Sequence[Path | str] | Path | str,
    out: Path | str | None = None,
    *,
    config: Config | None = None,
    overrides: Sequence[str] = (),
    backbone: str | Path | None = None,
    weights: str | Path | None = None,
    schedule: str | None = None,
    resume: bool = False,
    device: str = "auto",
    precision: str | None = None,
    console: Console | None = None,
) -> Path:
    """Train a preset on data sets and return the run's folder.

    `overrides` are `section.key=value`; `backbone` is "imagenet" (the default, where such weights are published),
    "none" or a file of weights; `weights` is a detector to continue instead, whose head is made anew where the classes
    are others; `schedule` is "joint", which takes proposals as given, "exact", whose losses move them too, or
    "alternating", the paper's four steps. Under torchrun all processes train together. Raises UsageError before data
    is touched where the request makes no sense, FrcnnError where data or disk fail; Ctrl-C and SIGTERM write a state
    and raise KeyboardInterrupt.
    """
    if isinstance(overrides, str):  # a sequence of letters, to a type checker
        raise UsageError(f"overrides: give a list of settings, as in [{overrides!r}]")
    folder = Path(out or Path("runs") / preset)
    if resume:
        require_run(folder)
    resume = resume or begun_before(folder)
    settings = settle(
        preset,
        folder,
        config=config,
        overrides=overrides,
        precision=precision,
        schedule=schedule,
        resume=resume,
        backbone=backbone,
        weights=weights,
    )
    check_trackers(settings.train.trackers)
    paths = [Path(p) for p in ([data] if isinstance(data, str | Path) else data)]
    if not paths:
        raise UsageError("no data set is named: give --data PATH")
    fabric = open_fabric(device, settings.train.precision)
    state = newest_state(folder / "state") if resume else None
    if state is None and settings.train.weights is None:
        check_source(settings.train.backbone, settings.model.backbone.body)
    complete = config is not None or (resume and (folder / "config.toml").exists())  # suits its weights already
    suited = complete and backbone is None and weights is None
    suits = (lambda as_it_is, _: as_it_is) if suited else partial(suit_to_weights, overrides=overrides)
    with termination_raised(), one_fate(fabric):
        run = open_run(settings, folder, paths, fabric, state, suits)
        fabric.barrier()  # nobody looks into the folder any more: the first process may write
        with folder_held(run, state):
            run_training(run, console if console and run.is_main else Console(quiet=not run.is_main), resume=resume)
    return folder


@contextmanager
def folder_held(run: Training, state: Path | None) -> Iterator[None]:
    """The run's folder, there and held by the first process; a new one is gone where nothing comes of the block.

    Raises UsageError where it is another training's by now.
    """
    if not run.is_main:
        yield
        return
    with folder_unless_in_vain(run.out, partial(_leaves_something, run)), alone_in(run.out):
        if newest_state(run.out / "state") != state:
            raise UsageError(
                f"{run.out}: another training has just been there: look, and give --resume or another --out"
            )
        remember_begun(run.out)
        yield


def _leaves_something(run: Training) -> bool:
    """Steps that were taken, a batch to look at, or what is not ours."""
    written = bool(states(run.out / "state")) or (run.out / "failure").is_dir()
    return run.progress.step > 0 or written or is_taken(run.out)
