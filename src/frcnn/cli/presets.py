"""`frcnn presets`."""

import sys
from typing import TYPE_CHECKING

import typer

from frcnn.cli.arguments import DebugOption, JsonOption
from frcnn.cli.errors import one_line_errors
from frcnn.interrupts import leaving_at_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from frcnn.catalogue import PresetLine

EXAMPLE = "Example: frcnn presets"
PIPE_WIDTH = 200


def presets(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """The presets, one line each: what it is, parameters, expected AP, cost."""
    with one_line_errors(debug):
        with leaving_at_once():
            import json

            from frcnn.catalogue import describe_presets

        lines = describe_presets()
        if as_json:
            typer.echo(json.dumps([line.to_dict() for line in lines], indent=1))
        else:
            _print(lines)


def _print(lines: "Sequence[PresetLine]") -> None:
    """A table that wraps in a terminal; one line each where a program reads it."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    console.print(_table(lines))


def _table(lines: "Sequence[PresetLine]") -> "Table":
    from rich.table import Table

    caption = "parameters with 20 classes; COCO AP of the published weights; GFLOP for one picture of 600 x 800"
    table = Table(box=None, caption=caption, caption_justify="left")
    table.add_column("preset", no_wrap=True)
    for name in ("parameters", "COCO AP", "GFLOP"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what")
    for line in lines:
        average = "" if line.coco_ap is None else f"{line.coco_ap:.3f}"
        table.add_row(line.name, f"{line.parameters / 1e6:.1f} M", average, f"{line.gflop:.1f}", line.summary)
    return table
