"""The command line: one file per verb, each of which calls one function of the library."""

from frcnn.cli.app import main

__all__ = ["main"]
