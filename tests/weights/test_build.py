import urllib.request
from pathlib import Path

import pytest

from frcnn.config import load_preset
from frcnn.errors import ConfigError, UsageError
from frcnn.weights.build import build, checked_classes


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.mark.parametrize("preset", ["tiny", "resnet18_fpn", "resnet50_fpn_v2", "mobilenet_v2_fpn", "mobilenet_v2_c4"])
def test_none_touches_no_network_and_freezes_nothing_random(preset: str) -> None:
    model = build(preset, ["cat", "dog"])
    assert model.class_names == ("cat", "dog")
    assert model.config.backbone.frozen_stages == 0
    assert model.config.backbone.batch_norm == "live"
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_sections_and_single_settings_are_overridden() -> None:
    model = build("tiny", ["cat"], input={"short_side": 224}, **{"backbone.neck_channels": 32, "input.long_side": 300})
    assert (model.config.input.short_side, model.config.input.long_side) == (224, 300)
    assert model.backbone.channels == 32
    assert model.config.rpn == load_preset("tiny").model.rpn


def test_what_is_asked_for_has_the_last_word(tmp_path: Path) -> None:
    model = build("resnet18_fpn", ["cat"], **{"backbone.batch_norm": "frozen", "backbone.frozen_stages": 1})
    assert (model.config.backbone.batch_norm, model.config.backbone.frozen_stages) == ("frozen", 1)


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"input": {"shortside": 3}}, "did you mean input.short_side"),
        ({"inputs": {}}, "did you mean input"),
        ({"head": 3}, "dict of its settings"),
        ({"head.nms_threshold": 3}, "head.nms_threshold = 3"),
        ({"head.nms": 0.3}, "head.nms"),
    ],
)
def test_settings_that_do_not_exist_are_found_before_anything_is_fetched(overrides: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        build("resnet18_fpn", ["cat"], "imagenet", **overrides)


def test_a_preset_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="did you mean resnet50_fpn"):
        build("resnet50_fp", ["cat"])


@pytest.mark.parametrize(
    "classes", [[], "cat", ["cat", "cat"], ["cat", "cat "], [""], ["\ud800"], ["cat", " "], ["cat", 3]]
)
def test_classes_that_cannot_be(classes: list) -> None:
    with pytest.raises(UsageError, match="classes"):
        checked_classes(classes)


def test_space_round_a_class_is_no_part_of_it() -> None:
    assert checked_classes([" traffic light", "cat"]) == ("traffic light", "cat")
