"""What the page says of a training: figures by hand, and only what is known."""

import math

import pytest

from frcnn.config import load_preset, override
from frcnn.evaluation.history import History
from frcnn.evaluation.reporting.texts import texts
from frcnn.evaluation.reporting.training_values import LOSSES, duration, settings, training_charts, training_tiles

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
