"""What a training is asked for, and the folder it finds: refusals before anything is done, and going on."""

import io
import re
import threading

import pytest
from rich.console import Console
from small_runs import last_bytes, run

from frcnn.config import load_config
from frcnn.data.dataset import training_splits
from frcnn.errors import ConfigError, DataError, FrcnnError, UsageError
from frcnn.training import begin
from frcnn.training.begin import train
from frcnn.training.run import fingerprint


def test_a_folder_that_another_training_has_finished_with_meanwhile_is_left_alone(voc_set, tmp_path, monkeypatch):
    """Between the look for a state and the lock, another one has come and gone."""
    real = begin.open_run

    def slowly(*words):
        with monkeypatch.context() as patch:
            patch.setattr(begin, "open_run", real)
            run(voc_set, tmp_path / "run", "train.epochs=1")
        return real(*words)

    monkeypatch.setattr(begin, "open_run", slowly)
    with pytest.raises(UsageError, match="another training has just been there"):
        run(voc_set, tmp_path / "run", "train.epochs=1")
    assert (tmp_path / "run" / "last.safetensors").exists()


def test_training_outside_the_main_thread_needs_no_signals(voc_set, tmp_path):
    failures = []

    def work():
        try:
            run(voc_set, tmp_path / "run", "train.epochs=1")
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []


def test_resume_without_a_state_starts_at_the_beginning_and_says_so(voc_set, tmp_path):
    run(voc_set, tmp_path / "run", "train.epochs=1")
    wanted = last_bytes(tmp_path / "run")
    for path in (*(tmp_path / "run" / "state").iterdir(), tmp_path / "run" / "last.safetensors"):
        path.unlink()
    assert "no whole state was found" in run(voc_set, tmp_path / "run", resume=True)
    assert last_bytes(tmp_path / "run") == wanted


def test_resuming_with_other_classes_is_refused(voc_set, tmp_path):
    """Shapes would fit, and every weight would take another name."""
    run(voc_set, tmp_path / "run", "train.epochs=1")
    for path in (voc_set / "Annotations").iterdir():
        path.write_text(path.read_text().replace("dog", "cow"))
    with pytest.raises(FrcnnError, match="learnt with the classes cat, dog"):
        run(voc_set, tmp_path / "run", resume=True)


