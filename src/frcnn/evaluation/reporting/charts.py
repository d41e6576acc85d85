"""Line charts as SVG, to stand in a page: their colours are the page's own, so that they follow light and dark."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 20, 12, 40  # around the plot: room for the numbers
MOST_POINTS = 400  # of a line: more are not seen, and make the page heavy
MOST_MARKS = 60
SIDE = 100  # of a small chart
ROOM_FOR_NAMES = 1.1  # times the highest value, above which the names of sections stand
LEAST_NAMED = 26  # across, of a section: its name would not find room in less


@dataclass(frozen=True)
class Series:
    """One line. `kind` is its class in the page's style sheet; a faint one does not stretch the axes."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: Literal["train", "validation", "second", "faint"] = "train"

    def points(self) -> Float[np.ndarray, "N 2"]:
        """What can be drawn, thinned out."""
        pairs = np.array([self.x, self.y], dtype=np.float64).T
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        if len(pairs) <= MOST_POINTS:
            return pairs
        return np.array([part.mean(axis=0) for part in np.array_split(pairs, MOST_POINTS)])


class Section(NamedTuple):
    """A part of the way across, whose values stand for themselves."""

    first: float
    last: float
    name: str


class Bar(NamedTuple):
    """From `low` to `high` across; `height` is None where there is nothing to tell."""

    low: float
    high: float
    height: float | None
    words: str  # over it
    title: str  # what it says when pointed at


