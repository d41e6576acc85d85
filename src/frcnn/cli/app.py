"""`frcnn`: the verbs put together, and every error one line."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from frcnn.cli import benchmark, data, demo, evaluate, predict, presets, train
from frcnn.cli.arguments import spread
from frcnn.cli.errors import WRONG_USAGE, complain, explain_usage
from frcnn.interrupts import ENDS, INTERRUPTED, TERMINATED

# For how long a thread of OpenMP looks for work before it sleeps. A training step takes 150 ms so on two cores, and 400
# beside a busy process; by default it takes 145 and 500, and where threads sleep at once 230 and 350.
SPINS = "10000"
MAY_REPEAT = ("--data", "--set")  # these take several values after one flag

app = typer.Typer(
    name="frcnn",
    help="Faster R-CNN: train it, evaluate it, use it.",
    epilog="Begin with: frcnn demo",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)
app.command("demo", epilog=demo.EXAMPLE)(demo.demo)
app.command("train", epilog=train.EXAMPLE)(train.train)
app.command("evaluate", epilog=evaluate.EXAMPLE)(evaluate.evaluate)
app.command("predict", epilog=predict.EXAMPLE)(predict.predict)
app.command("benchmark", epilog=benchmark.EXAMPLE)(benchmark.benchmark)
app.command("presets", epilog=presets.EXAMPLE)(presets.presets)
app.add_typer(data.app, name="data")


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"frcnn {version('frcnn')}")
        raise typer.Exit
    return wanted


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What stands before the verb."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status.

    0: done, 1: the work failed, 2: wrong usage, 130: Ctrl-C, 143: SIGTERM or a closed terminal.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    is_program = arguments is None
    arguments = spread(sys.argv[1:] if arguments is None else arguments, MAY_REPEAT) or ["--help"]
    try:
        status = typer.main.get_command(app).main(arguments, prog_name="frcnn", standalone_mode=False)
    except typer.TyperException as error:  # what the command line itself got wrong
        complain(explain_usage(error))
        status = WRONG_USAGE
    if is_program and status in (INTERRUPTED, TERMINATED):
        for number in ENDS:
            signal.signal(number, signal.SIG_IGN)  # it ends already: one Ctrl-C more would only break the ending
    sys.exit(status or 0)
