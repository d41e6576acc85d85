"""Arguments that several verbs share, and how they are written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

Precision = Literal["float32", "bfloat16"]

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A model file, or a preset with published weights.", show_default=False)
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 ...")]
PrecisionOption = Annotated[Precision, typer.Option("--precision", help="How precisely the network computes.")]
ScoreOption = Annotated[
    float | None,
    typer.Option("--score", min=0, max=1, help="Keep detections with this score or more (default: the model's own)."),
]
DataOption = Annotated[
    list[Path], typer.Option("--data", help="A data set; several may follow.", metavar="PATH...", show_default=False)
]
ReindexOption = Annotated[
    bool, typer.Option("--reindex", help="Read all annotations anew, also those that seem unchanged.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


def spread(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """`--data a b` written as `--data a --data b`, for the options that may take several values.

    Values end at the next option, or at `--`.
    """
    written: list[str] = []
    current, values = None, 0
    for argument in arguments:
        if argument.startswith("-"):
            current, values = (argument, 0) if argument in options else (None, 0)
            written.append(argument)
            continue
        if current is not None and values > 0:
            written.append(current)
        written.append(argument)
        values += 1
    return written
