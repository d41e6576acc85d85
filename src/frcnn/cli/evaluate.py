"""`frcnn evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from frcnn.cli.arguments import (
    DataOption,
    DebugOption,
    DeviceOption,
    JsonOption,
    PrecisionOption,
    ReindexOption,
    ScoreOption,
)
from frcnn.cli.errors import complain, one_line_errors
from frcnn.interrupts import leaving_at_once

EXAMPLE = "Example: frcnn evaluate runs/voc/best.safetensors --data VOCdevkit/VOC2007 --out runs/voc/evaluation"


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model file, a preset with published weights, or a COCO result file (.json).",
            show_default=False,
        ),
    ],
    data: DataOption,
    split: Annotated[Literal["train", "val", "trainval", "test"], typer.Option("--split", help="Which part.")] = "test",
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the numbers, plots, errors/ and report.html into this folder.")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Pictures at a time.")] = 1,
    bad_boxes: Annotated[
        Literal["refuse", "skip"], typer.Option("--bad-boxes", help="What to do about boxes that cannot be.")
    ] = "refuse",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
    score: ScoreOption = None,
    language: Annotated[Literal["en", "ko"], typer.Option("--lang", help="The language of report.html.")] = "en",
    reindex: ReindexOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Score a model: VOC's and COCO's average precision of each class, what is wrong and why, and the losses."""
    with one_line_errors(debug):
        with leaving_at_once():
            import json

            from rich.console import Console

            from frcnn import evaluate as run
            from frcnn.data.dataset import open_sets
            from frcnn.drawing import describe_undrawable
            from frcnn.progress import progress_bar

        if reindex:
            open_sets(data, reindex=True)
        with progress_bar("evaluating") as progress:
            evaluation = run(
                model,
                data,
                split,
                out,
                bad_boxes=bad_boxes,
                batch_size=batch_size,
                device=device,
                precision=precision,
                score_threshold=score,
                language=language,
                progress=progress,
            )
        if as_json:
            typer.echo(json.dumps(evaluation.metrics_dict(), indent=1))
        else:
            Console().print(evaluation.to_table())
            if out is not None:
                typer.echo(f"Look at {out / 'report.html'}")
        if evaluation.misfits:
            complain(evaluation.describe_misfits())
        if out is not None and (lacking := describe_undrawable(evaluation.result.per_class)):
            complain(lacking)
