"""What a preset learns from photos as it stands: several seeds, tested on photos that it has not seen.

    python benchmarks/photos.py --name voc-part --preset mobilenet_v2_fpn --data VOC2007 --test VOC2007 \
        --backbone mobilenet_v2.safetensors --results photos.jsonl

Trains on all of trainval (or train and val) of every --data, with the preset's own settings and what --set says, in
bfloat16; the last weights are tested on the split test of --test. A line of JSON for each finished run; runs that the
file holds already are left out, and one that was stopped goes on. At the end it prints a Markdown table.
"""

import argparse
import json
import sys
from pathlib import Path

from results_file import Line, append, markdown, origin, read_lines, spread

import frcnn
from frcnn.device import Precision
from frcnn.evaluation.history import column, read_history

PRECISION: Precision = "bfloat16"


def main() -> None:
    """Run what is missing, then summarise."""
    asked = arguments()
    lines = [line for line in read_lines(asked.results) if line["name"] == asked.name]
    if any((line["preset"], line["settings"]) != (asked.preset, asked.settings) for line in lines):
        sys.exit(f"{asked.results}: {asked.name} is another recipe there: give another --name")
    done = {line["seed"] for line in lines}
    for seed in asked.seeds:
        if seed not in done:
            try:
                line = measured(asked, seed)
            except KeyboardInterrupt:
                sys.exit("Stopped: the same command goes on.")
            except frcnn.FrcnnError as error:
                sys.exit(str(error))
            append(asked.results, line)
            print(json.dumps(line), flush=True)
    print(summary(read_lines(asked.results)))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--name", required=True, help="what this recipe is called in the results")
    parser.add_argument("--results", type=Path, required=True, help="the file of lines of JSON")
    parser.add_argument("--preset", default="mobilenet_v2_fpn")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--test", type=Path, required=True, help="the data set whose test split is looked at")
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--backbone", help="a file of weights, imagenet or none")
    start.add_argument("--weights", help="a detector to continue")
    parser.add_argument("--set", nargs="*", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/photos"), help="the folder to train in")
    return parser.parse_args()


def measured(asked: argparse.Namespace, seed: int) -> Line:
    """Train, from where the run stands, and test the last weights."""
    folder = asked.runs / f"{asked.name}-seed-{seed}"
    frcnn.train(
        asked.preset,
        asked.data,
        folder,
        overrides=(f"train.seed={seed}", "data.validation=0", *asked.settings),
        backbone=asked.backbone,
        weights=asked.weights,
        precision=PRECISION,
        resume=any(folder.glob("state/step_*.safetensors")),  # which is refused where the recipe was another
    )
    result = frcnn.evaluate(
        folder / "last.safetensors", asked.test, "test", bad_boxes="skip", precision=PRECISION
    ).result
    history = read_history(folder / "metrics.jsonl")
    memory = column(history.steps, "memory_mb")
    return {
        "name": asked.name,
        "preset": asked.preset,
        "seed": seed,
        "settings": asked.settings,
        "voc07_map": result.voc07_map,
        "voc_map": result.voc_map,
        "minutes": round(history.seconds / 60, 2),
        "epochs": history.steps[-1]["epoch"],
        "memory_mb_first_epoch": max(m for m, step in zip(memory, history.steps, strict=True) if step["epoch"] == 1),
        "memory_mb_last_epoch": max(memory[-len(memory) // history.steps[-1]["epoch"] :]),
    } | origin()


def summary(lines: list[Line]) -> str:
    """A row a recipe: mean and standard deviation over its seeds."""
    head = ["recipe", "preset", "seeds", "VOC07 mAP", "VOC mAP", "minutes", "MB in the first epoch", "in the last"]
    rows = []
    for name in dict.fromkeys(line["name"] for line in lines):
        runs = [line for line in lines if line["name"] == name]
        scores = [spread(line[key] for line in runs) for key in ("voc07_map", "voc_map")]
        sizes = ("minutes", "memory_mb_first_epoch", "memory_mb_last_epoch")
        rows.append(
            [name, runs[0]["preset"], str(len(runs)), *scores, *(spread((x[key] for x in runs), 1) for key in sizes)]
        )
    return markdown(head, rows, words=3)


if __name__ == "__main__":
    main()
