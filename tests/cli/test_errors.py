import json

import pytest
import typer
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from frcnn.cli.errors import one_line_errors
from frcnn.errors import ConfigError, DataError, FrcnnError, Terminated, UsageError


def fail_with(error: BaseException, debug: bool = False) -> int:
    with pytest.raises(typer.Exit) as leaving, one_line_errors(debug):
        raise error
    return leaving.value.exit_code


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (FrcnnError("disk: full"), 1, "frcnn: disk: full\n"),
        (DataError("a.xml: is\nempty"), 1, "frcnn: a.xml: is empty\n"),
        (DataError("set/a  b.xml: is\r\n missing"), 1, "frcnn: set/a  b.xml: is missing\n"),
        (UsageError("--out: a file"), 2, "frcnn: --out: a file\n"),
        (ConfigError("train.lrr: no such key"), 2, "frcnn: train.lrr: no such key\n"),
        (FrcnnError("HTTP 404 \x1b]0;owned\a: try again"), 1, "frcnn: HTTP 404 \\x1b]0;owned\\x07: try again\n"),
        (KeyboardInterrupt(), 130, "frcnn: interrupted\n"),
        (Terminated(), 143, "frcnn: terminated\n"),
        (KeyboardInterrupt("a.tar stays"), 130, "frcnn: interrupted: a.tar stays\n"),
        (PermissionError(13, "Permission denied", "/srv/x"), 1, "frcnn: /srv/x: Permission denied\n"),
        (ImportError("no module named x"), 1, "frcnn: no module named x\n"),
        (
            MemoryError(),
            1,
            "frcnn: not enough memory (MemoryError): smaller pictures, batches or layers need less\n",
        ),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:119] err == 0. you tried to allocate 400 bytes\nmore"),
            1,
            "frcnn: not enough memory ([enforce fail at alloc_cpu.cpp:119] err == 0. you tried to allocate 400 bytes): "
            "smaller pictures, batches or layers need less\n",
        ),
        (
            ZeroDivisionError("by 0"),
            1,
            "frcnn: unexpected ZeroDivisionError: by 0 (run again with --debug to see where)\n",
        ),
    ],
)
def test_each_error_is_a_line_and_a_status(capsys, error, status, line):
    assert fail_with(error) == status
    assert capsys.readouterr() == ("", line)


def test_a_torchvision_that_does_not_match_is_explained(capsys):
    assert fail_with(RuntimeError("operator torchvision::nms does not exist")) == 1
    assert "was built for another torch" in capsys.readouterr().err


def test_a_traceback_for_those_who_ask(capsys):
    assert fail_with(DataError("a.xml: is empty"), debug=True) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("frcnn: a.xml: is empty\n")


def test_a_status_of_its_own_passes(capsys):
    assert fail_with(typer.Exit(1)) == 1
    assert capsys.readouterr() == ("", "")


def test_nothing_wrong_nothing_said(capsys):
    with one_line_errors(debug=False):
        pass
    assert capsys.readouterr() == ("", "")


def test_torchrun_has_the_line_for_its_report(tmp_path, monkeypatch):
    """By oracle: what it reads of a process that has failed."""
    file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
    assert fail_with(DataError("a.xml: is empty")) == 1
    failure = ProcessFailure(local_rank=0, pid=1, exitcode=1, error_file=str(file))
    assert failure.message == json.loads(file.read_text())["message"]
    assert failure.message["message"] == "frcnn: a.xml: is empty"
    assert failure.timestamp > 0


def test_a_report_that_cannot_be_written_hides_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "absent" / "error.json"))
    assert fail_with(DataError("a.xml: is empty")) == 1
    assert capsys.readouterr().err == "frcnn: a.xml: is empty\n"
