"""What the page says of a training: figures by hand, and only what is known."""

import math
import xml.etree.ElementTree as ET

import pytest

from frcnn.config import load_preset, override
from frcnn.evaluation.history import History
from frcnn.evaluation.reporting.texts import texts
from frcnn.evaluation.reporting.training_values import (
    LOSSES,
    Chart,
    duration,
    settings,
    training_charts,
    training_tiles,
)

EN, KO = texts("en"), texts("ko")
STEPS = tuple(
    {"step": step, "epoch": 1, "lr": 0.01, "images_per_second": speed, "memory_mb": 1000.0 * step}
    | dict.fromkeys(LOSSES, 0.5)
    for step, speed in ((1, 4.0), (2, 8.0), (3, math.nan))
)
EVALUATIONS = ({"step": 3, "epoch": 1, "voc07_map": 0.25, "voc_map": 0.5, "losses": dict.fromkeys(LOSSES, 0.75)},)


@pytest.mark.parametrize(
    ("seconds", "english", "korean"),
    [
        (0.4, "0 s", "0초"),
        (59.6, "1 min 0 s", "1분 0초"),
        (450.0, "7 min 30 s", "7분 30초"),
        (7500.0, "2 h 5 min", "2시간 5분"),
    ],
)
def test_durations_as_people_say_them(seconds: float, english: str, korean: str) -> None:
    assert (duration(seconds, EN), duration(seconds, KO)) == (english, korean)


def test_tiles() -> None:
    assert training_tiles(History(STEPS, seconds=90.0), EN) == [
        ("training", "1 min 30 s"),
        ("steps", "3"),
        ("pictures a second in training", "6.0"),
        ("memory of the training, at most", "3.0 GB"),
    ]
    assert training_tiles(History(({"step": 7},)), EN) == [("training", "0 s"), ("steps", "7")]
    assert training_tiles(History(), EN) == []


def test_settings_that_people_ask_for() -> None:
    changes = ["train.lr=0.02", "train.lr_scaling=linear", "train.epochs=1500", "train.seed=7"]
    rows = dict(settings(override(load_preset("resnet50_fpn"), changes), History(starts=3), EN))
    assert rows["Network input"] == "short side 800, long 1333"
    assert rows["Learning rate"] == "0.02 × batch / 16"
    assert (rows["Epochs"], rows["Seed"], rows["Times resumed"]) == ("1,500", "7", "2")
    square = override(load_preset("mobilenet_v3_large_320_fpn"), ["train.steps=20000", "model.input.resize=square"])
    rows = dict(settings(square, History(starts=1), EN))
    assert (rows["Network input"], rows["Steps"]) == ("320²", "20,000")
    assert rows["Backbone"].endswith(" + FPN")
    assert not {"Epochs", "Times resumed"} & set(rows)


@pytest.mark.parametrize(
    ("asked", "english", "korean"),
    [
        (
            ["train.step_epochs=[1, 1, 1, 1500]"],
            ("Epochs", "1 · 1 · 1 · 1,500 (steps 1 to 4)"),
            "1 · 1 · 1 · 1,500 (1~4단계)",
        ),
        (["train.epochs=13"], ("Epochs", "13 · 13 · 13 · 13 (steps 1 to 4)"), "13 · 13 · 13 · 13 (1~4단계)"),
        (["train.steps=7"], ("Steps", "7 · 7 · 7 · 7 (steps 1 to 4)"), "7 · 7 · 7 · 7 (1~4단계)"),
    ],
)
def test_each_step_of_alternating_training_has_a_length_of_its_own(
    asked: list[str], english: tuple[str, str], korean: str
) -> None:
    config = override(load_preset("tiny"), ["train.schedule=alternating", *asked])
    assert english in settings(config, History(), EN)
    assert korean in dict(settings(config, History(), KO)).values()


def alternating() -> History:
    """Three steps of the solver in each of the four of the schedule; the last one is evaluated."""
    lines = []
    for stage in range(1, 5):
        of_rpn = stage % 2 == 1
        losses = {name: 10.0 * stage for name in LOSSES[1:] if name.startswith("rpn") == of_rpn}
        total = {"total": sum(losses.values())}
        lines += [{"step": 3 * stage + i - 3, "stage": stage, "lr": 0.1} | losses | total for i in (1, 2, 3)]
    tested = {"total": 100.0, "rpn_objectness": 1.0, "rpn_box": 2.0, "head_class": 4.0, "head_box": 8.0}
    return History(tuple(lines), ({"step": 12, "epoch": 1, "voc07_map": 0.5, "voc_map": 0.5, "losses": tested},))


class TestAlternating:
    """What one step minimises is another loss than the next one's: no line joins them."""

    def chart(self, number: int) -> Chart:
        return training_charts(alternating(), EN)[number]

    def test_the_total_is_a_line_for_each_step(self) -> None:
        chart = self.chart(0)
        assert chart.title == "Loss that each of the four steps minimises"
        lines = [line for line in ET.fromstring(chart.svg).iter("polyline") if line.get("class") == "train"]
        heights = [{point.split(",")[1] for point in line.get("points", "").split()} for line in lines]
        assert [len(each) for each in heights] == [1] * 4  # level, so no line climbs from one step to the next
        assert len(set.union(*heights)) == 4

    def test_held_out_counts_what_the_last_step_minimises(self) -> None:
        assert "validation 12: 12<" in self.chart(0).svg

    def test_steps_are_marked_and_named(self) -> None:
        svg = ET.fromstring(self.chart(0).svg)
        named = [text.text for text in svg.iter("text") if text.get("class") == "section"]
        assert named == ["1/4", "2/4", "3/4", "4/4"]
        assert len([path for path in svg.iter("path") if path.get("class") == "section"]) == 3
        assert self.chart(0).keys[-1] == ("section", "1/4 to 4/4: steps of alternating training")
        rate = next(chart for chart in training_charts(alternating(), EN) if chart.title == "Learning rate")
        assert rate.keys == [("section", "1/4 to 4/4: steps of alternating training")]
        assert len(list(ET.fromstring(rate.svg).iter("polyline"))) == 4

    def test_each_kind_of_line_has_one_key(self) -> None:
        assert [kind for kind, _ in self.chart(0).keys] == ["faint", "train", "validation", "section"]

    def test_epochs_are_of_the_step_that_is_evaluated(self) -> None:
        assert ">epoch of step 4<" in self.chart(1).svg

    def test_joint_training_has_no_such_marks(self) -> None:
        for chart in training_charts(History(STEPS, EVALUATIONS), EN):
            assert "section" not in chart.svg
            assert "section" not in dict(chart.keys)


def test_charts_of_what_is_known() -> None:
    whole = training_charts(History(STEPS, EVALUATIONS), EN)
    titles = [chart.title for chart in whole]
    assert titles[:2] == ["Loss, all four together", "Validation mAP at IoU .5"]
    assert titles[-3:] == ["Learning rate", "Speed, pictures a second", "Memory of the process, GB"]
    assert len(whole) == 9
    assert [name for _, name in whole[0].keys] == ["each logged step", "training", "validation"]
    assert [name for _, name in whole[1].keys] == ["VOC07, 11 points", "VOC, area"]
    without = training_charts(History(({"step": 1, "total": 0.5}, {"step": 2, "total": 0.25})), KO)
    assert [chart.title for chart in without] == ["전체 손실"]
    assert training_charts(History(), EN) == []
