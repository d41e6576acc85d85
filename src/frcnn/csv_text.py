"""CSV files, as spreadsheets open them."""

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")


def as_csv(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A line for the columns and one for each row; None becomes an empty cell.

    Before words that a spreadsheet would take for a formula stands an apostrophe (OWASP, "CSV Injection"); numbers
    stay numbers.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(_as_cell, row) for row in rows)
    return text.getvalue()


def _as_cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_BEGINS) else value
