import xml.etree.ElementTree as ElementTree

from frcnn.data.checking.bars import BOTTOM, HEIGHT, TOP, bar_chart


def test_bars_stand_on_the_axis_and_are_as_high_as_they_count() -> None:
    svg = ElementTree.fromstring(bar_chart(["a", "<b>", "c"], [10, 5, 0], "what"))
    bars = [(float(bar.get("y", "")), float(bar.get("height", ""))) for bar in svg.iter("rect")]
    room = HEIGHT - TOP - BOTTOM
    assert bars == [(TOP, room), (TOP + room / 2, room / 2), (TOP + room, 0)]
    assert [text.text for text in svg.iter("text")] == ["10", "a", "5", "<b>", "c"]
