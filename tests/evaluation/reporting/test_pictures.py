"""Drawn pictures: the colour of each verdict, and what is wrong in words."""

import io
from pathlib import Path

import pytest
from judged import detections, target
from PIL import Image
from small_reports import BOTH, CAT, CLASS, DUPLICATE, EMPTY, HERE, IGNORED, LOCALISATION, NAMES, an_evaluated

from frcnn.cropping import jpeg
from frcnn.data.dataset import Example
from frcnn.drawing import IGNORED_COLOUR, WHITE
from frcnn.evaluation.error_types import Fate, Verdict
from frcnn.evaluation.flat import NO_OBJECT
from frcnn.evaluation.reporting.colours import KIND_COLOURS
from frcnn.evaluation.reporting.judged import JudgedPicture
from frcnn.evaluation.reporting.pictures import PICTURE_SIDE, draw, drawn, errors_in_words, summary_in_words
from frcnn.evaluation.reporting.texts import texts

EN, KO = texts("en"), texts("ko")


@pytest.fixture
def pictures(tmp_path):
    return an_evaluated(tmp_path).judged


def colours(image: Image.Image) -> set[tuple[int, ...]]:
    return {colour for _, colour in image.getcolors(maxcolors=1 << 20)}


@pytest.mark.parametrize(
    ("number", "kind", "there", "not_there"),
    [
        (DUPLICATE, "duplicate", {KIND_COLOURS["duplicate"], WHITE}, {KIND_COLOURS["missed"]}),
        (CLASS, "class", {KIND_COLOURS["class"], KIND_COLOURS["missed"]}, {KIND_COLOURS["right"], WHITE}),
        (IGNORED, "right", {KIND_COLOURS["right"], IGNORED_COLOUR, WHITE}, {KIND_COLOURS["missed"]}),
    ],
)
def test_colours_tell_verdicts_and_fates(pictures, number, kind, there, not_there) -> None:
    image = draw(pictures.picture(number), kind)
    assert image is not None
    assert image.size == (256, 192)
    assert colours(image) >= there
    assert not colours(image) & not_there


def test_the_errors_of_the_kind_lie_on_top(pictures) -> None:
    """A right detection and its duplicate in the same place: the one that is asked for is seen."""
    picture = pictures.picture(DUPLICATE)
    edge = (120 - 2, 70)  # the inner edge of the right side of HERE, four times as large
    seen = {kind: draw(picture, kind) for kind in ("duplicate", "right")}
    assert {kind: image.getpixel(edge) if image else None for kind, image in seen.items()} == {
        kind: KIND_COLOURS[kind] for kind in seen
    }


def test_errors_in_words(pictures) -> None:
    words = {
        kind: errors_in_words(pictures.picture(number), kind, EN)
        for kind, number in (("duplicate", DUPLICATE), ("localisation", LOCALISATION), ("class", CLASS), ("both", BOTH))
    }
    assert words == {
        "duplicate": "cat 0.81",
        "localisation": "cat 0.84 (IoU 0.38)",
        "class": "eel → cat 0.69",
        "both": "eel → cat 0.75 (IoU 0.38)",
    }
    assert errors_in_words(pictures.picture(CLASS), "missed", EN) == "eel"


def many(missed: int, found: int) -> JudgedPicture:
    return JudgedPicture(
        Example(Path(), Path(), (48, 64), target(*[(HERE, CAT, False)] * missed)),
        detections(*[(HERE, 0.5, CAT)] * found, names=NAMES),
        (Verdict.BACKGROUND,) * found,
        (NO_OBJECT,) * found,
        (Fate.MISSED,) * missed,
    )


def test_very_many_errors_are_cut_short() -> None:
    assert errors_in_words(many(0, 6), "background", EN) == "cat 0.50, cat 0.50, cat 0.50, cat 0.50 and 2 more"
    assert errors_in_words(many(0, 6), "background", KO).endswith("cat 0.50 외 2개")
    assert errors_in_words(many(0, 4), "background", EN).count("cat") == 4


def test_missed_objects_are_counted_by_class(pictures) -> None:
    example = pictures.dataset.examples[0]
    truth = target((HERE, 2, False), (HERE, 0, False), (HERE, 2, False))
    picture = JudgedPicture(
        type(example)(example.picture, example.annotation, example.size, truth),
        detections(names=NAMES), (), (), (Fate.MISSED,) * 3,
    )  # fmt: skip
    assert errors_in_words(picture, "missed", EN) == "eel × 2, cat"


def test_a_summary(pictures) -> None:
    assert summary_in_words(pictures.picture(IGNORED), EN) == "found: 1 of 1"
    assert summary_in_words(pictures.picture(DUPLICATE), EN) == "found: 1 of 1, wrong: 1"
    assert summary_in_words(pictures.picture(CLASS), KO) == "1개 중 0개 찾음, 오검출 1개"


def test_what_a_page_holds_of_a_picture(pictures) -> None:
    one, nothing = drawn([pictures.picture(DUPLICATE), pictures.picture(EMPTY)], "duplicate", EN)
    with Image.open(io.BytesIO(one.jpeg)) as image:
        assert (image.format, image.size) == ("JPEG", (one.width, one.height))
    assert (one.name, one.errors, one.summary) == ("0.png", "cat 0.81", "found: 1 of 1, wrong: 1")
    assert one.alt == "Detected: cat 0.88, cat 0.81"
    assert nothing.alt == "Detected: nothing"
    assert drawn([pictures.picture(DUPLICATE)], None, EN)[0].errors == ""


def test_a_picture_that_is_not_there_is_left_out(pictures) -> None:
    pictures.dataset.examples[DUPLICATE].picture.unlink()
    assert draw(pictures.picture(DUPLICATE)) is None
    assert [one.name for one in drawn([pictures.picture(n) for n in (DUPLICATE, CLASS)], None, EN)] == ["2.png"]


def test_a_picture_of_another_size_is_left_out(pictures) -> None:
    example = pictures.dataset.examples[DUPLICATE]
    Image.new("RGB", (48, 64)).save(example.picture)
    assert draw(pictures.picture(DUPLICATE)) is None


def test_large_pictures_are_made_smaller(tmp_path, pictures) -> None:
    example = pictures.dataset.examples[EMPTY]
    Image.new("RGB", (1600, 800)).save(example.picture)
    object.__setattr__(example, "size", (800, 1600))
    image = draw(pictures.picture(EMPTY))
    assert image is not None
    assert image.size == (PICTURE_SIDE, PICTURE_SIDE // 2)
    assert jpeg(image) == jpeg(image.copy())
