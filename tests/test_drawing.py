"""Drawings: where the lines fall, what is seen, and that nothing handed in is changed."""

import pytest
import torch
from PIL import Image, ImageChops

from frcnn.drawing import (
    BLACK,
    WHITE,
    Labelled,
    class_colour,
    describe_undrawable,
    draw_boxes,
    draw_detections,
    text_colour,
    undrawable,
)
from frcnn.structures import Detections, Target

NAMES = ("cat", "dog")
GREY = (128, 128, 128)


def one(box: tuple[float, float, float, float], class_id: int = 0, score: float = 0.5) -> Detections:
    return Detections(torch.tensor([box]), torch.tensor([score]), torch.tensor([class_id]), NAMES)


def nothing() -> Detections:
    return Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), NAMES)


def canvas(size: tuple[int, int] = (200, 150)) -> Image.Image:
    return Image.new("RGB", size, GREY)


def changed(drawn: Image.Image) -> tuple[int, int, int, int] | None:
    """The smallest rectangle that holds everything drawn."""
    return ImageChops.difference(drawn, canvas(drawn.size)).getbbox()


def test_lines_lie_inside_the_half_open_corners() -> None:
    drawn = draw_detections(canvas(), one((40.0, 60.0, 100.0, 120.0)))
    colour = class_colour(0)
    for inside in ((40, 90), (99, 90), (70, 60), (70, 119)):
        assert drawn.getpixel(inside) == colour
    for casing in ((39, 90), (100, 90), (70, 120)):
        assert drawn.getpixel(casing) == BLACK
    assert drawn.getpixel((70, 90)) == GREY


def test_the_picture_handed_in_is_not_touched() -> None:
    picture = canvas()
    drawn = draw_detections(picture, one((40.0, 60.0, 100.0, 120.0)))
    assert changed(picture) is None
    assert changed(drawn) is not None


def test_nothing_found_is_a_plain_copy() -> None:
    picture = canvas()
    drawn = draw_detections(picture, nothing())
    assert drawn is not picture
    assert changed(drawn) is None


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_other_modes_come_back_in_rgb(mode: str) -> None:
    drawn = draw_detections(canvas().convert(mode), one((40.0, 60.0, 100.0, 120.0)))
    assert drawn.mode == "RGB"
    assert drawn.getpixel((70, 60)) == class_colour(0)


def test_a_name_that_would_hide_the_picture_is_shortened() -> None:
    """A name of thousands of letters costs as little as one of forty."""
    box = torch.tensor([[40.0, 60.0, 100.0, 120.0]])
    long, short = (
        draw_detections(canvas(), Detections(box, torch.tensor([0.5]), torch.tensor([0]), (name,)))
        for name in ("m" * 5000, "m" * 39 + "…")
    )
    assert long.tobytes() == short.tobytes()


def test_a_label_stands_above_its_box_where_there_is_room() -> None:
    bounds = changed(draw_detections(canvas(), one((40.0, 60.0, 100.0, 120.0))))
    assert bounds is not None
    assert 40 <= bounds[1] <= 50


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 30.0, 30.0), (190.0, 0.0, 200.0, 10.0), (180.0, 140.0, 200.0, 150.0), (0.0, 0.0, 200.0, 150.0)]
)
def test_a_label_stays_whole_inside_the_picture(box: tuple[float, float, float, float]) -> None:
    tag = tag_of(draw_detections(canvas(), one((60.0, 60.0, 140.0, 120.0))))
    assert holds(draw_detections(canvas(), one(box)), tag)


def tag_of(drawn: Image.Image) -> Image.Image:
    """The label above a box whose top left corner is (60, 60)."""
    bounds = changed(drawn)
    assert bounds is not None
    right = next(x for x in range(60, drawn.width) if drawn.getpixel((x, bounds[1])) == GREY)
    return drawn.crop((59, bounds[1], right, 59))


def holds(picture: Image.Image, part: Image.Image) -> bool:
    """Does the part lie somewhere in the picture, whole?"""
    places = ((x, y) for x in range(picture.width - part.width + 1) for y in range(picture.height - part.height + 1))
    return any(picture.crop((x, y, x + part.width, y + part.height)).tobytes() == part.tobytes() for x, y in places)


def number_of(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    return sum(count for count, other in picture.getcolors(picture.width * picture.height) or [] if other == colour)


def test_labels_of_the_same_box_do_not_hide_each_other() -> None:
    box = [40.0, 60.0, 100.0, 120.0]
    twice = Detections(torch.tensor([box, box]), torch.tensor([0.9, 0.8]), torch.tensor([0, 1]), NAMES)
    drawn = draw_detections(canvas(), twice)
    alone = draw_detections(canvas(), twice[:1])
    above = (0, 0, 200, 58)
    assert drawn.crop(above).tobytes() == alone.crop(above).tobytes()
    assert number_of(drawn, class_colour(1)) > 200


def test_boxes_out_of_the_picture_and_without_area_are_drawn_where_they_can_be() -> None:
    for box in ((-50.0, -50.0, -10.0, -10.0), (500.0, 500.0, 600.0, 600.0), (20.0, 20.0, 20.0, 20.0)):
        drawn = draw_detections(canvas(), one(box))
        assert drawn.size == (200, 150)
        assert changed(drawn) is not None


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (5000, 40)])
def test_pictures_of_odd_sizes(size: tuple[int, int]) -> None:
    assert draw_detections(canvas(size), one((0.0, 0.0, float(size[0]), float(size[1])))).size == size


