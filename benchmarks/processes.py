"""Do two processes have the losses of one? A line of JSON a comparison: by how much they differ, where first, and why.

    python benchmarks/processes.py --pictures 200 --learn 300 --steps 20

Trains `tiny` for a while on drawn pictures; then takes a few steps from what it has learnt, and as many from random
weights: with one process, with two, and, for comparison, with one of two threads, which adds up in another order too.
Each run writes down which anchors became proposals and which regions were trained on. Those are choices between scores
that may be nearly equal: rounding turns some of them, and from there on a loss is of other regions. So two processes
also run with the choices that one has made: what still differs then is rounding alone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from frcnn.data.sample import write_sample
from frcnn.evaluation.history import read_metrics
from frcnn.files import make_folder
from frcnn.model import detector, head
from frcnn.training import loop
from frcnn.training.begin import train

LOSSES = ("rpn_objectness", "rpn_box", "head_class", "head_box")
CLOSE = 1e-4  # of a loss
SAME_REGION = 0.05  # pixels by which rounding may move a region that is the same
COMMON = ("data.validation=0", "train.log_every=1", "train.checkpoint_every=100000")

Line = dict[str, Any]


class Way(NamedTuple):
    """By how many processes, with how many threads each, and whether with the choices of the first way."""

    processes: int
    threads: int
    same_choices: bool = False


class Choices(NamedTuple):
    """Of one picture in one step."""

    proposals: Tensor  # anchors
    positive: Tensor  # of the proposals and then the objects: which are trained on, as objects ...
    negative: Tensor  # ... and as background
    regions: Tensor  # x1, y1, x2, y2 and class of what is trained on


Recorded = dict[tuple[int, int], Choices]  # by step and picture


def main() -> None:
    """Learn, then compare; or, within one of the processes, record a run."""
    asked = arguments()
    if asked.record is not None:
        record(asked.data, asked.record, asked.set, recorded(asked.choices) if asked.choices else {})
        return
    with working_folder(asked.folder) as folder:
        data = folder / "data" if (folder / "data").is_dir() else write_sample(folder / "data", asked.pictures)
        learnt = learn(data, folder / "learnt", asked.learn, asked.threads)
        words = {"learnt": f"train.weights='{learnt}'", "random": "train.seed=0"}
        for start in asked.starts:
            settings = (
                *COMMON,
                words[start],
                f"train.steps={asked.steps}",
                f"train.precision={asked.precision}",
                *asked.set,
            )
            with tempfile.TemporaryDirectory(dir=folder, prefix=f"{start}-") as runs:
                compare(data, Path(runs), start, settings)


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--learn", type=int, default=300, help="steps before anything is compared")
    parser.add_argument("--steps", type=int, default=20, help="that are compared")
    parser.add_argument("--precision", choices=("float32", "float64"), default="float32")
    parser.add_argument("--starts", nargs="+", choices=("learnt", "random"), default=["learnt", "random"])
    parser.add_argument("--threads", type=int, default=2, help="for learning")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the runs that are compared")
    parser.add_argument("--folder", type=Path, help="to work in; what was learnt there is not learnt again")
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--choices", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(words)


@contextmanager
def working_folder(asked_for: Path | None) -> Iterator[Path]:
    """The folder asked for, or one that is gone afterwards."""
    if asked_for is not None:
        yield make_folder(asked_for)
        return
    with tempfile.TemporaryDirectory(prefix="frcnn-processes-") as name:
        yield Path(name)


def learn(data: Path, out: Path, steps: int, threads: int) -> Path:
    """A model that knows something, and where it is."""
    model = out / "last.safetensors"
    if not model.exists():
        torch.set_num_threads(threads)
        wanted = (*COMMON, f"train.steps={steps}", "train.precision=float32")
        train("tiny", data, out, overrides=wanted)
    return model


def compare(data: Path, folder: Path, start: str, settings: Sequence[str]) -> None:
    """Run in each way, and print how the others differ from the first."""
    first, *others = (Way(1, 1), Way(2, 1), Way(2, 1, same_choices=True), Way(1, 2))
    run(data, folder / name_of(first), first, settings)
    for way in others:
        run(data, folder / name_of(way), way, settings, folder / name_of(first))
        line = {"start": start, **way._asdict()} | difference(folder / name_of(first), folder / name_of(way))
        print(json.dumps(line), flush=True)


def name_of(way: Way) -> str:
    """Of a run's folder."""
    return "-".join(map(str, way))


