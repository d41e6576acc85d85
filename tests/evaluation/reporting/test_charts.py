"""Charts: round numbers at the axes, every value in its place, nothing that breaks the page."""

import math
import xml.etree.ElementTree as ET

import pytest

from frcnn.evaluation.reporting.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MOST_POINTS,
    RIGHT,
    TOP,
    WIDTH,
    Bar,
    Section,
    Series,
    curve,
    line_chart,
    share_bars,
    smoothed,
    ticks,
)


def polylines(svg: str) -> dict[str, list[tuple[float, float]]]:
    """The points of each line, by its kind."""
    return {
        line.get("class", ""): [tuple(float(n) for n in pair.split(",")) for pair in line.get("points", "").split()]
        for line in ET.fromstring(svg).iter("polyline")
    }


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.0, 3000.0, [0, 1000, 2000, 3000]),
        (0.13, 0.29, [0.15, 0.2, 0.25]),
        (0.0, 1e-4, [0, 2e-5, 4e-5, 6e-5, 8e-5, 1e-4]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("high", [1.5, 2.0, 3.0, 12.0, 13.0, 40.0, 750.0])
def test_whole_ticks_have_no_fraction(high: float) -> None:
    assert all(float(tick).is_integer() for tick in ticks(1.0, high, whole=True))


def test_the_ends_of_a_line_lie_at_the_ends_of_the_axes() -> None:
    svg = line_chart([Series("loss", [0.0, 10.0], [0.0, 1.0])], "step", (0.0, 1.0))
    assert svg is not None
    (first, last) = polylines(svg)["train"]
    assert first[0] == LEFT
    assert last[1] == TOP
    assert first[1] > last[1]


def test_a_faint_line_does_not_stretch_the_axes() -> None:
    calm = Series("training", [0.0, 1.0], [1.0, 1.0])
    spike = Series("each", [0.0, 1.0], [1.0, 100.0], "faint")
    alone, both = line_chart([calm], "step"), line_chart([spike, calm], "step")
    assert alone is not None
    assert both is not None
    assert polylines(both)["train"] == polylines(alone)["train"]


def test_a_single_value_is_a_dot() -> None:
    svg = line_chart([Series("loss", [5.0], [0.25])], "step")
    assert svg is not None
    (dot,) = ET.fromstring(svg).iter("circle")
    assert 0 < float(dot.get("cx", "0")) < WIDTH
    assert 0 < float(dot.get("cy", "0")) < HEIGHT
    assert dot[0].text == "loss 5: 0.25"


class TestSections:
    """Parts of the way across, with a line between each and the next."""

    LINE = Series("loss", [0.0, 100.0], [0.5, 1.0])

    def lines_and_names(self, *sections: Section) -> tuple[list[float], dict[str, float]]:
        """Where they stand across."""
        svg = line_chart([self.LINE], "step", sections=sections)
        assert svg is not None
        drawn = [each for each in ET.fromstring(svg).iter() if each.get("class") == "section"]
        lines = [float(each.get("d", "")[1:].split()[0]) for each in drawn if each.tag.endswith("path")]
        return lines, {each.text or "": float(each.get("x", "0")) for each in drawn if each.tag.endswith("text")}

    def test_they_are_parted_between_their_ends_and_named_in_their_middle(self) -> None:
        across = WIDTH - LEFT - RIGHT
        lines, names = self.lines_and_names(Section(0, 40, "a"), Section(60, 100, "<b>"))
        assert lines == pytest.approx([LEFT + across * 0.5], abs=0.05)
        assert names == pytest.approx({"a": LEFT + across * 0.2, "<b>": LEFT + across * 0.8}, abs=0.05)

    def test_what_lies_beside_the_lines_is_left_out_and_what_is_narrow_has_no_name(self) -> None:
        sections = (Section(-90, -50, "before"), Section(-30, 50, "a"), Section(60, 61, "b"), Section(70, 900, "c"))
        lines, names = self.lines_and_names(*sections)
        assert (len(lines), set(names)) == (2, {"a", "c"})

    def test_names_stand_above_all_values(self) -> None:
        """Of 14 px."""
        svg = line_chart([self.LINE], "step", sections=[Section(0, 50, "a"), Section(50, 100, "b")])
        assert svg is not None
        assert min(y for _, y in polylines(svg)["train"]) > TOP + 14

    def test_there_are_none_unless_asked_for(self) -> None:
        assert self.lines_and_names() == ([], {})


def test_lines_of_one_name_are_told_once() -> None:
    svg = line_chart([Series("loss", [0.0], [1.0]), Series("loss", [1.0], [1.0])], "step")
    assert svg is not None
    assert ET.fromstring(svg).get("aria-label") == "loss (step)"


def test_nothing_to_draw_is_no_chart() -> None:
    assert line_chart([], "step") is None
    assert line_chart([Series("loss", [], [])], "step") is None
    assert line_chart([Series("loss", [1.0, 2.0], [math.nan, math.inf])], "step") is None


def test_what_is_not_finite_is_left_out() -> None:
    svg = line_chart([Series("loss", [1.0, 2.0, 3.0], [1.0, math.nan, 2.0])], "step")
    assert svg is not None
    assert len(polylines(svg)["train"]) == 2


def test_all_zero_and_negative_values_are_drawn() -> None:
    assert line_chart([Series("loss", [1.0, 2.0], [0.0, 0.0])], "step") is not None
    assert line_chart([Series("loss", [1.0, 2.0], [-1.0, -2.0])], "step") is not None


def test_long_lines_are_thinned_out() -> None:
    svg = line_chart([Series("loss", [float(step) for step in range(100_000)], [1.0] * 100_000)], "step")
    assert svg is not None
    assert len(polylines(svg)["train"]) == MOST_POINTS


def test_names_are_escaped() -> None:
    svg = line_chart([Series('<script>"', [1.0, 2.0], [1.0, 2.0], "validation")], "<b>")
    assert svg is not None
    assert "<script>" not in svg
    assert "<b>" not in svg
    assert "<b>" not in curve([0.0, 1.0], [1.0, 1.0], "<b>")
    ET.fromstring(svg)


def test_a_curve_of_fractions_stands_on_its_axis() -> None:
    points = polylines(curve([0.5, 1.0], [1.0, 0.5], "cat"))[""]
    assert points == [(0, 0), (50, 0), (100, 50)]
    assert "polyline" in curve([], [], "cat")


def test_a_mark_lies_where_its_numbers_say() -> None:
    (dot,) = ET.fromstring(curve([0.5, 1.0], [1.0, 0.5], "cat", (0.25, 0.75))).iter("circle")
    assert (dot.get("cx"), dot.get("cy")) == ("25.0", "25.0")
    assert "circle" not in curve([0.5, 1.0], [1.0, 0.5], "cat")


def test_bars_of_shares() -> None:
    """One of half the height over the fifth tenth; none where nothing is known."""
    svg = share_bars([Bar(0.4, 0.5, 0.5, "12k", "<b>"), Bar(0.5, 0.6, None, "0", "none")], "score", "share")
    (bar,) = ET.fromstring(svg).iter("rect")
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    assert float(bar.get("x", "0")) == pytest.approx(LEFT + 0.4 * width + 1, abs=0.1)  # a gap of 1; one decimal
    assert float(bar.get("height", "0")) == pytest.approx(height / 2, abs=0.1)
    assert bar[0].text == "<b>"
    words = [text.text for text in ET.fromstring(svg).iter("text")]
    assert {"12k", "score", "share", "0.5"} <= set(words)
    assert "none" not in svg


def test_smoothing_is_the_mean_of_the_neighbours() -> None:
    assert smoothed([1.0, 2.0, 3.0, 4.0], 1) == [1, 2, 3, 4]
    assert smoothed([1.0, 2.0, 6.0, 4.0], 3) == pytest.approx([1.5, 3, 4, 5])
    assert smoothed([1.0, math.nan, 3.0], 3) == pytest.approx([1, 2, 3])
    assert smoothed([], 5) == []
    assert smoothed([1.0, 2.0], 50) == [1, 2]
    assert smoothed([1.0, 2.0, 6.0, 4.0], 4) == smoothed([1.0, 2.0, 6.0, 4.0], 3)
