"""check.html: one page that tells what was found and what the data set holds, with nothing outside it."""

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from frcnn.data.checking.bars import bar_chart
from frcnn.data.checking.check import Report
from frcnn.data.checking.findings import Finding
from frcnn.data.checking.summary import Bars, Summary
from frcnn.files import make_folder, write_text
from frcnn.naming import counted
from frcnn.pages import render_page

SHOWN = 200  # findings of a kind: more make a page that nobody reads


class Group(NamedTuple):
    """The findings of one kind."""

    severity: str
    kind: str
    findings: list[Finding]
    more: int  # that are not shown


def write_page(report: Report, folder: Path) -> Path:
    """Write check.html into a folder. Raises FrcnnError where the disk refuses."""
    path = make_folder(folder) / "check.html"
    write_text(path, render(report))
    return path


def render(report: Report) -> str:
    """The page; whatever is not our own markup is escaped."""
    summary = report.summary
    return render_page(
        "page.html.jinja",
        ("frcnn.data.checking", "."),
        title=", ".join(Path(name).name for name in summary.sets) or "no data set",
        places=[*zip(summary.sets, summary.formats, strict=True)],
        tiles=_tiles(report),
        groups=_groups(report),
        splits=list(summary.pictures),
        summary=summary,
        classes=_classes(summary),
        charts=_charts(summary),
    )


def range_names(bars: Bars) -> list[str]:
    """What the bars are called: 0-7, 8-15, 512+."""
    begins = (bars.begin, *bars.ends)
    names = [
        str(end - 1) if end - begin == 1 else f"{begin}-{end - 1}"
        for begin, end in zip(begins, bars.ends, strict=False)
    ]
    return [*names, f"{bars.ends[-1]}+"]


def _tiles(report: Report) -> list[tuple[str, str]]:
    """Numbers, and what they are of."""
    summary = report.summary
    tiles = (
        counted(len(report.errors), "error"),
        counted(len(report.warnings), "warning"),
        counted(sum(summary.pictures.values()) + summary.pictures_in_no_split, "picture"),
        counted(sum(summary.objects.values()), "object"),
        counted(len(summary.classes), "class", "classes"),
    )
    return [(number, what) for number, what in map(str.split, tiles)]


def _groups(report: Report) -> list[Group]:
    found: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in report.findings:
        found[(finding.severity, finding.kind)].append(finding)
    return [Group(*key, every[:SHOWN], max(0, len(every) - SHOWN)) for key, every in found.items()]


def _classes(summary: Summary) -> list[dict[str, Any]]:
    """The most frequent first, each with the length of its bar."""
    totals = {name: sum(counts.values()) for name, counts in summary.classes.items()}
    most = max([*totals.values(), 1])
    order = sorted(totals, key=lambda name: (-totals[name], name))
    return [{"name": n, "total": totals[n], "counts": summary.classes[n], "share": totals[n] / most} for n in order]


def _charts(summary: Summary) -> list[tuple[str, Markup]]:
    titles = {
        "Objects in a picture": summary.objects_in_pictures,
        "Sides of objects, pixels (of squares of their area)": summary.object_sides,
        "Longer sides of pictures, pixels": summary.picture_sides,
    }
    return [(title, _chart(title, bars)) for title, bars in titles.items() if sum(bars.counts)]


def _chart(title: str, bars: Bars) -> Markup:
    """Without empty bars at both ends."""
    names = range_names(bars)
    full = [number for number, count in enumerate(bars.counts) if count]
    shown = slice(full[0], full[-1] + 1)
    return bar_chart(names[shown], bars.counts[shown], title)
