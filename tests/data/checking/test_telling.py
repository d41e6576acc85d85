"""What is printed: the first of many, and how many there are."""

from pathlib import Path

import pytest
from data_sets import write_voc

from frcnn.data.checking.check import Report, check_dataset
from frcnn.data.checking.findings import error, warning
from frcnn.data.checking.mend import Mended
from frcnn.data.checking.plan import Deed
from frcnn.data.checking.telling import (
    print_report,
    summary_tables,
    tell_findings,
    tell_mended,
    tell_sizes,
    tell_verdict,
)


def report(tmp_path: Path, **numbers: int) -> Report:
    summary = check_dataset([write_voc(tmp_path / "set", {"train": [0, 1]})]).summary
    errors = [error("torn", Path("a.xml"), n, "is torn: mend it") for n in range(numbers["errors"])]
    warnings = [warning("odd", Path("b.xml"), None, "is odd: look") for _ in range(numbers["warnings"])]
    return Report((*errors, *warnings), summary)


def test_ten_of_a_kind_and_how_many_more(tmp_path: Path) -> None:
    lines = [*tell_findings(report(tmp_path, errors=1012, warnings=11))]
    assert lines[0] == "error: a.xml, line 0: is torn: mend it"
    assert lines[10] == "error: and 1,002 more (torn): --json lists all"
    assert lines[11:] == ["warning: b.xml: is odd: look"] * 11


def test_the_verdict(tmp_path: Path) -> None:
    told = tell_verdict(report(tmp_path, errors=1, warnings=0))
    assert told == f"{tmp_path / 'set'}: 1 error, 0 warnings in 2 pictures"


def test_the_verdict_on_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    torn = tmp_path / "torn.json"
    torn.write_text("[1, 2]")
    told = check_dataset([tmp_path / "empty", torn])
    assert tell_verdict(told) == (
        f"{torn}, {tmp_path / 'empty'}: 2 errors, 0 warnings; there is no picture that could be checked"
    )
    print_report(told)
    assert "pixels wide" not in capsys.readouterr().out


def test_tables_and_sizes(tmp_path: Path) -> None:
    summary = report(tmp_path, errors=0, warnings=0).summary
    pictures, classes = summary_tables(summary)
    assert [*pictures.columns[1].cells] == ["2", "6"]
    assert [str(cell) for cell in classes.columns[0].cells] == ["circle", "square"]
    assert "3 a picture, 3 at most; 2 small" in "\n".join(tell_sizes(summary))


def test_a_copy() -> None:
    deeds = (Deed(Path("a"), 1, "torn", "left out"), Deed(Path("b"), None, "odd", "left", done=False))
    assert tell_mended(Mended(Path("dst"), deeds, ())) == (
        "dst: a mended copy, 1 thing done, 1 doubt left: dst/mended.csv tells each"
    )
    still = tell_mended(Mended(Path("dst"), deeds, (error("torn", Path("dst/a"), None, "is torn"),)))
    assert still.endswith("it still has 1 error: see frcnn data check dst")
