"""Bars as SVG, to stand in a page whose style sheet gives them their colours."""

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 440, 200
TOP, BOTTOM = 22, 26  # room for the numbers above the bars, and for the names below
GAP = 0.18  # of a bar's room


def bar_chart(names: Sequence[str], counts: Sequence[int], what: str) -> Markup:
    """An upright bar for each count, with its name below and its number above."""
    highest = max([*counts, 1])
    room = WIDTH / max(len(names), 1)
    bars = Markup().join(
        _bar(name, count, number * room, room, count / highest)
        for number, (name, count) in enumerate(zip(names, counts, strict=True))
    )
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}<path class="axis" d="M0 {}H{}"/></svg>'
    ).format(WIDTH, HEIGHT, what, bars, HEIGHT - BOTTOM, WIDTH)


def _bar(name: str, count: int, left: float, room: float, share: float) -> Markup:
    height = share * (HEIGHT - TOP - BOTTOM)
    top, middle = HEIGHT - BOTTOM - height, f"{left + room / 2:.1f}"
    number = Markup('<text x="{}" y="{:.1f}" text-anchor="middle">{}</text>').format(middle, top - 6, f"{count:,}")
    return Markup(
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>{}'
        '<text x="{}" y="{}" text-anchor="middle">{}</text>'
    ).format(left + room * GAP / 2, top, room * (1 - GAP), height, number if count else "", middle, HEIGHT - 8, name)
