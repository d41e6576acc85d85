"""The paper's three trainings, side by side: mAP, time, recall by proposals; and its ablations. A line of JSON a run.

    python benchmarks/schedules.py --data VOC2007 --backbone mobilenet_v2.safetensors --results schedules.jsonl
    python benchmarks/schedules.py --results schedules.jsonl --summary

Seed by seed, each preset by each schedule, on the whole of trainval; the last weights are tested on test. Runs that
the file of results holds already are left out, and a run that was stopped goes on: it can be stopped at any time. At
the end it prints Markdown tables. With --ablations it runs those instead (Sec. 4.1, Tables 2, 8 and 9 of the paper).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from results_file import Line, append, markdown, origin, read_lines, spread

import frcnn
from frcnn.data.dataset import load_dataset
from frcnn.device import Precision, choose_device
from frcnn.evaluation.history import read_history
from frcnn.evaluation.proposal_recall import COUNTS, proposal_recall, with_proposals
from frcnn.evaluation.run import evaluate_model
from frcnn.weights.model_file import load_model

PRESETS = ("mobilenet_v2_c4", "mobilenet_v2_fpn")
SCHEDULES = ("joint", "exact", "alternating")  # cheap ones first
PRECISION: Precision = "bfloat16"
SHOWN_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
PROPOSALS = (50, 100, 300, 1000)  # at test
ANCHORS = {"1x1": ([128], [1]), "1x3": ([128], [0.5, 1, 2]), "4x1": ([32, 64, 128, 256], [1])}  # scales x ratios
LAMBDAS = (0.1, 1, 10)  # over the grid's cells, as in Eq. 1; the presets divide by the sampled anchors

Key = tuple[str, str, int, int, str, str]


class Run(NamedTuple):
    """One line of the results, before it is measured."""

    preset: str
    schedule: str
    seed: int
    epochs: int
    ablation: str = ""
    variant: str = ""
    changes: tuple[str, ...] = ()  # of the preset's settings
    proposals: int | None = None  # at test, by a model that is trained without changes

    @property
    def key(self) -> Key:
        """By what it is known in the file of results."""
        return self.preset, self.schedule, self.seed, self.epochs, self.ablation, self.variant

    @property
    def folder(self) -> str:
        """The name of the folder it trains in."""
        parts = (self.preset, self.schedule, f"{self.epochs}-epochs", f"seed-{self.seed}")
        return "-".join((*parts, self.ablation, self.variant) if self.changes else parts)


def main() -> None:
    """Run what is missing, then summarise."""
    asked = arguments()
    try:
        failures = [] if asked.summary else work(asked)
    except KeyboardInterrupt:
        print("Stopped: the same command goes on.", file=sys.stderr)
        sys.exit(130)
    print(summary(finished(asked.results), asked))
    if failures:
        sys.exit("\n".join(failures))


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", type=Path, required=True, help="the file of lines of JSON")
    parser.add_argument("--data", type=Path, help="a VOC set with trainval and test")
    parser.add_argument("--backbone", help="a file of weights, or none")
    parser.add_argument("--runs", type=Path, default=Path("runs/schedules"), help="the folder to train in")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--schedules", nargs="+", default=list(SCHEDULES), choices=SCHEDULES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=6, help="of a training; of each step of the alternating one")
    parser.add_argument("--summary", action="store_true", help="only print what the results say")
    parser.add_argument("--ablations", action="store_true", help="run these in place of the three trainings")
    parser.add_argument("--ablation-preset", default="mobilenet_v2_c4", help="of one level, for the anchors' sake")
    parser.add_argument("--ablation-seed", type=int, default=0)
    asked = parser.parse_args(words)
    if not asked.summary and (asked.data is None or asked.backbone is None):
        parser.error("--data and --backbone are needed, except for --summary")
    return asked


def planned(asked: argparse.Namespace) -> list[Run]:
    """Every run asked for, so ordered that what is there after a while can be compared already."""
    if asked.ablations:
        return ablations(asked)
    return [
        Run(preset, schedule, seed, asked.epochs)
        for seed in asked.seeds
        for schedule in asked.schedules
        for preset in asked.presets
    ]


def ablations(asked: argparse.Namespace) -> list[Run]:
    """What the paper varies: proposals at test, anchors, and lambda. The preset as it is has 300 proposals."""
    plain = Run(asked.ablation_preset, "joint", asked.ablation_seed, asked.epochs)
    runs = [plain._replace(ablation="proposals", variant=str(count), proposals=count) for count in PROPOSALS]
    for name, (sizes, ratios) in ANCHORS.items():
        changes = (f"model.anchors.sizes=[{sizes}]", f"model.anchors.ratios={ratios}")
        runs.append(plain._replace(ablation="anchors", variant=name, changes=changes))
    for weight in LAMBDAS:
        changes = (f"model.rpn.box_weight={weight}", "model.rpn.box_normaliser=locations")
        runs.append(plain._replace(ablation="lambda", variant=str(weight), changes=changes))
    return runs


def work(asked: argparse.Namespace) -> list[str]:
    """Measure what the results do not hold yet; returns what failed, since the others can still be measured."""
    failures: list[str] = []
    plan = planned(asked)
    for number, run in enumerate(plan, start=1):
        if run.key in finished(asked.results):
            continue
        print(f"{number} of {len(plan)}: {' '.join(map(str, run.key)).strip()}", file=sys.stderr, flush=True)
        try:
            line = measured(run, asked)
        except frcnn.FrcnnError as error:
            failures.append(f"{run.folder}: {error}")
            print(failures[-1], file=sys.stderr, flush=True)
        else:
            append(asked.results, line)
            print(json.dumps(line), flush=True)
    return failures


def measured(run: Run, asked: argparse.Namespace) -> Line:
    """Train where it is not done yet, and evaluate the last weights on test."""
    folder = trained(run, asked)
    model = load_model(folder / "last.safetensors").to(choose_device("auto"))
    test = load_dataset([asked.data], "test", model.class_names)
    model = model if run.proposals is None else with_proposals(model, run.proposals)
    result = evaluate_model(model, test, workers=2, precision=PRECISION, with_losses=False).result
    line: Line = {"preset": run.preset, "schedule": run.schedule, "seed": run.seed, "epochs": run.epochs}
    if run.ablation:
        line |= {"ablation": run.ablation, "variant": run.variant}
    recall = proposal_recall(model, test, workers=2, precision=PRECISION)
    line |= {"voc07_map": result.voc07_map, "voc_map": result.voc_map, "minutes": round(minutes(folder), 2)}
    return line | {"proposal_recall": recall.as_dict()} | origin()


def trained(run: Run, asked: argparse.Namespace) -> Path:
    """The run's folder with its last weights: trained from the start, from where it stopped, or long since."""
    folder = asked.runs / run.folder
    if (folder / "last.safetensors").exists():
        return folder
    wanted = (f"train.epochs={run.epochs}", f"train.seed={run.seed}", "data.validation=0", "train.checkpoint_every=250")
    return frcnn.train(
        run.preset,
        asked.data,
        folder,
        overrides=(*wanted, *run.changes),
        backbone=asked.backbone,
        schedule=run.schedule,
        precision=PRECISION,
        resume=any(folder.rglob("state/step_*.safetensors")),  # which is refused where the backbone was another
    )