def run(data: Path, out: Path, way: Way, settings: Sequence[str], first: Path | None = None) -> None:
    """This script once more, in as many processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={way.processes}"]
    choices = ["--choices", first] if way.same_choices else []
    words = [__file__, "--data", data, "--record", out, *choices, "--set", *settings]
    command = [sys.executable, *(launcher if way.processes > 1 else []), *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": str(way.threads)}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def record(data: Path, out: Path, settings: Sequence[str], given: Recorded) -> None:
    """Train, and write down what was chosen, or was `given`."""
    seen: Recorded = {}
    at_work: list[tuple[int, int]] = []  # steps and pictures
    proposals: list[Tensor] = []
    drawn: list[tuple[Tensor, Tensor]] = []
    make_piece, choose, sample_proposals, sample = (
        loop.piece_of,
        detector.choose,
        detector.sample_proposals,
        head.sample,
    )

    def piece_of(training: Any, batch: Any) -> Any:
        live = batch.part.weight > 0
        at_work[:] = [(training.progress.step + 1, order.number if live else -1) for order in batch.part.orders]
        return make_piece(training, batch)

    def choosing(*arguments: Any, **options: Any) -> list[Tensor]:
        own = choose(*arguments, **options)
        proposals[:] = [given[key].proposals if key in given else mine for key, mine in zip(at_work, own, strict=True)]
        return list(proposals)

    def sampling(*arguments: Any, **options: Any) -> tuple[Tensor, Tensor]:
        own, key = sample(*arguments, **options), at_work[0]
        drawn[:] = [(given[key].positive, given[key].negative) if key in given else own]
        return drawn[0]

    def sampling_proposals(*arguments: Any, **options: Any) -> Any:
        samples = sample_proposals(*arguments, **options)
        rows = torch.cat((samples.boxes.detach(), samples.class_ids[:, None]), dim=1)
        seen[at_work.pop(0)] = Choices(proposals.pop(0), *drawn[0], rows.double())
        return samples

    loop.piece_of, detector.choose, detector.sample_proposals = piece_of, choosing, sampling_proposals
    head.sample = sampling
    train("tiny", data, out, overrides=settings)
    torch.save({key: tuple(choices) for key, choices in seen.items()}, f"{out}-of-{os.environ.get('RANK', 0)}.pt")


def recorded(out: Path) -> Recorded:
    """What all processes of a run have written down."""
    files = sorted(out.parent.glob(f"{out.name}-of-*.pt"))
    choices = {key: Choices(*values) for file in files for key, values in torch.load(file).items()}
    return {key: values for key, values in choices.items() if key[1] >= 0}


def difference(one: Path, other: Path) -> Line:
    """Losses first, then the choices."""
    pairs = list(zip(steps_of(one), steps_of(other), strict=True))
    apart = [{name: abs(a[name] - b[name]) for name in LOSSES if name in a} for a, b in pairs]
    beyond = next((number for number, losses in enumerate(apart) if max(losses.values()) > CLOSE), None)
    turned = turned_choices(recorded(one), recorded(other), len(apart))
    undecided = next((number for number, (_, regions) in enumerate(turned) if regions), len(apart))
    before = [max(losses.values()) for losses in apart[:undecided]]
    return {
        "steps": len(apart),
        "within": CLOSE if beyond is None else None,
        "largest": {name: float(f"{max(losses.get(name, 0) for losses in apart):.2g}") for name in LOSSES},
        "loss": [round(a["total"], 3) for a, _ in (pairs[0], pairs[-1])],
        "first_beyond": None if beyond is None else {"step": beyond + 1, **shown(apart[beyond])},
        "first_other_proposals": next((n + 1 for n, (proposals, _) in enumerate(turned) if proposals), None),
        "first_other_regions": undecided + 1 if undecided < len(apart) else None,
        "largest_before_other_regions": float(f"{max(before, default=0):.2g}"),
        "largest_a_step": [float(f"{max(losses.values()):.1g}") for losses in apart],
        "other_proposals_a_step": [proposals for proposals, _ in turned],
        "other_regions_a_step": [regions for _, regions in turned],
    }


def steps_of(out: Path) -> list[Line]:
    """The lines of the steps in a run's log."""
    return [line for line in read_metrics(out / "metrics.jsonl") if line["event"] == "step"]


def shown(losses: Line) -> Line:
    """In two digits."""
    return {name: float(f"{loss:.2g}") for name, loss in losses.items()}


def turned_choices(one: Recorded, other: Recorded, steps: int) -> list[tuple[int, int]]:
    """Of each step: how many of its anchors became proposals in the one run alone, and how many of its regions are."""
    turned = []
    for step in range(1, steps + 1):
        pairs = [(choices, other[key]) for key, choices in one.items() if key[0] == step]
        proposals = sum(len(set(a.proposals.tolist()) - set(b.proposals.tolist())) for a, b in pairs)
        turned.append((proposals, sum(without_twin(a.regions, b.regions) for a, b in pairs)))
    return turned


def without_twin(one: Tensor, other: Tensor) -> int:
    """How many rows are in the one alone."""
    apart = (one[:, None] - other[None]).abs().amax(dim=2)
    return int((apart > SAME_REGION).all(dim=1).sum())


if __name__ == "__main__":
    main()
