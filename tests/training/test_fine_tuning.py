"""--weights: a detector that is continued, from the same classes or from others, in a run of its own."""

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console
from small_runs import SMALL, last, last_bytes, lines, newest_state, run, stop_before_step
from torch import nn

from frcnn.config import load_config
from frcnn.errors import FrcnnError, ModelFileError, UsageError
from frcnn.model.detector import FasterRCNN
from frcnn.training.begin import train
from frcnn.weights.build import build
from frcnn.weights.model_file import save_model

CLASSES = ("bird", "dog", "sheep")  # of which the data set has the dog, and a cat
ROWS = ("head.classes.weight", "head.classes.bias", "head.deltas.weight", "head.deltas.bias")


@pytest.fixture
def learnt(tmp_path: Path) -> FasterRCNN:
    """Settings and batch norm's means are no preset's."""
    torch.manual_seed(9)
    model = build("tiny", CLASSES, input={"short_side": 72, "mean": (0.4, 0.5, 0.6)}, head={"hidden": 48})
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    for name in ROWS:
        nn.init.normal_(model.get_parameter(name), std=0.05)
    save_model(model, tmp_path / "learnt.safetensors")
    return model


@pytest.fixture
def file(learnt: FasterRCNN, tmp_path: Path) -> Path:
    return tmp_path / "learnt.safetensors"


def test_a_run_begins_with_all_that_was_learnt(voc_set: Path, tmp_path: Path, learnt: FasterRCNN, file: Path) -> None:
    """And says what is kept of the head; the network's settings are the detector's."""
    console = Console(file=io.StringIO(), width=200)
    with pytest.MonkeyPatch.context() as patch:
        stop_before_step(patch, 0)
        with pytest.raises(KeyboardInterrupt):
            train("tiny", voc_set, tmp_path / "run", overrides=SMALL, weights=file, console=console)
    said = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert f"Weights of {file}: all layers; of the head's classes kept dog; new: cat; left behind: bird, sheep" in said
    config = load_config(tmp_path / "run" / "config.toml")
    assert config.train.weights == str(file)
    assert config.model.head.hidden == 48
    assert config.model.input.mean == (0.4, 0.5, 0.6)
    assert config.model.input.short_side == 64  # asked for by name
    found, before = newest_state(tmp_path / "run"), learnt.state_dict()
    assert before.keys() >= {name.removeprefix("model.") for name in found}
    for name in (name for name in before if name not in ROWS and f"model.{name}" in found):  # frozen layers count not
        assert torch.equal(found[f"model.{name}"], before[name]), name
    dog, background = found["model.head.classes.bias"][1:]
    assert (dog, background) == (before["head.classes.bias"][1], before["head.classes.bias"][3])


def test_a_stopped_run_goes_on_with_the_same_bytes(voc_set: Path, tmp_path: Path, file: Path) -> None:
    """The file is not asked for again; the state before the first step is enough as well."""
    run(voc_set, tmp_path / "whole", "train.epochs=1", weights=file)
    for before in (0, 1):
        out = tmp_path / f"stopped before {before}"
        with pytest.MonkeyPatch.context() as patch:
            stop_before_step(patch, before)
            with pytest.raises(KeyboardInterrupt):
                run(voc_set, out, "train.epochs=1", weights=file)
        away = file.rename(tmp_path / "away")
        assert "all layers" not in run(voc_set, out, resume=True)
        away.rename(file)
        assert last_bytes(out) == last_bytes(tmp_path / "whole")


def test_a_run_without_a_state_begins_again_with_the_weights(voc_set: Path, tmp_path: Path, file: Path) -> None:
    run(voc_set, tmp_path / "run", "train.epochs=1", weights=file)
    wanted = last_bytes(tmp_path / "run")
    for path in (*(tmp_path / "run" / "state").iterdir(), tmp_path / "run" / "last.safetensors"):
        path.unlink()
    assert "of the head's classes kept dog" in run(voc_set, tmp_path / "run", resume=True)
    assert last_bytes(tmp_path / "run") == wanted


