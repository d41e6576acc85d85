"""What the page says of an evaluation: sentences that fit what is there, and pictures in groups."""

from dataclasses import replace

from judged import BOX, NAMES, detections, target
from small_reports import an_evaluated

from frcnn.cropping import css
from frcnn.evaluation.analysis import analyse
from frcnn.evaluation.average_precision import evaluate_detections
from frcnn.evaluation.reporting.colours import KIND_COLOURS
from frcnn.evaluation.reporting.evaluation_values import (
    ORDINARY_PICTURES,
    evaluation_tiles,
    evaluation_values,
    picture_values,
)
from frcnn.evaluation.reporting.texts import texts
from frcnn.evaluation.results import Evaluation

EN = texts("en")


def test_tiles(tmp_path) -> None:
    evaluated = an_evaluated(tmp_path)
    tiles = dict(evaluation_tiles(evaluated.evaluation, evaluated.analysis, EN))
    assert tiles["pictures evaluated"] == "8"
    assert tiles["a picture, detection alone"] == "200 ms"
    unknown = replace(evaluated.evaluation, seconds_per_image=None)
    assert "a picture, detection alone" not in dict(evaluation_tiles(unknown, evaluated.analysis, EN))


def test_sentences(tmp_path) -> None:
    evaluated = an_evaluated(tmp_path)
    values = evaluation_values(replace(evaluated.evaluation, skipped_boxes=3), evaluated.analysis, EN)
    assert values["evaluated"].startswith("Pictures: 8, objects: 6.")
    assert values["evaluated"].endswith("scored above 0.05 count. Bad boxes left out: 3.")
    assert values["errors"].startswith("Counted from score 0.625, where F1 of all classes together is best.")
    assert "Right: 3, missed: 3, on objects that do not count: 1." in values["errors"]
    assert values["losses"] == [("RPN: object or not", "0.1250"), ("Loss, all four together", "1.5000")]
    assert (values["some_curves"], values["recall_table"], values["pairs_table"]) == ("", None, None)


def test_of_a_file_with_nothing_right() -> None:
    found, truth = detections((BOX, 0.75, 1)), target((BOX, 0, False))
    evaluation = Evaluation(evaluate_detections([found], [truth], NAMES), (found,), {}, None, None)
    values = evaluation_values(evaluation, analyse([found], [truth], NAMES), EN)
    assert "scored above" not in values["evaluated"]
    assert values["errors"].startswith("Counted from score 0.500. Right: 0, missed: 1")


def test_groups_of_pictures(tmp_path) -> None:
    """One of each kind; three with something missed; ordinary ones at the end."""
    values = picture_values(an_evaluated(tmp_path).judged, EN)
    groups = {group.title: [picture.name for picture in group.pictures] for group in values["groups"]}
    assert list(groups) == [
        "Localisation: the right class, but an IoU of .1 to .5",
        "Class: on an object of another class",
        "Class and place: near an object of another class, IoU of .1 to .5",
        "Duplicate: a second detection of an object",
        "Background: near no object",
        "Missed: an object that no detection found",
        "Ordinary pictures, spread evenly over the set",
    ]
    assert [len(names) for names in groups.values()] == [1, 1, 1, 1, 1, 3, ORDINARY_PICTURES]
    assert values["legend"][0] == ("Right", css(KIND_COLOURS["right"]))
    assert len(values["legend"]) == 6
    assert values["any_ignored"]
    assert values["shown_from"] == "0.625"


def test_without_pictures_there_are_no_groups(tmp_path) -> None:
    evaluated = an_evaluated(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    assert picture_values(evaluated.judged, EN)["groups"] == []
