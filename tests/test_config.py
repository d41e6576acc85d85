import tomllib

import pytest

from frcnn.config import (
    changed_settings,
    from_toml,
    load_config,
    load_preset,
    override,
    override_sections,
    parse_config,
    preset_names,
    to_toml,
)
from frcnn.errors import ConfigError


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_survives_its_own_toml(name):
    config = load_preset(name)
    assert config.preset == name
    assert parse_config(tomllib.loads(to_toml(config)), source="test") == config


def test_assignments_are_toml_values_or_bare_words():
    config = override(
        load_preset("tiny"),
        ["train.lr=0.25", "data.bad_boxes=skip", "train.milestones=[0.5]", "model.rpn.min_size = 3"],
    )
    assert (config.train.lr, config.data.bad_boxes, config.train.milestones) == (0.25, "skip", (0.5,))
    assert config.model.rpn.min_size == 3
    assert load_preset("tiny").train.lr != 0.25


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.lrr=1", "did you mean train.lr?"),
        ("train.learning_rate=1", "did you mean train.lr?"),
        ("train.short_side=64", "did you mean model.input.short_side?"),
        ("train.step_epochs=[8]", r"train\.step_epochs: lacks values: there are only 1$"),
        ("train.step_epochs=[1, 2, 3, 4, 5]", r"train\.step_epochs = .*: must have at most 4 items, not 5$"),
        ("train.step_epochs=8", r"train\.step_epochs = 8: must be a list, such as \[8\]"),
        ("train.trackers=wandb", r"train\.trackers = 'wandb': must be a list, such as \[\"wandb\"\]"),
        ("train.lr=-1", "--set: train.lr = -1: must be greater than 0"),
        ("lr=1", "write it as section.key=value"),
        ("preset=vgg16", "write it as section.key=value"),
        ("train.lr", "write it as section.key=value"),
        ("train.lr=0", "greater than 0"),
        ("train.lr=inf", "train.lr"),
        ("model.head.pooling=max", "roi_pool"),
        ("model.head.background_above=0.9", "background_above <= background_below"),
        ("train=1", "write it as section.key=value"),
        ("train.lr.x=1", "train.lr.x"),
    ],
)
def test_what_does_not_exist_is_named(assignment, message):
    with pytest.raises(ConfigError, match=message) as caught:
        override(load_preset("tiny"), [assignment])
    assert "\n" not in str(caught.value)


def test_sections_of_the_model_are_overridden():
    model = override_sections(load_preset("tiny").model, {"input": {"short_side": 100}})
    assert model.input.short_side == 100
    with pytest.raises(ConfigError, match="did you mean input"):
        override_sections(model, {"inputs": {}})


@pytest.mark.parametrize(
    ("text", "message"), [("train = [", "cannot be read as TOML"), ("prest = 'tiny'", "did you mean preset")]
)
def test_a_bad_file_is_named(tmp_path, text, message):
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named_in_plain_words(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read \(No such file or directory\)$"):
        load_config(tmp_path / "absent.toml")


def test_what_has_changed_is_said_key_by_key():
    before = override(load_preset("tiny"), ["train.lr=0.5", "train.weights=a.safetensors"])
    now = override(load_preset("tiny"), ["train.lr=0.25", "train.steps=7"])
    assert changed_settings(before, now) == {
        "train.weights": "a.safetensors -> None",
        "train.steps": "None -> 7",
        "train.lr": "0.5 -> 0.25",
    }
    assert changed_settings(now, from_toml(to_toml(now), "test")) == {}


def test_settings_that_clash_name_the_preset_they_clash_in():
    """Nobody may have typed them: a flag of its own, or the preset's."""
    with pytest.raises(ConfigError, match=r"^preset vgg16 with these settings: train\.schedule = exact needs"):
        override(load_preset("vgg16"), ["train.schedule=exact"])


def test_an_unknown_preset_gets_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean resnet50_fpn"):
        load_preset("resnet50fpn")


@pytest.mark.parametrize(
    ("assignment", "key"),
    [
        ("train.momentum=1.0", "train.momentum"),
        ("train.seed=-1", "train.seed"),
        ("train.seed=99999999999999999999999", "train.seed"),
        ("model.rpn.before_nms_train=99999999999999999999999", "model.rpn.before_nms_train"),
        ("model.rpn.after_nms_train=99999999999999999999999", "model.rpn.after_nms_train"),
        ("model.rpn.before_nms_test=99999999999999999999999", "model.rpn.before_nms_test"),
        ("model.rpn.after_nms_test=99999999999999999999999", "model.rpn.after_nms_test"),
        ("model.backbone.taps=[4, 3, 2]", "model.backbone"),
        ("model.backbone.taps=[2, 2, 3]", "model.backbone"),
    ],
)
def test_what_no_training_can_use_is_refused_at_once(assignment, key):
    with pytest.raises(ConfigError, match=key):
        override(load_preset("tiny"), [assignment])


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["train.patience=3", "data.validation=0"], r"train\.patience waits .* it needs data\.validation above 0"),
        (
            ["train.schedule=exact", "model.head.pooling=roi_pool"],
            r"train\.schedule = exact needs model\.head\.pooling",
        ),
        (["train.step_epochs=[1, 2, 3]"], r"train\.step_epochs"),
        (["train.step_epochs=[1, 2, 0, 3]"], r"train\.step_epochs\.2 = 0"),
        (["train.accumulate=0"], r"train\.accumulate = 0"),
        (["train.ema_decay=1"], r"train\.ema_decay = 1"),
        (["train.patience=-1"], r"train\.patience = -1"),
        (["data.scales=[300, 0]"], r"data\.scales\.1 = 0"),
        (["train.schedule=alternate"], r"train\.schedule = 'alternate'"),
    ],
)
def test_what_does_not_go_together_or_is_out_of_range(assignments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        override(load_preset("tiny"), assignments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "assignments",
    [
        ["train.patience=3", "data.validation=0.01"],
        ["train.patience=0", "data.validation=0"],
        ["train.schedule=joint", "model.head.pooling=roi_pool"],
        ["train.schedule=alternating", "model.head.pooling=roi_pool", "train.step_epochs=[1, 2, 3, 4]"],
    ],
)
def test_what_does_go_together(assignments):
    config = override(load_preset("tiny"), assignments)
    assert parse_config(tomllib.loads(to_toml(config)), source="test") == config


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["train.step_epochs=[1, 2, 3, 4]"], "step_epochs needs train.schedule = alternating"),
        (["train.schedule=alternating", "train.step_epochs=[1, 2, 3, 4]", "train.steps=5"], "and no train.steps"),
        (["train.batch_size=4", "train.accumulate=9"], "train.accumulate = 9 pieces of 4 pictures"),
        (["data.scales=[1]"], "greater than or equal to 16"),
    ],
)
def test_settings_without_an_effect_are_refused(asked, message):
    with pytest.raises(ConfigError, match=message):
        override(load_preset("tiny"), asked)
