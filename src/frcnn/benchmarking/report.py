"""The rows of a benchmark with the machine they were measured on: as JSON, as a table, as Markdown."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.markup import escape
from rich.table import Table

from frcnn.benchmarking.rows import Row, rounded

COLUMNS = ("work", "frcnn", "beside it", "takes", "ratio", "dense")


class Line(NamedTuple):
    """One line of the tables: a work beside one peer."""

    work: str
    frcnn: str
    peer: str
    takes: str
    ratio: str
    dense: str  # share of our time that is dense arithmetic


@dataclass(frozen=True)
class Report:
    """What a benchmark found."""

    machine: dict[str, Any]
    rows: tuple[Row, ...]
    runs: int  # counted turns of the longer works: one or two are no protection from a slow moment of the machine

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: seconds, and megabytes where a row's unit says so."""
        return {"machine": self.machine, "runs": self.runs, "rows": [row.to_dict() for row in self.rows]}

    def to_table(self) -> Table:
        """For the console."""
        caption = "\n".join(f"{row.work}: {note}" for row in self.rows for note in row.notes)
        table = Table(
            title=escape(self._where()), title_justify="left", caption=escape(caption), caption_justify="left"
        )
        for name in COLUMNS:
            table.add_column(name, justify="left" if name in ("work", "beside it") else "right")
        for row in self.rows:
            for line in lines_of(row):
                table.add_row(*map(escape, line))
        return table

    def to_markdown(self) -> str:
        """For a README."""
        head = ["| " + " | ".join(COLUMNS) + " |", "|---|---:|---|---:|---:|---:|"]
        body = ["| " + " | ".join(line) + " |" for row in self.rows for line in lines_of(row)]
        return "\n".join([*head, *body, "", self._where()])

    def _where(self) -> str:
        facts = self.machine
        device = "" if facts["device"] == "cpu" else f", {facts['device']}"
        cores = f"{facts['cores']} cores, {facts['threads']} threads"
        versions = ", ".join(f"{name} {facts[name]}" for name in ("torch", "torchvision", "frcnn"))
        turns = f"medians of {self.runs} turns" if self.runs > 1 else "one turn"
        return f"{facts['cpu']}{device}, {cores}; {versions}; {facts['date']}; {turns}"


def lines_of(row: Row) -> Iterator[Line]:
    """A line for each peer; what is ours stands in the first."""
    share = "" if row.dense_share is None else f"{100 * row.dense_share:.0f} %"
    ours = (row.work, amount(row.frcnn, row.unit), share)
    for name, ratio in row.ratios.items():
        work, frcnn, dense = ours
        yield Line(work, frcnn, name, amount(row.peers[name], row.unit), f"{ratio:.2f}", dense)
        ours = ("", "", "")


def amount(value: float, unit: str) -> str:
    """With a unit for people: megabytes, seconds or milliseconds."""
    if unit == "MB":
        return f"{value:.0f} MB"
    return f"{value:.3f} s" if value >= 1 else f"{rounded(1000 * value):.3g} ms"
