"""What a training is asked to do: the preset, what was asked for by name, a run's own settings; what is refused."""

import re
from pathlib import Path

import pytest

from frcnn.config import Config, load_config, load_preset, override, preset_names, to_toml
from frcnn.errors import ConfigError, UsageError
from frcnn.training.settings import require_run, settle, suit_to_weights
from frcnn.weights.build import build
from frcnn.weights.imagenet import PUBLISHED, BackboneWeights

WEIGHTS = BackboneWeights(  # none of these values is a preset's
    state={},
    input={"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "channel_order": "bgr"},
    backbone={"batch_norm_eps": 0.002},
    source="a test",
)


def asked(out: Path, *overrides: str, preset: str = "tiny", resume: bool = False, **others) -> Config:
    arguments = {"config": None, "precision": None} | others
    return settle(preset, out, overrides=overrides, resume=resume, **arguments)


def a_run(folder: Path, *overrides: str, preset: str = "tiny") -> Path:
    """A folder that holds a run's settings and a state."""
    (folder / "state").mkdir(parents=True)
    (folder / "state" / "step_00000004.safetensors").write_bytes(b"")
    (folder / "config.toml").write_text(to_toml(override(load_preset(preset), overrides)), encoding="utf-8")
    return folder


class TestANewRun:
    """Nothing is in the folder yet."""

    def test_it_is_the_preset_as_it_stands(self, tmp_path: Path) -> None:
        assert asked(tmp_path / "run", preset="resnet18_fpn") == load_preset("resnet18_fpn")

    def test_it_takes_the_overrides_and_leaves_the_rest(self, tmp_path: Path) -> None:
        config = asked(tmp_path / "run", "train.lr=0.375", "model.rpn.min_size=3")
        assert (config.train.lr, config.model.rpn.min_size) == (0.375, 3)
        preset = load_preset("tiny")
        as_before = [f"train.lr={preset.train.lr}", f"model.rpn.min_size={preset.model.rpn.min_size}"]
        assert override(config, as_before) == preset

    def test_a_configuration_takes_the_place_of_the_preset_s(self, tmp_path: Path) -> None:
        config = override(load_preset("tiny"), ["train.lr=0.375", "train.seed=5"])
        assert asked(tmp_path / "run", config=config) == config
        assert asked(tmp_path / "run", "train.lr=0.5", config=config).train.lr == 0.5
        assert asked(tmp_path / "run", "train.lr=0.5", config=config).train.seed == 5
        assert config.train.lr == 0.375

    def test_a_configuration_of_another_preset_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="is of preset zf, not tiny"):
            asked(tmp_path / "run", config=load_preset("zf"))

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_a_precision_of_its_own_flag_has_the_last_word(self, tmp_path: Path, precision: str) -> None:
        other = {"float32": "bfloat16", "bfloat16": "float32"}[precision]
        config = asked(tmp_path / "run", f"train.precision={other}", precision=precision)
        assert config.train.precision == precision

    @pytest.mark.parametrize(
        ("preset", "overrides", "precision", "message"),
        [
            ("tiny", ["train.lrr=1"], None, r"did you mean train\.lr\?"),
            ("tiny", ["train.epochs=0"], None, r"train\.epochs = 0"),
            ("tiny", [], "float16", r"train\.precision = 'float16'"),
            ("tinny", [], None, r"did you mean tiny\?"),
        ],
    )
    def test_what_does_not_exist_is_refused_by_name(
        self, tmp_path: Path, preset: str, overrides: list[str], precision: str | None, message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            asked(tmp_path / "run", *overrides, preset=preset, precision=precision)

    def test_nothing_is_written_yet(self, tmp_path: Path) -> None:
        asked(tmp_path / "run", "train.lr=0.375")
        assert list(tmp_path.iterdir()) == []


class TestTheFolder:
    """It may hold something."""

    @pytest.mark.parametrize("resume", [False, True])
    def test_a_file_is_refused(self, tmp_path: Path, resume: bool) -> None:
        (tmp_path / "run").write_text("mine")
        with pytest.raises(UsageError, match=r"run: \S+/run is a file, not a folder: give another --out"):
            asked(tmp_path / "run", resume=resume)
        assert (tmp_path / "run").read_text() == "mine"

    def test_a_file_above_it_is_refused_before_anything_is_done(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        with pytest.raises(UsageError, match=r"file/run: \S+/file is a file, not a folder: give another --out"):
            asked(tmp_path / "file" / "run")

    def test_a_run_is_refused_unless_it_is_to_go_on(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="already holds a run: add --resume"):
            asked(a_run(tmp_path / "run"))

    def test_a_run_without_its_settings_is_still_a_run(self, tmp_path: Path) -> None:
        (a_run(tmp_path / "run") / "config.toml").unlink()
        with pytest.raises(UsageError, match="already holds a run"):
            asked(tmp_path / "run")

    def test_settings_without_a_state_are_no_run_and_do_not_count(self, tmp_path: Path) -> None:
        """A training that was killed before its first state: there is nothing to lose."""
        out = a_run(tmp_path / "run", "train.lr=0.375")
        (out / "state" / "step_00000004.safetensors").unlink()
        assert asked(out) == load_preset("tiny")

    @pytest.mark.parametrize("resume", [False, True])
    def test_a_finished_run_whose_states_are_gone_is_not_overwritten(self, tmp_path: Path, resume: bool) -> None:
        out = a_run(tmp_path / "run")
        (out / "state" / "step_00000004.safetensors").unlink()
        (out / "last.safetensors").write_bytes(b"learnt")
        with pytest.raises(UsageError, match=r"finished run without its states.* --weights \S+/run/last\.safetensors"):
            asked(out, resume=resume)

    def test_other_things_in_it_do_no_harm(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        assert asked(tmp_path) == load_preset("tiny")


class TestResuming:
    """--resume."""

    def test_it_goes_on_with_the_run_s_own_settings(self, tmp_path: Path) -> None:
        out = a_run(tmp_path / "run", "train.lr=0.375", "train.precision=float32", "model.head.hidden=48")
        config = asked(out, resume=True)
        assert (config.train.lr, config.train.precision, config.model.head.hidden) == (0.375, "float32", 48)

    SAME = (
        {"overrides": ["train.lr=0.5", "train.milestones=[0.8, 0.93]"]},
        {"precision": "float32", "schedule": "joint"},
        {"backbone": "none"},
        {"config": load_preset("tiny"), "overrides": ["train.lr=0.5"], "precision": "float32", "backbone": "none"},
        {"config": override(load_preset("tiny"), ["train.lr=0.5", "data.workers=5"]), "precision": "float32"},
    )
    OTHERS = (
        ({"overrides": ["train.lr=0.5", "train.seed=7"]}, "train.seed=7"),
        ({"config": load_preset("tiny")}, "--config (train.lr)"),
        (
            {"config": override(load_preset("tiny"), ["data.flip=0.25"]), "overrides": ["train.lr=0.5"]},
            "--config (data.flip)",
        ),
        ({"precision": "bfloat16"}, "train.precision=bfloat16"),
        ({"schedule": "exact"}, "train.schedule=exact"),
        ({"backbone": Path("weights.pth")}, "--backbone weights.pth"),
        ({"weights": "run/best.safetensors"}, "--weights run/best.safetensors"),
    )

    @pytest.mark.parametrize("same", SAME, ids=str)
    def test_the_same_command_goes_on(self, tmp_path: Path, same: dict) -> None:
        """What the run has already may be said again: people repeat their command, and so does torchrun."""
        out = a_run(tmp_path / "run", "train.lr=0.5", "train.precision=float32")
        arguments = {"config": None, "overrides": (), "precision": None, **same}
        assert settle("tiny", out, resume=True, **arguments) == load_config(out / "config.toml")

    @pytest.mark.parametrize(("others", "named"), OTHERS, ids=str)
    def test_other_settings_are_refused(self, tmp_path: Path, others: dict, named: str) -> None:
        out = a_run(tmp_path / "run", "train.lr=0.5", "train.precision=float32")
        arguments = {"config": None, "overrides": (), "precision": None, **others}
        with pytest.raises(UsageError, match=f"own settings, and {re.escape(named)} is none of them"):
            settle("tiny", out, resume=True, **arguments)

    def test_of_a_key_that_stands_twice_the_last_has_its_way_as_it_had(self, tmp_path: Path) -> None:
        out = a_run(tmp_path / "run", "train.lr=0.5")
        assert asked(out, "train.lr=0.25", "train.lr=0.5", resume=True) == load_config(out / "config.toml")
        with pytest.raises(UsageError, match=r"train\.lr=0\.25 is none of them"):
            asked(out, "train.lr=0.5", "train.lr=0.25", resume=True)

    def test_what_moves_no_weight_may_change(self, tmp_path: Path) -> None:
        """Fewer processes that load, after memory ran out."""
        out = a_run(tmp_path / "run", "train.lr=0.5", "data.workers=4")
        free = ("data.workers=1", "train.checkpoint_every=7", "train.log_every=3", 'train.trackers=["mlflow"]')
        assert asked(out, *free, "train.lr=0.5", resume=True) == override(load_config(out / "config.toml"), free)

    def test_a_run_of_another_preset_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"run: is a run of preset zf, not tiny: name that one"):
            asked(a_run(tmp_path / "run", preset="zf"), resume=True)

    def test_settings_that_cannot_be_read_are_named(self, tmp_path: Path) -> None:
        out = a_run(tmp_path / "run")
        (out / "config.toml").write_text("preset = ", encoding="utf-8")
        with pytest.raises(ConfigError, match=r"run/config\.toml: cannot be read as TOML"):
            asked(out, resume=True)

    def test_a_run_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"run: holds no run to go on with: leave out --resume"):
            require_run(tmp_path / "run")
        require_run(a_run(tmp_path / "run"))

    def test_states_alone_do_not_say_how_to_go_on(self, tmp_path: Path) -> None:
        (a_run(tmp_path / "run") / "config.toml").unlink()
        with pytest.raises(UsageError, match=r"run: its config\.toml is gone, which says how to go on: put it back"):
            require_run(tmp_path / "run")

    def test_after_a_restart_without_a_run_it_is_a_new_one_as_asked_for(self, tmp_path: Path) -> None:
        config = asked(tmp_path / "run", "train.lr=0.375", resume=True, precision="float32", backbone="none")
        assert config == override(load_preset("tiny"), ["train.lr=0.375", "train.precision=float32"])


@pytest.mark.parametrize("preset", preset_names())
def test_only_bodies_that_nobody_has_published_weights_of_start_at_random(preset: str) -> None:
    config = load_preset(preset)
    assert config.train.backbone == ("imagenet" if config.model.backbone.body in PUBLISHED else "none")
    assert (config.train.backbone == "none") == (preset in ("tiny", "zf"))


def test_the_run_remembers_what_its_backbone_started_with(tmp_path: Path) -> None:
    """So that a run resumed before its first state begins with the same weights."""
    assert (
        asked(tmp_path / "run", backbone=Path("weights/mine.safetensors")).train.backbone == "weights/mine.safetensors"
    )
    assert asked(tmp_path / "run", "train.backbone=imagenet").train.backbone == "imagenet"


@pytest.mark.parametrize("key", ["weights", "backbone"])
def test_a_file_to_begin_with_is_remembered_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """Alternating training reads it again, whatever folder it is resumed from; the same command still resumes it."""
    monkeypatch.chdir(tmp_path)
    Path("mine.safetensors").touch()
    config = asked(tmp_path / "run", f"train.{key}=mine.safetensors")
    assert getattr(config.train, key) == str(tmp_path / "mine.safetensors")
    out = a_run(tmp_path / "other", f'train.{key}="{tmp_path / "mine.safetensors"}"')
    assert getattr(asked(out, f"train.{key}=mine.safetensors", resume=True).train, key) == getattr(config.train, key)
    Path("below").mkdir()
    monkeypatch.chdir("below")
    config = asked(tmp_path / "third", f"train.{key}=../mine.safetensors")
    assert getattr(config.train, key) == str(tmp_path / "mine.safetensors")
    out = a_run(tmp_path / "fourth", f'train.{key}="{tmp_path}/below/../mine.safetensors"')
    monkeypatch.chdir(tmp_path)
    assert asked(out, f"train.{key}=mine.safetensors", resume=True) == load_config(out / "config.toml")


@pytest.mark.parametrize("key", ["weights", "backbone"])
def test_a_run_goes_on_without_the_file_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """Joint training has what it needs in its state; and other folders may have such a file."""
    monkeypatch.chdir(tmp_path)
    out = a_run(tmp_path / "run", f'train.{key}="{tmp_path / "gone.safetensors"}"')
    begun = load_config(out / "config.toml")
    assert asked(out, f"train.{key}=gone.safetensors", resume=True) == begun
    assert asked(out, resume=True, **{key: "gone.safetensors"}) == begun
    with pytest.raises(UsageError, match=r"other\.safetensors is none of them"):
        asked(out, resume=True, **{key: "other.safetensors"})


@pytest.mark.parametrize("start", ["a\0b", "loop"])
def test_what_is_no_path_is_none_of_a_run_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("pool")
    Path("pool").symlink_to("loop")
    out = a_run(tmp_path / "run", 'train.weights="mine.safetensors"')
    with pytest.raises(UsageError, match=f"--weights {start} is none of them"):
        asked(out, resume=True, weights=start)
    assert asked(tmp_path / "new", weights=start).train.weights == start


def test_a_run_that_names_its_weights_from_where_it_was_begun_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.safetensors").touch()
    out = a_run(tmp_path / "run", "train.weights=mine.safetensors")
    begun = load_config(out / "config.toml")
    assert begun.train.weights == "mine.safetensors"
    assert asked(out, "train.log_every=1", resume=True) == override(begun, ["train.log_every=1"])
    assert asked(out, "train.weights=mine.safetensors", resume=True) == begun


@pytest.mark.parametrize("start", ["none", "imagenet"])
def test_no_file_takes_the_place_of_what_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(start).touch()
    assert asked(tmp_path / "run", f"train.backbone={start}").train.backbone == start
    assert asked(tmp_path / "run", backbone=start).train.backbone == start


def test_a_backbone_beside_a_detector_is_refused_however_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--weights continues a whole detector, --backbone starts a new one"):
        asked(tmp_path / "run", backbone="none", weights="mine.safetensors")
    with pytest.raises(UsageError, match=r"train\.weights continues a whole detector, --backbone starts a new one"):
        asked(tmp_path / "run", "train.weights=mine.safetensors", backbone="none")


class TestSuitToWeights:
    """The weights may want another input, and random ones nothing frozen."""

    def test_the_input_and_the_layers_are_those_of_the_weights(self) -> None:
        config = load_preset("resnet18_fpn")
        model = suit_to_weights(config, WEIGHTS, []).model
        assert (model.input.mean, model.input.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
        assert (model.input.channel_order, model.backbone.batch_norm_eps) == ("bgr", 0.002)
        assert model.input.short_side == config.model.input.short_side
        assert model.backbone.frozen_stages == config.model.backbone.frozen_stages > 0

    def test_a_detector_s_settings_stay_but_where_others_than_the_preset_s_are_asked_for(self) -> None:
        """By a file (--config) as by name: such a file holds all settings, of which few are meant."""
        detector = build("tiny", ["cat"], backbone="none")
        detector.config = override(
            load_preset("tiny"), ["model.rpn.nms_threshold=0.5", "model.input.long_side=300"]
        ).model
        asked_for = override(load_preset("tiny"), ["model.head.score_threshold=0.25", "model.rpn.nms_threshold=0.75"])
        suited = suit_to_weights(asked_for, detector, []).model
        assert (suited.head.score_threshold, suited.rpn.nms_threshold, suited.input.long_side) == (0.25, 0.75, 300)

    @pytest.mark.parametrize("preset", ["resnet18_fpn", "mobilenet_v2_fpn", "vgg16"])
    def test_random_weights_are_not_frozen(self, preset: str) -> None:
        backbone = suit_to_weights(load_preset(preset), None, []).model.backbone
        assert (backbone.frozen_stages, backbone.batch_norm) == (0, "none" if preset == "vgg16" else "live")

    @pytest.mark.parametrize(
        ("weights", "asked_for"),
        [
            (WEIGHTS, ["model.input.mean=[0.7, 0.8, 0.9]", "model.backbone.batch_norm_eps=0.5"]),
            (None, ["model.backbone.frozen_stages=2", "model.backbone.batch_norm=frozen"]),
        ],
        ids=["imagenet", "none"],
    )
    def test_what_was_asked_for_by_name_has_the_last_word(
        self, weights: BackboneWeights | None, asked_for: list[str]
    ) -> None:
        config = override(load_preset("resnet18_fpn"), asked_for)
        suited = suit_to_weights(config, weights, asked_for)
        assert override(suited, asked_for) == suited
        assert suited != suit_to_weights(config, weights, [])

    def test_all_but_the_model_is_left_as_it_was_settled(self, tmp_path: Path) -> None:
        """The flag for the precision had the last word, and keeps it."""
        overrides = ["train.precision=float32", "train.lr=0.375"]
        config = asked(tmp_path / "run", *overrides, precision="bfloat16")
        suited = suit_to_weights(config, None, overrides)
        assert (suited.train, suited.data, suited.preset) == (config.train, config.data, "tiny")
        assert suited.train.precision == "bfloat16"

    def test_the_settings_handed_in_are_not_changed(self) -> None:
        config = load_preset("resnet18_fpn")
        suit_to_weights(config, WEIGHTS, ["model.input.short_side=100"])
        assert config == load_preset("resnet18_fpn")

    @pytest.mark.parametrize(
        ("weights", "batch_size", "overrides", "expected"),
        [
            (WEIGHTS, 3, [], "frozen"),
            (WEIGHTS, 4, [], "live"),
            (WEIGHTS, 8, ["train.accumulate=8"], "frozen"),
            (WEIGHTS, 8, ["train.accumulate=3"], "frozen"),
            (WEIGHTS, 8, ["train.accumulate=2"], "live"),
            (WEIGHTS, 3, ["model.backbone.batch_norm=live"], "live"),
            (WEIGHTS, 3, [" model.backbone.batch_norm = live", "train.lr=1"], "live"),
            (None, 1, [], "live"),
        ],
    )
    def test_few_pictures_do_not_move_learnt_batch_norm_unless_they_are_asked_to(
        self, weights: BackboneWeights | None, batch_size: int, overrides: list[str], expected: str
    ) -> None:
        """A mean over less than four pictures at once is worth less than the one that was learnt."""
        batch = [f"train.batch_size={batch_size}", *(each for each in overrides if each.startswith("train."))]
        config = override(load_preset("resnet18_fpn"), ["model.backbone.batch_norm=live", *batch])
        assert suit_to_weights(config, weights, overrides).model.backbone.batch_norm == expected
