"""What the doctor finds: one line a person can act on, with the place it is about."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from frcnn.errors import DataError
from frcnn.naming import printable

Severity = Literal["error", "warning"]

WHERE_ENDS = re.compile(r"(?:, line (?P<line>\d+))?: (?=.)", re.DOTALL)  # what stands behind the file in a DataError


class Drawing(NamedTuple):
    """What a page shows of a box: the box, in pixels of the upright picture, and one that it is compared with."""

    picture: Path
    box: tuple[float, ...]
    name: str
    other: tuple[float, ...] | None = None
    other_name: str = ""


@dataclass(frozen=True)
class Finding:
    """An error, which training refuses or which makes its results wrong, or a warning: what is only suspicious.

    `kind` is a short name that stays the same, for programs; `message` says what is wrong and what to do.
    """

    severity: Severity
    kind: str
    file: Path
    line: int | None
    message: str
    names: tuple[str, ...] = ()  # all that it is about, where the message has room for the first few
    drawing: Drawing | None = None

    @property
    def where(self) -> str:
        """The place, as all our messages have it."""
        file = printable(str(self.file))
        return file if self.line is None else f"{file}, line {self.line}"

    def to_dict(self) -> dict[str, Any]:
        """As `frcnn data check --json` tells it."""
        told = {"file": str(self.file), "line": self.line, "kind": self.kind, "message": self.message}
        return told | ({"names": list(self.names)} if self.names else {})


def finding(
    severity: Severity, kind: str, file: Path, line: int | None, message: str, names: Iterable[str] = ()
) -> Finding:
    """Whose message is one line."""
    return Finding(severity, kind, file, line, printable(message), tuple(names))


def error(kind: str, file: Path, line: int | None, message: str) -> Finding:
    """What has to be mended."""
    return finding("error", kind, file, line, message)


def warning(kind: str, file: Path, line: int | None, message: str, names: Iterable[str] = ()) -> Finding:
    """What has to be looked at; all the `names` that it is about, where there may be many."""
    return finding("warning", kind, file, line, message, names)


def as_finding(refusal: DataError, kind: str, fallback: Path) -> Finding:
    """What a reader raised: its message begins with the file, and the line where there is one.

    A colon may stand in the file's name: it ends as late as there is such a file, else (none is) as soon as it can.
    """
    text = str(refusal)
    ends = [end for end in WHERE_ENDS.finditer(text) if end.start()]
    if not ends:
        return error(kind, fallback, None, text)
    end = next((end for end in reversed(ends) if os.path.lexists(text[: end.start()])), ends[0])
    line = None if end["line"] is None else int(end["line"])
    return error(kind, Path(text[: end.start()]), line, text[end.end() :])


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first; kinds in the order in which they were found, files by their names."""
    every = list(findings)
    rank = {kind: number for number, kind in enumerate(dict.fromkeys(finding.kind for finding in every))}
    return sorted(every, key=lambda f: (f.severity != "error", rank[f.kind], str(f.file), f.line or 0))


def count_kinds(findings: Iterable[Finding]) -> Mapping[str, int]:
    """How many there are of each kind, in their order."""
    return Counter(finding.kind for finding in findings)
