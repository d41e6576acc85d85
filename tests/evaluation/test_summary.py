"""A few lines for the console."""

from dataclasses import replace

from judged import BOX, FAR, NAMES, detections, target

from frcnn.evaluation.analysis import analyse
from frcnn.evaluation.summary import summary, three_digits


def test_the_figures_in_words() -> None:
    """A small cat found twice, another one not, at a dog's place."""
    found = detections((BOX, 0.75, 0), (BOX, 0.625, 0), (FAR, 0.25, 1))
    assert summary(analyse([found], [target((BOX, 0, False), (FAR, 0, False))], NAMES)) == [
        "COCO AP 0.505, AP50 0.505, AP75 0.505; small 0.505, medium -, large -",
        "COCO AR1 0.500, AR10 0.500, AR100 0.500; small 0.500, medium -, large -",
        "best F1 0.667 from score 0.750: precision 1.000, recall 0.500",
        "F1 0.500 from score 0.500: precision 0.500, recall 0.500",
        "from score 0.750: 1 right, 1 missed",
        "wrong there: 0 duplicate, 0 localisation, 0 class, 0 both, 0 background",
    ]


def test_without_anything_right_there_is_no_best_and_without_objects_nothing() -> None:
    lines = summary(analyse([detections()], [target((BOX, 0, False))], NAMES))
    assert lines[2] == "F1 0.000 from score 0.500: precision -, recall 0.000"
    assert summary(analyse([detections((BOX, 0.75, 0))], [target()], NAMES)) == []


def test_what_is_not_defined_is_a_dash() -> None:
    assert (three_digits(None), three_digits(0.12345), three_digits(0)) == ("-", "0.123", "0.000")


def test_the_lines_fit_a_console() -> None:
    """In a console of 80 columns, with a hundred thousand of everything."""
    analysis = analyse([detections((BOX, 0.75, 0))], [target((BOX, 0, False))], NAMES)
    many = replace(analysis, errors=replace(analysis.errors, counts=dict.fromkeys(analysis.errors.counts, 100_000)))
    assert max(map(len, summary(many))) <= 100  # the wrong ones, of which there are seldom so many
