"""A report on the console: errors, then warnings, then how large the data set is."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from frcnn.data.checking.check import Report
from frcnn.data.checking.findings import Finding
from frcnn.data.checking.mend import LOG, Mended
from frcnn.data.checking.summary import Summary
from frcnn.naming import counted, printable

SHOWN = 10  # of a kind
STYLES = {"error": "red", "warning": "yellow"}


def print_report(report: Report) -> None:
    """All of it, on standard output: a finding is one line, however narrow the console."""
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    for line in tell_findings(report):
        console.print(line, style=STYLES[line.partition(":")[0]], markup=False)
    if report.findings:
        console.print()
    for table in summary_tables(report.summary):
        console.print(table)
        console.print()
    sizes = tell_sizes(report.summary) if report.summary.all_pictures else ()
    for line in (*sizes, tell_verdict(report)):
        console.print(line, markup=False)


def tell_findings(report: Report) -> Iterator[str]:
    """A line each, and one for those of a kind that are too many to be shown."""
    for findings in (report.errors, report.warnings):
        by_kind: dict[str, list[Finding]] = defaultdict(list)
        for finding in findings:
            by_kind[finding.kind].append(finding)
        for kind, of_kind in by_kind.items():
            shown = of_kind if len(of_kind) <= SHOWN + 1 else of_kind[:SHOWN]  # a line for one more says nothing
            for finding in shown:
                yield f"{finding.severity}: {finding.where}: {finding.message}"
            if len(shown) < len(of_kind):
                yield f"{of_kind[0].severity}: and {len(of_kind) - SHOWN:,} more ({kind}): --json lists all"


def tell_verdict(report: Report) -> str:
    """One line about all of it."""
    pictures = report.summary.all_pictures
    found = f"{counted(len(report.errors), 'error')}, {counted(len(report.warnings), 'warning')}"
    where = f" in {counted(pictures, 'picture')}" if pictures else "; there is no picture that could be checked"
    return printable(f"{', '.join(report.names)}: {found}{where}")


def tell_mended(mended: Mended) -> str:
    """What became of the copy."""
    done = len(mended.deeds) - len(mended.left)
    left = f", {counted(len(mended.left), 'doubt')} left" if mended.left else ""
    told = f"{mended.folder}: a mended copy, {counted(done, 'thing')} done{left}: {mended.folder / LOG} tells each"
    if mended.errors:
        told += f"; it still has {counted(len(mended.errors), 'error')}: see frcnn data check {mended.folder}"
    return told


def summary_tables(summary: Summary) -> list[Table]:
    """Pictures and objects by split, objects by class and split."""
    splits = list(summary.pictures)
    table = _table(["", *splits])
    if not splits:
        return []
    table.add_row("pictures", *(f"{summary.pictures[split]:,}" for split in splits))
    table.add_row("objects", *(f"{summary.objects[split]:,}" for split in splits))
    classes = _table(["class", *splits])
    for name, counts in summary.classes.items():
        classes.add_row(Text(printable(name)), *(f"{counts[split]:,}" for split in splits))
    return [table, classes] if summary.classes else [table]


def tell_sizes(summary: Summary) -> Iterator[str]:
    """Of pictures and objects."""
    width, height, sizes = summary.picture_width, summary.picture_height, summary.object_sizes
    yield (
        f"pictures: {width['least']} to {width['most']} pixels wide (median {width['median']}), "
        f"{height['least']} to {height['most']} high (median {height['median']})"
    )
    yield (
        f"objects: {summary.objects_per_picture['mean']:g} a picture, {summary.objects_per_picture['most']} at most; "
        f"{sizes['small']:,} small (less than 32x32 pixels), {sizes['medium']:,} medium, "
        f"{sizes['large']:,} large (96x96 and more)"
    )
    if summary.pictures_without_objects or summary.pictures_in_no_split:
        yield (
            f"pictures without objects: {summary.pictures_without_objects:,}; "
            f"in no split: {summary.pictures_in_no_split:,}"
        )


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=None)
    table.add_column(columns[0])
    for name in columns[1:]:
        table.add_column(name, justify="right")
    return table
