from collections.abc import Callable
from typing import NamedTuple

import pytest

from frcnn.cli import main


class Outcome(NamedTuple):
    status: int
    out: str
    error: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """The command line as a person meets it: exit status, standard output, standard error."""

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as leaving:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(leaving.value.code, captured.out, captured.err)

    return run