def test_resume_without_a_run_is_refused_and_leaves_nothing(voc_set, tmp_path):
    """A slip in --out must not begin another training."""
    with pytest.raises(UsageError, match="holds no run to go on with"):
        run(voc_set, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_settings_that_have_changed_in_between_are_refused_or_said(voc_set, tmp_path):
    """Places in a schedule are counted by them: another number of epochs would be another run from its beginning."""
    run(voc_set, tmp_path / "run", "train.epochs=1")
    path = tmp_path / "run" / "config.toml"
    before = path.read_text()
    path.write_text(before.replace("\nepochs = 1\n", "\nepochs = 2\n"))
    refused = (
        r"run.config\.toml: has changed since step_00000002\.safetensors was written \(train\.epochs 1 -> 2\), and "
        "a run keeps its settings: undo that, or start a new run with --weights and another --out$"
    )
    with pytest.raises(UsageError, match=refused):
        run(voc_set, tmp_path / "run", resume=True)
    path.write_text(before.replace("checkpoint_every = 500", "checkpoint_every = 7"))
    said = run(voc_set, tmp_path / "run", resume=True)
    assert "Settings that have changed since: train.checkpoint_every 500 -> 7.\n" in said
    assert "have changed" not in run(voc_set, tmp_path / "run", resume=True)


def test_a_folder_that_holds_a_run_is_not_overwritten(voc_set, tmp_path):
    run(voc_set, tmp_path / "run", "train.epochs=1")
    with pytest.raises(UsageError, match="add --resume"):
        run(voc_set, tmp_path / "run")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"overrides": ("train.lrr=1",)}, ConfigError, "did you mean train.lr?"),
        ({"overrides": ("preset=vgg16",)}, ConfigError, "--set preset"),
        ({"overrides": ("train.lr=fast",)}, ConfigError, "train.lr"),
        ({"overrides": ("train.lr=-1",)}, ConfigError, "greater than 0"),
        ({"overrides": ("data.validation=1.5",)}, ConfigError, "data.validation"),
        ({"device": "cuda:99"}, UsageError, "cuda:99"),
    ],
)
def test_wrong_requests_leave_no_folder(voc_set, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        train("tiny", voc_set, tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_preset_and_data_must_exist(voc_set, tmp_path):
    with pytest.raises(ConfigError, match="did you mean tiny"):
        train("tinny", voc_set, tmp_path / "run")
    with pytest.raises(DataError):
        train("tiny", tmp_path / "absent", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_random_weights_freeze_nothing_and_say_so_in_the_settings(voc_set, tmp_path):
    """Row 26 and the structures: without ImageNet weights nothing is frozen."""
    run(voc_set, tmp_path / "run", "train.epochs=1")
    backbone = load_config(tmp_path / "run" / "config.toml").model.backbone
    assert (backbone.frozen_stages, backbone.batch_norm) == (0, "live")


def test_resuming_before_the_first_state_keeps_what_was_asked_for(voc_set, tmp_path):
    """The run's config.toml suits its weights already: starting values that were overridden stay so."""
    asked = ("model.backbone.frozen_stages=2", "model.backbone.batch_norm=frozen", "train.steps=1")
    run(voc_set, tmp_path / "run", *asked, backbone="none")
    for path in (*(tmp_path / "run" / "state").iterdir(), tmp_path / "run" / "last.safetensors"):
        path.unlink()
    run(voc_set, tmp_path / "run", resume=True)
    settings = load_config(tmp_path / "run" / "config.toml").model.backbone
    assert (settings.frozen_stages, settings.batch_norm) == (2, "frozen")


def test_a_configuration_is_taken_as_it_is(voc_set, tmp_path):
    run(voc_set, tmp_path / "run", "model.backbone.frozen_stages=2", "train.steps=1")
    config = load_config(tmp_path / "run" / "config.toml")
    train("tiny", voc_set, tmp_path / "again", config=config, console=Console(file=io.StringIO()))
    assert load_config(tmp_path / "again" / "config.toml") == config


def test_other_data_is_refused_on_resume(voc_set, tmp_path):
    """Boxes that moved, or pictures in another order: proposals and places in an epoch would be of other pictures."""
    run(voc_set, tmp_path / "run", "train.steps=2")
    listed = voc_set / "ImageSets" / "Main" / "trainval.txt"
    before = listed.read_text()
    listed.write_text("".join(reversed(before.splitlines(keepends=True))))
    with pytest.raises(FrcnnError, match=r"state.step_00000002\.safetensors: was written while other pictures"):
        run(voc_set, tmp_path / "run", resume=True)
    listed.write_text(before)
    run(voc_set, tmp_path / "run", resume=True)


@pytest.mark.parametrize("identity", ["000001", "000002", "000003"])
def test_a_box_that_moved_is_refused_on_resume_where_it_is_held_out_too(voc_set, tmp_path, identity):
    """One of the three pictures with objects that four are trained and tested on is held out."""
    run(voc_set, tmp_path / "run", "train.steps=2")
    annotation = voc_set / "Annotations" / f"{identity}.xml"
    narrower = re.sub(r"<xmax>(\d+)", lambda found: f"<xmax>{int(found[1]) - 1}", annotation.read_text())
    annotation.write_text(narrower)
    with pytest.raises(FrcnnError, match="while other pictures, boxes or classes were trained on or held out"):
        run(voc_set, tmp_path / "run", resume=True)


def test_a_picture_that_goes_over_to_what_is_held_out_is_noticed(make_voc):
    """Its neighbours on both sides stay: one row of pictures, cut elsewhere."""
    pictures = {name: [("cat", (1, 1, 9, 9))] for name in "abc"}
    found = set()
    for name, cut in (("one", 1), ("two", 2)):
        root = make_voc(pictures, {"train": list("abc")[:cut], "val": list("abc")[cut:]}, name=name)
        found.add(fingerprint(*training_splits([root], 0.1, seed=0)))
    assert len(found) == 2


def test_a_picture_that_test_has_too_is_told_of_and_not_learnt(make_voc, tmp_path):
    names = [*"abc"]
    root = make_voc({name: [("cat", (1, 1, 20, 30))] for name in names}, {"train": names, "test": ["b"]})
    console = Console(file=io.StringIO(), width=200)
    train("tiny", root, tmp_path / "run", overrides=("train.steps=1", "data.validation=0"), console=console)
    said = console.file.getvalue()
    assert "tiny: 2 pictures" in said
    assert "1 picture is in two splits" in said


def test_settings_in_a_bare_string_are_refused(voc_set, tmp_path):
    """A string is a sequence of strings: its letters."""
    with pytest.raises(UsageError, match=r"overrides: give a list of settings, as in \['train.epochs=1'\]"):
        train("tiny", voc_set, tmp_path / "run", overrides="train.epochs=1")


def test_a_number_of_processes_without_torchrun_is_refused(voc_set, tmp_path, monkeypatch):
    """Such as a batch system may set."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UsageError, match="WORLD_SIZE is 2, but no torchrun began this"):
        run(voc_set, tmp_path / "run")


def test_a_backbone_that_cannot_be_is_found_before_the_data_is_touched(tmp_path):
    with pytest.raises(UsageError, match="tiny has no published ImageNet weights"):
        run(tmp_path / "absent", tmp_path / "run", backbone="imagenet")
    with pytest.raises(FrcnnError, match=r"nowhere\.safetensors: no such file"):
        run(tmp_path / "absent", tmp_path / "run", "train.backbone=nowhere.safetensors")


def test_exact_training_without_a_derivative_is_refused_before_the_data_is_touched(tmp_path):
    with pytest.raises(ConfigError, match=r"needs model\.head\.pooling = roi_align, as RoIPool rounds boxes"):
        train("vgg16", tmp_path / "absent", tmp_path / "run", schedule="exact")
    assert not (tmp_path / "run").exists()