def minutes(folder: Path) -> float:
    """Spent on what was kept, over all starts, and over all steps where they have logs of their own."""
    return sum(read_history(path).seconds for path in folder.rglob("metrics.jsonl")) / 60


def finished(results: Path) -> dict[Key, Line]:
    """The whole lines of the results, the last of each run."""
    return {key_of(line): line for line in read_lines(results)}


def key_of(line: Line) -> Key:
    """The key of the run that a line is of."""
    plain = (line["preset"], line["schedule"], line["seed"], line["epochs"])
    return (*plain, line.get("ablation", ""), line.get("variant", ""))


def summary(lines: dict[Key, Line], asked: argparse.Namespace) -> str:
    """Markdown: mean and standard deviation over the seeds, recall by IoU, and the ablations once there are some."""
    groups = {
        (preset, schedule): [
            lines[run.key] for seed in asked.seeds if (run := Run(preset, schedule, seed, asked.epochs)).key in lines
        ]
        for preset in asked.presets
        for schedule in asked.schedules
    }
    tables = [schedule_table(groups, len(asked.seeds)), recall_table(groups)]
    if any(run.key in lines for run in ablations(asked)):
        tables.append(ablation_table(lines, asked))
    return "\n\n".join(tables)


def schedule_table(groups: dict[tuple[str, str], list[Line]], seeds: int) -> str:
    """One row a preset and schedule. AR: recall averaged over IoU .5 to .9."""
    head = ["preset", "schedule", "seeds", "VOC07 mAP", "VOC mAP", "minutes", *(f"AR at {count}" for count in COUNTS)]
    rows = [
        [
            *names,
            str(len(runs)) if len(runs) == seeds else f"{len(runs)} of {seeds}",
            spread(run["voc07_map"] for run in runs),
            spread(run["voc_map"] for run in runs),
            spread((run["minutes"] for run in runs), digits=1),
            *(spread(average_recall(run, count) for run in runs) for count in COUNTS),
        ]
        for names, runs in groups.items()
    ]
    return markdown(head, rows, words=2)


def recall_table(groups: dict[tuple[str, str], list[Line]]) -> str:
    """One row an IoU, one column a number of proposals, for what there is."""
    head = ["preset", "schedule", "IoU", *(f"recall at {count}" for count in COUNTS)]
    rows = [
        [*names, f"{threshold:g}", *(spread(recall(run, threshold, count) for run in runs) for count in COUNTS)]
        for names, runs in groups.items()
        if runs
        for threshold in SHOWN_THRESHOLDS
    ]
    return markdown(head, rows, words=2)


def ablation_table(lines: dict[Key, Line], asked: argparse.Namespace) -> str:
    """One row a variant."""
    head = ["ablation", "variant", "VOC07 mAP", "VOC mAP", "AR at 300"]
    rows = []
    for run in ablations(asked):
        found = [lines[run.key]] if run.key in lines else []
        scores = [spread(line[name] for line in found) for name in ("voc07_map", "voc_map")]
        rows.append([run.ablation, run.variant, *scores, spread(average_recall(line, 300) for line in found)])
    return markdown(head, rows, words=2)


def average_recall(line: Line, count: int) -> float | None:
    """By the first `count` proposals; None where there is no object."""
    table = line["proposal_recall"]
    return table["average_recall"][table["counts"].index(count)]


def recall(line: Line, threshold: float, count: int) -> float | None:
    """By the first `count` proposals at one IoU."""
    table = line["proposal_recall"]
    return table["recall"][table["thresholds"].index(threshold)][table["counts"].index(count)]


if __name__ == "__main__":
    main()