def test_lines_and_letters_grow_with_the_picture() -> None:
    small = draw_detections(canvas((400, 300)), one((100.0, 100.0, 300.0, 200.0)))
    large = draw_detections(canvas((4000, 3000)), one((1000.0, 1000.0, 3000.0, 2000.0)))
    assert [small.getpixel((100 + x, 150)) == class_colour(0) for x in range(4)].count(True) == 2
    assert [large.getpixel((1000 + x, 1500)) == class_colour(0) for x in range(20)].count(True) == 16


def test_truth_is_dashed_white_and_grey_where_ignored() -> None:
    truth = Target(
        torch.tensor([[20.0, 20.0, 80.0, 80.0], [120.0, 20.0, 180.0, 80.0]]),
        torch.tensor([0, 1]),
        torch.tensor([False, True]),
    )
    drawn = draw_detections(canvas(), nothing(), truth)
    edge = {drawn.getpixel((x, 20)) for x in range(20, 80)}
    assert edge == {WHITE, BLACK}
    assert {drawn.getpixel((x, 20)) for x in range(120, 180)} == {(170, 170, 170), BLACK}


def test_truth_is_named_only_where_no_detection_explains_it() -> None:
    box = (20.0, 60.0, 120.0, 140.0)
    truth = Target(torch.tensor([box]), torch.tensor([0]))
    found = draw_detections(canvas(), one(box), truth)
    missed = draw_detections(canvas(), nothing(), truth)
    mistaken = draw_detections(canvas(), one(box, class_id=1), truth)
    assert number_of(found, WHITE) < number_of(missed, WHITE) - 100
    assert number_of(found, WHITE) < number_of(mistaken, WHITE) - 100


def test_colours_are_stable_and_distinct() -> None:
    colours = [class_colour(class_id) for class_id in range(90)]
    assert colours == [class_colour(class_id) for class_id in range(90)]
    assert len(set(colours)) == 90


def test_text_is_legible_on_every_colour() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:
        parts = [v / 255 / 12.92 if v / 255 <= 0.04045 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    for class_id in range(90):
        pair = sorted((luminance(class_colour(class_id)), luminance(text_colour(class_colour(class_id)))))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5


def test_detections_draw_themselves() -> None:
    found = one((40.0, 60.0, 100.0, 120.0))
    assert found.draw(canvas()).tobytes() == draw_detections(canvas(), found).tobytes()


def test_names_of_other_scripts_and_very_long_ones_are_drawn() -> None:
    for name in ("고양이", "a name much too long for so small a picture, and longer still, and on and on"):
        found = Detections(torch.tensor([[40.0, 60.0, 100.0, 120.0]]), torch.tensor([0.5]), torch.tensor([0]), (name,))
        assert changed(draw_detections(canvas(), found)) is not None


def test_boxes_of_any_colour_the_first_on_top_and_dashed_ones_above() -> None:
    red, green, blue = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    box, other = (40.0, 60.0, 100.0, 120.0), (120.0, 60.0, 180.0, 120.0)
    drawn = draw_boxes(canvas(), [Labelled(box, "", red), Labelled(box, "", green)], [Labelled(other, "", blue)])
    assert drawn.getpixel((40, 90)) == red
    assert drawn.getpixel((120, 60)) == blue
    colours = {colour for _, colour in drawn.getcolors() or ()}
    assert colours == {GREY, BLACK, red, blue}
    over = draw_boxes(canvas(), [Labelled(box, "", red)], [Labelled(box, "", blue)])
    assert over.getpixel((40, 60)) == blue


@pytest.mark.parametrize("least", [2, 3, 5])
def test_lines_are_as_wide_as_asked_and_a_solid_one_is_seen_below_a_dashed_one(least: int) -> None:
    red, blue = (250, 0, 0), (0, 0, 250)
    box = (40.0, 60.0, 100.0, 120.0)
    drawn = draw_boxes(canvas(), [Labelled(box, "", red)], [Labelled(box, "", blue)], least)
    across = [drawn.getpixel((x, 60 + 2 * least)) for x in range(40, 40 + least + 1)]  # the first dash begins at 60
    assert across == [blue] * (least - 1) + [red, BLACK]


def test_a_box_without_a_label_has_no_tag() -> None:
    plain, tagged = (
        draw_boxes(canvas(), [Labelled((40.0, 60.0, 100.0, 120.0), words, WHITE)]) for words in ("", "cat")
    )
    assert changed(plain) == (39, 59, 101, 121)
    bounds = changed(tagged)
    assert bounds is not None
    assert bounds[1] < 59


def test_letters_that_no_font_has_are_told_of(without_fonts) -> None:
    assert undrawable(["cat 1", "고양이", "이고 dog"]) == "고양이"
    assert undrawable(["cat", "dog"]) == ""
    assert undrawable(["e\u0301 \u200d"]) == ""  # what joins letters is none
    assert describe_undrawable(["cat", "고양이 개"]) == (
        "no font was found for 고, 양, 이 ...: pictures show empty squares in their place; install one that has them, "
        "such as NotoSansCJK"
    )
    assert describe_undrawable(["cat"]) == ""
