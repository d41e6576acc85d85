"""The command line: one file per verb, each of which calls one function of the library."""

from collections.abc import Sequence

from frcnn.interrupts import leaving_at_once


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status."""
    with leaving_at_once():
        from frcnn.cli.app import main as run

    run(arguments)


__all__ = ["main"]
