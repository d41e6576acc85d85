"""What is said of a data set's objects and anchors."""

import json
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from frcnn.config import Config, load_preset, override
from frcnn.data.anchor_advice.report import FEW_OBJECTS, AnchorAdvice, Suggestion, Trial, written
from frcnn.data.anchor_advice.shares import Group, Unreached
from frcnn.data.anchor_fit import AnchorFit

TINY, REPEATED = load_preset("tiny"), load_preset("mobilenet_v3_large_320_fpn")
OTHER = override(TINY, ["model.anchors.sizes=[[20],[40],[80],[160]]", "model.input.short_side=300"])


def trial_of(title: str, config: Config, pixels: float, *overlaps: float) -> Trial:
    """Training sees all as detection does, but half as much of it reaches .7."""
    fit = AnchorFit(
        torch.tensor(overlaps), torch.ones(len(overlaps), 4), torch.zeros(len(overlaps)).long(), ("a",), config.model
    )
    shares = [fit.share_reaching(bound) for bound in (0.3, 0.5, 0.7)]
    return Trial(title, config, fit, torch.tensor([*shares[:2], shares[2] / 2], dtype=torch.float64), pixels)


NOW = trial_of("as it is", TINY, 400.0, 0.0, 0.29, 0.6, 0.8)
LARGER = trial_of("short side 300", OTHER, 625.0, 0.4, 0.8, 0.9, 0.9)
SUGGESTION = Suggestion(LARGER, ("model.input.short_side=300",), "frcnn train tiny --set model.input.short_side=300")
ADVICE = AnchorAdvice(
    pictures=1200,
    skipped_boxes=2,
    searched=3,
    trials=(NOW, LARGER),
    suggestions=(SUGGESTION,),
    groups=(
        Group("all", "all", 4, 52.0, 40.4, (0.5, 0.5, 0.25)),
        Group("class", "[b]cat[/b]", 4, 52.0, 40.4, (0.5, 0.5, 0.25)),
    ),
    groups_as_advised=(
        Group("all", "all", 4, 52.0, 60.6, (1.0, 0.75, 0.75)),
        Group("class", "[b]cat[/b]", 4, 52.0, 60.6, (1.0, 0.75, 0.75)),
    ),
    unreached=(Unreached("a", 2, 4, ("1.jpg", "2.jpg")),),
)
FINE = replace(
    ADVICE,
    suggestions=(),
    trials=(trial_of("as it is", TINY, 400.0, 0.6, 0.7), LARGER),
    groups_as_advised=ADVICE.groups,
)


def printed(advice: AnchorAdvice) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(advice.to_tables())
    return capture.get()


def cells(text: str, first: str) -> str:
    """The line of a table that begins with this, without the frame."""
    (line,) = (line for line in text.splitlines() if line.strip().startswith(first))
    return " ".join(line.strip().removeprefix(first).split())


class TestDict:
    def test_it_is_json(self):
        values = ADVICE.as_dict()
        assert json.loads(json.dumps(values)).keys() == values.keys()
        assert (values["preset"], values["pictures"], values["objects"], values["skipped_boxes"]) == (
            "tiny",
            1200,
            4,
            2,
        )

    def test_what_is_reached(self):
        values = ADVICE.as_dict()
        assert values["groups"][0] == {
            "kind": "all",
            "name": "all",
            "objects": 4,
            "size": 52,
            "size_seen": 40.4,
            "reached": (0.5, 0.5, 0.25),
            "reached_as_advised": (1, 0.75, 0.75),
        }
        assert values["unreached"] == [
            {"class_name": "a", "unreached": 2, "objects": 4, "pictures": ("1.jpg", "2.jpg")}
        ]

    def test_trials(self):
        _, larger = ADVICE.as_dict()["trials"]
        assert (larger["title"], larger["short_side"], larger["relative_pixels"]) == ("short side 300", 300, 1.562)
        assert (larger["sizes"], larger["ratios"]) == ([[20], [40], [80], [160]], [0.5, 1, 2])
        assert larger["reached_in_detection"] == {"0.3": 1, "0.5": 0.75, "0.7": 0.75}
        assert larger["reached_with_training"] == {"0.3": 1, "0.5": 0.75, "0.7": 0.375}

    def test_suggestions(self):
        assert ADVICE.as_dict()["suggestions"] == [
            {
                "title": "short side 300",
                "settings": ("model.input.short_side=300",),
                "command": "frcnn train tiny --set model.input.short_side=300",
            }
        ]
        assert FINE.as_dict()["suggestions"] == []


