"""Findings: their places and their order."""

from pathlib import Path

import pytest

from frcnn.data.checking.findings import as_finding, count_kinds, error, in_order, warning
from frcnn.errors import DataError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("a/b.xml, line 7: is torn (no element: x): mend it", ("a/b.xml", 7, "is torn (no element: x): mend it")),
        ("a/b.txt: is no text", ("a/b.txt", None, "is no text")),
        ("something else", ("fallback", None, "something else")),
    ],
)
def test_what_a_reader_says(message: str, expected: tuple[str, int | None, str]) -> None:
    finding = as_finding(DataError(message), "kind", Path("fallback"))
    assert (str(finding.file), finding.line, finding.message) == expected
    assert (finding.severity, finding.kind) == ("error", "kind")


def test_a_colon_in_the_name_of_a_folder(tmp_path: Path) -> None:
    """Even where the part before it is a folder as well."""
    (tmp_path / "my set").mkdir()
    file = tmp_path / "my set: v2" / "a, line 3: b.json"
    file.parent.mkdir()
    file.touch()
    finding = as_finding(DataError(f"{file}, line 7: is torn (: x): mend it{300 * '.'}: so"), "kind", Path("fallback"))
    assert (finding.file, finding.line, finding.message) == (file, 7, f"is torn (: x): mend it{300 * '.'}: so")
    assert as_finding(DataError("absent: b: is torn"), "kind", Path("fallback")).file == Path("absent")


def test_errors_come_first_and_each_kind_together() -> None:
    found = [
        warning("tiny", Path("a"), 3, ""),
        error("torn", Path("b"), None, ""),
        error("torn", Path("a"), 20, ""),
        warning("odd", Path("a"), 1, ""),
        error("torn", Path("a"), 3, ""),
        warning("tiny", Path("a"), 1, ""),
    ]
    assert [(f.kind, f.where) for f in in_order(found)] == [
        ("torn", "a, line 3"),
        ("torn", "a, line 20"),
        ("torn", "b"),
        ("tiny", "a, line 1"),
        ("tiny", "a, line 3"),
        ("odd", "a, line 1"),
    ]
    assert count_kinds(found) == {"tiny": 2, "torn": 3, "odd": 1}


def test_a_finding_is_one_line_whatever_it_is_about() -> None:
    found = error("torn", Path("a\nb.xml"), 3, "the class 'x\ny' is: mend it")
    assert (found.where, found.message) == ("a b.xml, line 3", "the class 'x y' is: mend it")
    assert found.to_dict()["file"] == "a\nb.xml"  # for programs
