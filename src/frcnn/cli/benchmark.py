"""`frcnn benchmark`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from frcnn.cli.arguments import DebugOption, DeviceOption, JsonOption
from frcnn.cli.errors import one_line_errors
from frcnn.interrupts import leaving_at_once

EXAMPLE = "Example: frcnn benchmark --only ops,inference --out benchmark.json"
PIPE_WIDTH = 200


def benchmark(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]", help="Its inference alone: a model file or a preset's name.", show_default=False
        ),
    ] = None,
    only: Annotated[
        str, typer.Option("--only", metavar="GROUPS", help="Some of ops,inference,training,data (default: all).")
    ] = "",
    runs: Annotated[int, typer.Option("--runs", min=1, help="Turns of each work; medians are reported.")] = 5,
    out: Annotated[Path | None, typer.Option("--out", help="Write the results into this JSON file.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the results as a Markdown table.")] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Speed on this machine, beside torchvision in the same run, as ratios."""
    with one_line_errors(debug):
        with leaving_at_once():
            import json
            from contextlib import nullcontext

            from rich.console import Console

            from frcnn import benchmark as run
            from frcnn.errors import UsageError
            from frcnn.files import file_in_the_way, folder_unless_in_vain, write_text

        if as_json and markdown:
            raise UsageError("--json and --markdown: one of them")
        if out is not None and (out.is_dir() or file_in_the_way(out.parent)):
            raise UsageError(f"{out}: is no place for a file: name another with --out")
        groups = only.replace(" ", "").split(",") if only else []
        with folder_unless_in_vain(out.parent, out.exists) if out is not None else nullcontext():
            report = run(model, groups, runs, device, progress=_say)
            text = json.dumps(report.to_dict(), indent=1)
            if out is not None:
                write_text(out, text + "\n")
        if as_json or markdown:
            typer.echo(text if as_json else report.to_markdown())
        else:
            Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(report.to_table())


def _say(work: str) -> None:
    typer.echo(f"measuring: {work}", err=True)