class TestDescribe:
    def test_what_is_hardly_reached_and_what_helps_and_what_that_costs(self):
        assert list(replace(ADVICE, trials=(NOW, LARGER)).describe()) == [
            "No anchor reaches IoU 0.3 with 2 of 4 objects: a 2 of 4 (1.jpg, 2.jpg).",
            "Better settings were found (shares: of what detection and training see, taken together). "
            "4 objects are few to judge by.",
            "1. short side 300: IoU 0.5 with 75.0 % of the objects (now 50.0 %), IoU 0.7 with 37.5 % of the objects "
            "(now 12.5 %); training and detection take about 1.6 times as long.",
            "frcnn train tiny --set model.input.short_side=300",
        ]

    def test_the_bound_is_the_preset_s(self):
        config = override(TINY, ["model.rpn.negative_below=0.35"])
        advice = replace(ADVICE, trials=(trial_of("as it is", config, 400.0, 0.0, 0.6), LARGER))
        assert "No anchor reaches IoU 0.35 with" in next(advice.describe())

    def test_many_classes_are_one_line(self):
        unreached = tuple(Unreached(name, 3, 9, ("x.jpg",)) for name in "abcdefg")
        line = next(replace(ADVICE, unreached=unreached).describe())
        assert line.count("(x.jpg)") == 5
        assert line.endswith("; 6 of other classes.")

    def test_names_are_no_orders_to_a_terminal(self):
        groups = (Group("class", "cat\x1b[2J", 4, 52.0, 40.4, (0.5, 0.5, 0.25)),)
        advice = replace(
            FINE,
            groups=groups,
            groups_as_advised=groups,
            unreached=(Unreached("cat\x1b[2J", 3, 9, ("x\x1b.jpg",)),),
        )
        assert r"cat\x1b[2J 3 of 9 (x\x1b.jpg)" in next(advice.describe())
        assert r"cat\x1b[2J" in printed(advice)
        assert "\x1b" not in printed(advice)

    def test_all_is_well(self):
        assert list(replace(FINE, unreached=()).describe()) == [
            "The anchors of tiny suit these objects as they are: nothing that was tried is clearly better."
        ]

    def test_what_nothing_helps_is_not_called_well(self):
        advice = replace(FINE, trials=(trial_of("as it is", TINY, 400.0, 0.6, 0.4),))
        assert (
            advice.verdict() == "Nothing that was tried is clearly better: a preset with a finer grid than tiny may be."
        )

    @pytest.mark.parametrize(("objects", "warned"), [(FEW_OBJECTS - 1, True), (FEW_OBJECTS, False)])
    def test_few_objects(self, objects, warned):
        advice = replace(ADVICE, trials=(trial_of("as it is", TINY, 400.0, *([0.4] * objects)), LARGER))
        assert ("few" in advice.verdict()) is warned


class TestTables:
    def test_what_is_measured_is_said(self):
        text = printed(ADVICE)
        first, *_ = text.splitlines()
        assert first == (
            "tiny, short side 240, long side up to 400: 1,200 pictures, 4 objects, bad boxes left out: 2; anchors were "
            "sought with 3 of the objects"
        )
        assert cells(text, "all") == "4 52 40 50.0 → 100.0 50.0 → 75.0 25.0 → 75.0"
        assert cells(text, "[b]cat[/b]").startswith("4 52")  # names are no markup
        assert "now → as advised" in text

    def test_settings(self):
        text = printed(ADVICE)
        assert cells(text, "as it is") == "[24] [48] [96] [192] 0.5, 1, 2 x 1.00 50.0 25.0 50.0 12.5"
        assert cells(text, "1. short side 300") == "[20] [40] [80] [160] 0.5, 1, 2 x 1.56 75.0 75.0 75.0 37.5"

    def test_sizes_of_all_levels_stand_there_once(self):
        advice = replace(FINE, trials=(trial_of("as it is", REPEATED, 400.0, 0.6, 0.7),))
        assert cells(printed(advice), "as it is").startswith("[32,64,128,256,512] 0.5, 1, 2 x 1.00")

    def test_nothing_better(self):
        text = printed(replace(FINE, searched=2, skipped_boxes=0))
        assert "→" not in text
        assert "sought" not in text
        assert "bad boxes" not in text
        assert cells(text, "short side 300").startswith("[20]")


def test_numbers_are_written_short():
    assert written(((32.0, 64.5), (128.0,))) == "[[32,64.5],[128]]"
    assert written(()) == "[]"
    assert written(1333) == "1333"