def test_alternating_training_s_second_step_begins_with_them_again(
    voc_set: Path, tmp_path: Path, learnt: FasterRCNN, file: Path
) -> None:
    """The file's backbone is the one that the run began with."""
    with pytest.MonkeyPatch.context() as patch:
        stop_before_step(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            run(voc_set, tmp_path / "run", "train.schedule=alternating", "train.steps=2", weights=file)
    found, before = newest_state(tmp_path / "run"), learnt.state_dict()
    for name, value in before.items():
        if name.startswith("backbone") and not name.endswith("num_batches_tracked"):
            assert torch.equal(found[f"model.{name}"], value), name
    assert not torch.equal(found["model.rpn.deltas.weight"], before["rpn.deltas.weight"])
    assert len(lines(tmp_path / "run", "step")) == 2


@pytest.mark.parametrize(
    ("overrides", "batch_norm"),
    [
        (["train.batch_size=3"], "frozen"),
        (["train.batch_size=3", "model.backbone.batch_norm=live"], "live"),
        (["train.batch_size=4"], "live"),
    ],
)
def test_few_pictures_do_not_move_batch_norm_unless_they_are_asked_to(
    voc_set: Path, tmp_path: Path, learnt: FasterRCNN, file: Path, overrides: list[str], batch_norm: str
) -> None:
    run(voc_set, tmp_path / "run", *overrides, "train.steps=1", weights=file)
    assert load_config(tmp_path / "run" / "config.toml").model.backbone.batch_norm == batch_norm
    mean = next(name for name in learnt.state_dict() if "body" in name and name.endswith("running_mean"))
    assert torch.equal(last(tmp_path / "run")[mean], learnt.state_dict()[mean]) == (batch_norm == "frozen")


class TestRefused:
    """Before anything is written."""

    @pytest.fixture(autouse=True)
    def nothing_is_left(self, tmp_path: Path):
        yield
        assert not (tmp_path / "run").exists()

    def test_a_detector_on_another_body(self, voc_set: Path, tmp_path: Path) -> None:
        other = build("mobilenet_v2_c4", ["cat"])
        save_model(other, tmp_path / "other.safetensors")
        said = (
            r"other\.safetensors: is a detector on mobilenet_v2, 1 levels, .*, but preset tiny stands on tiny with fpn"
        )
        with pytest.raises(UsageError, match=said):
            run(voc_set, tmp_path / "run", weights=tmp_path / "other.safetensors")

    def test_weights_and_a_backbone_together(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="--weights continues a whole detector, --backbone starts a new one"):
            run(tmp_path / "absent", tmp_path / "run", weights="a.safetensors", backbone="none")

    def test_layers_that_are_asked_for_otherwise(self, voc_set: Path, tmp_path: Path, file: Path) -> None:
        with pytest.raises(UsageError, match=r"learnt\.safetensors: the tensor 'head\..*' is .* in these weights"):
            run(voc_set, tmp_path / "run", "model.head.hidden=64", weights=file)

    @pytest.mark.parametrize(("name", "error"), [("absent.safetensors", ModelFileError), ("VOC2007", FrcnnError)])
    def test_what_is_no_model_file(self, voc_set: Path, tmp_path: Path, name: str, error: type[FrcnnError]) -> None:
        with pytest.raises(error, match=name):
            run(voc_set, tmp_path / "run", weights=tmp_path / name)


def test_resume_refuses_other_weights(voc_set: Path, tmp_path: Path, file: Path) -> None:
    run(voc_set, tmp_path / "run", "train.steps=1", weights=file)
    with pytest.raises(UsageError, match=r"--resume goes on with the run's own settings, and --weights other"):
        run(voc_set, tmp_path / "run", weights="other.safetensors", resume=True)
