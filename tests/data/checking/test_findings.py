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