@dataclass(frozen=True)
class Axes:
    """The range of both axes, and where it lands in the picture."""

    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """From data to pixels of the chart."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def line_chart(
    series: Sequence[Series],
    x_label: str,
    y_range: tuple[float, float] | None = None,
    sections: Sequence[Section] = (),
) -> Markup | None:
    """The series over one another, from 0 up unless `y_range` says else; None where there is nothing to draw."""
    drawn = [(line, line.points()) for line in series]
    solid = [points for line, points in drawn if line.kind != "faint" and len(points)]
    if not solid:
        return None
    every = np.concatenate(solid)
    top = _top(every[:, 1].max()) * (ROOM_FOR_NAMES if sections else 1.0)
    axes = Axes(_widened(every[:, 0].min(), every[:, 0].max()), y_range or (0.0, top))
    lines = Markup().join(_line(line, points, axes) for line, points in drawn if len(points))
    label = _across_label(x_label)
    names = ", ".join(dict.fromkeys(line.name for line in series))
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}'
        '<svg x="{}" y="{}" width="{}" height="{}" viewBox="{} {} {} {}">{}</svg>{}</svg>'
    ).format(
        WIDTH, HEIGHT, f"{names} ({x_label})", _grid(axes), label, *_window(), *_window(), lines,
        _sections(sections, axes),
    )  # fmt: skip


def curve(x: Sequence[float], y: Sequence[float], name: str, mark: tuple[float, float] | None = None) -> Markup:
    """A small chart of fractions over fractions, with the area under the line filled, and a dot at `mark`."""
    points = Series(name, x, y).points()
    if len(points):
        points = np.vstack(([0.0, points[0, 1]], points, [points[-1, 0], 0.0]))
    places = " ".join(f"{_short(across * SIDE)},{_short((1 - up) * SIDE)}" for across, up in points)
    line = " ".join(places.split(" ")[:-1])
    dot = Markup() if mark is None else Markup('<circle cx="{}" cy="{}" r="3.5"/>').format(*_on_curve(mark))
    return Markup(
        '<svg class="curve" viewBox="-3 -3 106 106" role="img" aria-label="{}">'
        '<path class="grid" d="M0 50H100M50 0V100"/><path class="frame" d="M0 0V100H100"/>'
        '<polygon points="0,100 {}"/><polyline points="{}"/>{}</svg>'
    ).format(name, places, line, dot)


def share_bars(bars: Sequence[Bar], x_label: str, y_label: str) -> Markup:
    """Bars of shares over a range of shares, and a dashed line on which both are equal."""
    axes = Axes((0.0, 1.0), (0.0, 1.0))
    (left, bottom), (right, top) = axes.place(0, 0), axes.place(1, 1)
    line = Markup('<path class="equal" d="M{} {}L{} {}"/>').format(left, bottom, right, top)
    drawn = Markup().join(_bar(bar, axes) for bar in bars if bar.height is not None)
    return Markup('<svg class="chart bars" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}{}{}</svg>').format(
        WIDTH, HEIGHT, f"{y_label} ({x_label})", _grid(axes, whole=False), line, drawn, _across_label(x_label),
        _upright_label(y_label),
    )  # fmt: skip


def ticks(low: float, high: float, about: int = 5, *, whole: bool = False) -> list[float]:
    """Round numbers from `low` to `high`, about so many; `whole`: none with a fraction."""
    rough = max((high - low) / about, 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(rough))
    steps = [power * factor for factor in (1, 2, 2.5, 5, 10) if not whole or (power * factor).is_integer()]
    step = next(step for step in steps if step >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """The mean over a window around each value, narrower at the ends; what is not finite is left out."""
    if not values:
        return []
    numbers = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(numbers)
    window = max(1, min(window, len(numbers)))
    kernel = np.ones(window - 1 + window % 2)  # odd: as far to the left as to the right
    total = np.convolve(np.where(finite, numbers, 0.0), kernel, mode="same")
    count = np.convolve(finite.astype(np.float64), kernel, mode="same")
    return np.divide(total, count, out=np.full(len(numbers), np.nan), where=count > 0).tolist()


def _line(series: Series, points: Float[np.ndarray, "N 2"], axes: Axes) -> Markup:
    places = [axes.place(x, y) for x, y in points.tolist()]
    path = " ".join(f"{_short(x)},{_short(y)}" for x, y in places)
    line = Markup('<polyline class="{}" points="{}"/>').format(series.kind, path)
    marked = len(points) == 1 or (series.kind == "validation" and len(points) <= MOST_MARKS)
    return line + Markup().join(_marks(series, points, places) if marked else ())


def _marks(series: Series, points: Float[np.ndarray, "N 2"], places: Sequence[tuple[float, float]]) -> Iterator[Markup]:
    """Dots that say their numbers when pointed at."""
    for (x, y), (across, down) in zip(points.tolist(), places, strict=True):
        yield Markup('<circle class="{}" cx="{}" cy="{}" r="3"><title>{} {}: {}</title></circle>').format(
            series.kind, _short(across), _short(down), series.name, f"{x:g}", f"{y:.4g}"
        )


def _sections(sections: Sequence[Section], axes: Axes) -> Markup:
    """A line between each and the next, and their names where there is room."""
    (low, high), parts = axes.x, []
    between = [(before.last + after.first) / 2 for before, after in pairwise(sections)]
    for across in (axes.place(x, axes.y[0])[0] for x in between if low < x < high):
        parts.append(Markup('<path class="section" d="M{} {}V{}"/>').format(_short(across), TOP, HEIGHT - BOTTOM))
    for section in sections:
        left, right = (axes.place(min(max(x, low), high), axes.y[0])[0] for x in (section.first, section.last))
        if right - left >= LEAST_NAMED:
            parts.append(
                Markup('<text class="section" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    _short((left + right) / 2), TOP + 11, section.name
                )
            )
    return Markup().join(parts)


def _bar(bar: Bar, axes: Axes) -> Markup:
    left, top = axes.place(bar.low, bar.height or 0.0)
    right, bottom = axes.place(bar.high, 0.0)
    return Markup(
        '<rect x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
        '<text class="count" x="{}" y="{}" text-anchor="middle">{}</text>'
    ).format(
        _short(left + 1), _short(top), _short(right - left - 2), _short(bottom - top), bar.title,
        _short((left + right) / 2), _short(max(top - 4, 11)), bar.words,
    )  # fmt: skip


def _across_label(words: str) -> Markup:
    return Markup('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, words
    )


def _upright_label(words: str) -> Markup:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return Markup(
        '<text class="label" x="12" y="{}" text-anchor="middle" transform="rotate(-90 12 {})">{}</text>'
    ).format(middle, middle, words)


def _on_curve(mark: tuple[float, float]) -> tuple[str, str]:
    return _short(mark[0] * SIDE), _short((1 - mark[1]) * SIDE)


def _grid(axes: Axes, *, whole: bool = True) -> Markup:
    """Lines at round heights, numbers at both axes; those across `whole` where they count."""
    parts = []
    for y in ticks(*axes.y, 4):
        down = _short(axes.place(axes.x[0], y)[1])
        parts.append(Markup('<path class="grid" d="M{} {}H{}"/>').format(LEFT, down, WIDTH - RIGHT))
        parts.append(Markup('<text x="{}" y="{}" dy="4" text-anchor="end">{}</text>').format(LEFT - 7, down, f"{y:g}"))
    for x in ticks(*axes.x, whole=whole):
        across = _short(axes.place(x, axes.y[0])[0])
        text = f"{x / 1000:g}k" if abs(x) >= 10_000 else f"{x:g}"
        parts.append(Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(across, HEIGHT - 23, text))
    return Markup().join(parts)


def _window() -> tuple[int, int, int, int]:
    """The plot with a small margin for marks on its edge; what leaves it is cut off."""
    return LEFT - 4, TOP - 4, WIDTH - LEFT - RIGHT + 8, HEIGHT - TOP - BOTTOM + 8


def _widened(low: float, high: float) -> tuple[float, float]:
    """A single value gets room on both sides."""
    return (float(low), float(high)) if high > low else (float(low) - 1, float(low) + 1)


def _top(highest: float) -> float:
    return float(highest) * 1.05 if highest > 0 else 1.0


def _short(number: float) -> str:
    return f"{number:.1f}"
