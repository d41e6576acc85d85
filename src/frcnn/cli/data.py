"""`frcnn data`: what is done with data sets alone."""

from pathlib import Path
from typing import Annotated

import typer

from frcnn.cli.arguments import DebugOption
from frcnn.cli.errors import one_line_errors

app = typer.Typer(epilog="Example: frcnn data sample runs/sample", rich_markup_mode=None)


@app.callback()
def _root() -> None:
    """Make a data set."""


@app.command("sample", epilog="Example: frcnn data sample runs/sample")
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for it.", show_default=False)],
    pictures: Annotated[int | None, typer.Option("--pictures", min=3, help="How many (default: 1200).")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed draws other pictures.")] = 0,
    debug: DebugOption = False,
) -> None:
    """Draw a small data set in the layout of PASCAL VOC: no download, the same pictures for the same seed."""
    with one_line_errors(debug):
        from frcnn.data.sample import PICTURES, write_sample

        write_sample(folder, pictures or PICTURES, seed)
        typer.echo(f"{folder}: now try frcnn train tiny --data {folder}")
