"""`frcnn demo`."""

from pathlib import Path
from typing import Annotated

import typer

from frcnn.cli.arguments import DebugOption, DeviceOption
from frcnn.cli.errors import one_line_errors
from frcnn.interrupts import leaving_at_once

EXAMPLE = "Example: frcnn demo --out runs/demo"


def demo(
    out: Annotated[Path, typer.Option("--out", help="The folder for everything it makes.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other pictures, other random numbers.")] = 0,
    device: DeviceOption = "auto",
    debug: DebugOption = False,
) -> None:
    """The whole story from nothing: make sample pictures, train on them, evaluate, predict, write a report."""
    with one_line_errors(debug):
        with leaving_at_once():
            from frcnn.demo import demo as run

        run(out, seed, device=device)
