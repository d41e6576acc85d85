"""Does training in bfloat16 learn as well as in float32? Several seeds of each; a line of JSON for each finished run.

    python benchmarks/precision.py --data VOC2007 --backbone mobilenet_v2.safetensors --results precision.jsonl

Runs that the file of results holds already are left out, and a run that was stopped goes on: it can be stopped at any
time. Without anything left to run, it prints the means, their difference, and its standard error.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import torch

import frcnn
from frcnn.device import Precision

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def main() -> None:
    """Run what is missing, then summarise."""
    asked = arguments()
    for seed in range(asked.seeds):
        for precision in PRECISIONS:
            if not any(run["seed"] == seed and run["precision"] == precision for run in finished(asked.results)):
                line = json.dumps(one_run(asked, seed, precision))
                with asked.results.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
                print(line, flush=True)
    print(json.dumps(summary(finished(asked.results))))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/precision"))
    parser.add_argument("--preset", default="mobilenet_v2_fpn")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args()


def one_run(asked: argparse.Namespace, seed: int, precision: Precision) -> dict[str, object]:
    """Train on the whole of trainval, and evaluate the last weights on test, in the same precision."""
    folder = asked.runs / f"{precision}-{seed}"
    wanted = [f"train.epochs={asked.epochs}", f"train.seed={seed}", "data.validation=0", "train.checkpoint_every=100"]
    resume = (folder / "state").is_dir()
    start = time.perf_counter()
    if resume:
        frcnn.train(asked.preset, asked.data, folder, resume=True)
    else:
        frcnn.train(asked.preset, asked.data, folder, overrides=wanted, backbone=asked.backbone, precision=precision)
    minutes = (time.perf_counter() - start) / 60
    evaluation = frcnn.evaluate(folder / "last.safetensors", asked.data, "test", precision=precision)
    return {
        "preset": asked.preset,
        "epochs": asked.epochs,
        "seed": seed,
        "precision": precision,
        "voc07_map": evaluation.result.voc07_map,
        "voc_map": evaluation.result.voc_map,
        "last_losses": last_losses(folder / "metrics.jsonl"),
        "minutes": None if resume else round(minutes, 1),  # of a run in one go
        "threads": torch.get_num_threads(),
    }


def last_losses(metrics: Path, lines: int = 20) -> float:
    """Mean total loss over the last lines of the log."""
    logged = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    return round(statistics.mean([line["total"] for line in logged if "total" in line][-lines:]), 4)


def finished(results: Path) -> list[dict[str, float]]:
    """What the file of results holds."""
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()] if results.exists() else []


def summary(runs: list[dict[str, float]]) -> dict[str, float]:
    """Mean average precision of each, and how far apart the means are, in standard errors of their difference."""
    scores = {
        precision: [run["voc07_map"] for run in runs if run["precision"] == precision] for precision in PRECISIONS
    }
    means = {precision: statistics.mean(values) for precision, values in scores.items()}
    error = math.sqrt(sum(statistics.variance(values) / len(values) for values in scores.values()))
    difference = means["bfloat16"] - means["float32"]
    return {**means, "difference": difference, "standard_error": error, "in_standard_errors": difference / error}


if __name__ == "__main__":
    main()
