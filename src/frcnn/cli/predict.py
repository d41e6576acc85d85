"""`frcnn predict`."""

from pathlib import Path
from typing import Annotated

import typer

from frcnn.cli.arguments import DebugOption, DeviceOption, JsonOption, ModelArgument, PrecisionOption, ScoreOption
from frcnn.cli.errors import FAILED, complain, one_line_errors
from frcnn.interrupts import leaving_at_once

EXAMPLE = "Example: frcnn predict resnet50_fpn street.jpg holidays/ 'photos/*.png' --score 0.5 --out runs/seen"


def predict(
    model: ModelArgument,
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Pictures, folders of pictures, globs.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder for drawn pictures and detections.json.")] = Path(
        "runs/predict"
    ),
    save: Annotated[str, typer.Option("--save", help="What to write: pictures, json, or both.")] = "pictures,json",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Pictures at a time.")] = 1,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
    score: ScoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Find objects in pictures: draws them into --out and writes detections.json there."""
    with one_line_errors(debug):
        with leaving_at_once():
            import json

            from frcnn.drawing import describe_undrawable
            from frcnn.predict import predict as run

        predictions = run(
            model,
            sources,
            out,
            save=[name for name in save.replace(" ", "").split(",") if name],
            device=device,
            precision=precision,
            score_threshold=score,
            batch_size=batch_size,
            progress=True,
        )
        typer.echo(json.dumps(predictions.to_dict(), indent=1) if as_json else predictions.summary())
        found = (detections for path, detections in predictions.detections.items() if path in predictions.drawn)
        if lacking := describe_undrawable(one.class_name for detections in found for one in detections):
            complain(lacking)
        for problem in predictions.problems:
            complain(problem)
        if predictions.problems:
            raise typer.Exit(FAILED)
