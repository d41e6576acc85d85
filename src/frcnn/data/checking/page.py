"""check.html: one page that tells what was found and what the data set holds, with nothing outside it."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from frcnn.cropping import BLUE, ORANGE, css
from frcnn.data.checking.bars import bar_chart
from frcnn.data.checking.box_pictures import BoxPicture, draw_fault
from frcnn.data.checking.check import Report
from frcnn.data.checking.findings import Finding
from frcnn.data.checking.summary import Bars, Summary
from frcnn.files import make_folder, write_text
from frcnn.pages import render_page
from frcnn.texts import Language, Texts, texts_of

SHOWN = 200  # findings of a kind: more make a page that nobody reads
PICTURES, PICTURES_OF_A_KIND = 60, 12  # some twenty kilobytes each
NAMES = 1000  # that a finding is about


class Card(NamedTuple):
    """A finding with its picture."""

    finding: Finding
    picture: BoxPicture


class Group(NamedTuple):
    """The findings of one kind; those with a picture first."""

    severity: str
    kind: str  # as a key of the texts
    cards: list[Card]
    findings: list[Finding]
    number: int  # of all, also those that are not shown


def words(language: str) -> Texts:
    """What the page says. Raises UsageError where there is none of the language."""
    return texts_of("frcnn.data.checking", language)


def write_page(report: Report, folder: Path, language: Language = "en") -> Path:
    """Write check.html into a folder. Raises FrcnnError where the disk refuses."""
    path = make_folder(folder) / "check.html"
    write_text(path, render(report, words(language)))
    return path


def render(report: Report, say: Texts) -> str:
    """The page; whatever is not our own markup is escaped."""
    summary = report.summary
    return render_page(
        "page.html.jinja",
        ("frcnn.data.checking", "."),
        say=say,
        title=say("page.title", name=", ".join(Path(name).name or name for name in report.names)),
        places=[*zip(summary.sets, summary.formats, strict=True)],
        tiles=_tiles(report, say),
        groups=_groups(report),
        orange=css(ORANGE),
        blue=css(BLUE),
        most_names=NAMES,
        splits=list(summary.pictures),
        summary=summary,
        classes=_classes(summary),
        charts=_charts(summary, say),
    )


def range_names(bars: Bars) -> list[str]:
    """What the bars are called: 0-7, 8-15, 512+."""
    begins = (bars.begin, *bars.ends)
    names = [
        str(end - 1) if end - begin == 1 else f"{begin}-{end - 1}"
        for begin, end in zip(begins, bars.ends, strict=False)
    ]
    return [*names, f"{bars.ends[-1]}+"]


def _tiles(report: Report, say: Texts) -> list[tuple[str, str, str]]:
    """Numbers, what they are of, and the colour that is worth a look."""
    summary = report.summary
    numbers = {
        "errors": len(report.errors),
        "warnings": len(report.warnings),
        "pictures": summary.all_pictures,
        "objects": sum(summary.objects.values()),
        "classes": len(summary.classes),
    }
    coloured = {"errors": "error", "warnings": "warning"}
    return [
        (f"{number:,}", say(f"tile.{name}"), coloured.get(name, "") if number else "")
        for name, number in numbers.items()
    ]


def _groups(report: Report) -> list[Group]:
    found: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in report.findings:
        found[(finding.severity, finding.kind.replace(" ", "_"))].append(finding)
    groups, left = [], PICTURES
    for (severity, kind), every in found.items():
        cards = _cards(every, min(left, PICTURES_OF_A_KIND))
        left -= len(cards)
        pictured = {id(card.finding) for card in cards}
        rest = [finding for finding in every if id(finding) not in pictured]
        groups.append(Group(severity, kind, cards, rest[: SHOWN - len(cards)], len(every)))
    return groups


def _cards(findings: Sequence[Finding], most: int) -> list[Card]:
    """The first that can be drawn."""
    cards: list[Card] = []
    for finding in findings:
        if len(cards) >= most:
            break
        picture = None if finding.drawing is None else draw_fault(finding.drawing)
        if picture is not None:
            cards.append(Card(finding, picture))
    return cards


def _classes(summary: Summary) -> list[dict[str, Any]]:
    """The most frequent first, each with the length of its bar."""
    totals = {name: sum(counts.values()) for name, counts in summary.classes.items()}
    most = max([*totals.values(), 1])
    order = sorted(totals, key=lambda name: (-totals[name], name))
    return [{"name": n, "total": totals[n], "counts": summary.classes[n], "share": totals[n] / most} for n in order]


def _charts(summary: Summary, say: Texts) -> list[tuple[str, Markup]]:
    titles = {
        say("chart.objects"): summary.objects_in_pictures,
        say("chart.object_sides"): summary.object_sides,
        say("chart.picture_sides"): summary.picture_sides,
    }
    return [(title, _chart(title, bars)) for title, bars in titles.items() if sum(bars.counts)]


def _chart(title: str, bars: Bars) -> Markup:
    """Without empty bars at both ends."""
    names = range_names(bars)
    full = [number for number, count in enumerate(bars.counts) if count]
    shown = slice(full[0], full[-1] + 1)
    return bar_chart(names[shown], bars.counts[shown], title)
