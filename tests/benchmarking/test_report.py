import io
import json

import pytest
from rich.console import Console

from frcnn.benchmarking.report import Line, Report, amount, lines_of
from frcnn.benchmarking.rows import Row

MACHINE = {
    "cpu": "Fast [One]",
    "cores": 2,
    "threads": 1,
    "device": "cpu",
    "torch": "2.15.0",
    "torchvision": "0.29.2",
    "frcnn": "0.1.0",
    "date": "2026-01-31",
}
ROWS = (
    Row("inference", "r50", 0.5, {"torchvision": 1.5, "plain": 1.0}, pictures=1, dense=0.4, notes=("81 [same]",)),
    Row("training", "peak", 900.0, {"torchvision": 1200.0}, unit="MB"),
)
REPORT = Report(MACHINE, ROWS, runs=5)
WHERE = "Fast [One], 2 cores, 1 threads; torch 2.15.0, torchvision 0.29.2, frcnn 0.1.0; 2026-01-31; medians of 5 turns"


def test_json_holds_machine_and_rows():
    values = json.loads(json.dumps(REPORT.to_dict()))
    assert (values["machine"], values["runs"]) == (MACHINE, 5)
    assert [row["work"] for row in values["rows"]] == ["r50", "peak"]
    assert values["rows"][0] == ROWS[0].to_dict()


def test_a_line_for_each_peer():
    assert list(lines_of(ROWS[0])) == [
        Line("r50", "500 ms", "torchvision", "1.500 s", "3.00", "80 %"),
        Line("", "", "plain", "1.000 s", "2.00", ""),
    ]


def test_markdown_is_a_table_and_the_machine():
    assert REPORT.to_markdown().splitlines() == [
        "| work | frcnn | beside it | takes | ratio | dense |",
        "|---|---:|---|---:|---:|---:|",
        "| r50 | 500 ms | torchvision | 1.500 s | 3.00 | 80 % |",
        "|  |  | plain | 1.000 s | 2.00 |  |",
        "| peak | 900 MB | torchvision | 1200 MB | 1.33 |  |",
        "",
        WHERE,
    ]


def test_the_table_for_the_console_has_all_of_it():
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(REPORT.to_table())
    text = " ".join(console.export_text().split())
    for part in (WHERE, "500 ms", "80 %", "1200 MB", "r50: 81 [same]"):
        assert part in text


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(2.0, "s", "2.000 s"), (0.0123456, "s", "12.3 ms"), (0.00045, "s", "0.45 ms"), (812.4, "MB", "812 MB")],
)
def test_amounts_for_people(value, unit, said):
    assert amount(value, unit) == said
