import os
import signal
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from small_runs import lines, run

from frcnn.config import load_config, load_preset, override, preset_names
from frcnn.errors import DiskError, EndedProcessError, FrcnnError, Terminated
from frcnn.model import head
from frcnn.training import loop
from frcnn.training.failure import replay
from frcnn.training.loop import reduces
from frcnn.training.run import halfway
from frcnn.training.synced_batch_norm import synced
from frcnn.weights.model_file import load_model


def tensors(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_a_run_s_folder(voc_set, tmp_path):
    """Users' rows 8, 11 and 12: classes from the data, validation loss every epoch, the best model kept."""
    said = run(voc_set, tmp_path / "run")
    out = tmp_path / "run"
    assert {p.name for p in out.iterdir()} == {
        "best.safetensors", "last.safetensors", "config.toml", "metrics.jsonl", "report.html", "state", "tensorboard",
        ".lock",
    }  # fmt: skip
    assert load_config(out / "config.toml").train.epochs == 3
    events = [line["event"] for line in lines(out)]
    assert events == ["start"] + (["step"] * 2 + ["evaluation"]) * 3
    step, evaluation = lines(out)[1], lines(out)[3]
    assert set(step) == {
        "event", "step", "epoch", "stage", "lr", "rpn_objectness", "rpn_box", "head_class", "head_box", "total",
        "gradient_norm", "images_per_second", "memory_mb", "time",
    }  # fmt: skip
    assert evaluation["losses"]["total"] > 0
    assert [line["epoch"] for line in lines(out)[1:]] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    model = load_model(out / "best.safetensors")
    assert model.class_names == ("cat", "dog")
    assert "3 pictures" in said
    assert "1 held out" in said


def test_nothing_held_out_keeps_the_last_weights(voc_set, tmp_path):
    run(voc_set, tmp_path / "run", "data.validation=0", "train.epochs=1")
    assert not (tmp_path / "run" / "best.safetensors").exists()
    assert (tmp_path / "run" / "last.safetensors").exists()
    assert [line["event"] for line in lines(tmp_path / "run")] == ["start", "step", "step", "step"]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(voc_set, tmp_path):
    """Row 31."""
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(voc_set, tmp_path / name, "train.epochs=1", f"train.seed={seed}")
    a, b, c = (tensors(tmp_path / name / "last.safetensors") for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(a[key], c[key]) for key in a)


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_a_stopped_and_resumed_run_ends_with_the_same_bytes(voc_set, tmp_path, monkeypatch, stop_at):
    """Within an epoch, at its end, and after; the log has every step once."""
    run(voc_set, tmp_path / "whole", "train.epochs=2")
    real, taken = loop.train_step, []

    def interrupted(training, batch):
        if len(taken) == stop_at:
            raise KeyboardInterrupt
        taken.append(batch)
        return real(training, batch)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(voc_set, tmp_path / "parts", "train.epochs=2")
    said = run(voc_set, tmp_path / "parts", resume=True)
    assert f"after step {stop_at}" in said
    whole, parts = (tensors(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    steps = [line["step"] for line in lines(tmp_path / "parts") if line["event"] == "step"]
    assert steps == [1, 2, 3, 4]
    assert [line["event"] for line in lines(tmp_path / "parts")].count("evaluation") == 2


def test_ctrl_c_within_a_step_lets_it_finish(voc_set, tmp_path, monkeypatch):
    real = loop.train_step

    def with_ctrl_c(training, batch):
        os.kill(os.getpid(), signal.SIGINT)
        return real(training, batch)

    monkeypatch.setattr(loop, "train_step", with_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        run(voc_set, tmp_path / "run")
    names = [path.name for path in (tmp_path / "run" / "state").iterdir()]
    assert names == ["step_00000001.safetensors"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_another_end_is_a_ctrl_c_within_the_training_alone(voc_set, tmp_path, monkeypatch, request, number):
    real = loop.train_step
    before = signal.signal(number, signal.SIG_DFL)  # nohup would have it ignored
    request.addfinalizer(lambda: signal.signal(number, before))

    def with_signal(training, batch):
        os.kill(os.getpid(), number)
        return real(training, batch)

    monkeypatch.setattr(loop, "train_step", with_signal)
    with pytest.raises(Terminated):
        run(voc_set, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run" / "state").iterdir()] == ["step_00000001.safetensors"]
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize("within", [True, False])
def test_no_state_is_kept_of_a_solver_s_step_half_done(voc_set, tmp_path, monkeypatch, within):
    """Another process may end at any time: before that, the step counts as not begun."""
    taken = []

    def lost(training, batch):
        if len(taken) == 1:
            if within:
                with halfway(training):
                    raise EndedProcessError("process 1 of 2: gone")
            raise EndedProcessError("process 1 of 2: gone")
        taken.append(batch)
        return real(training, batch)

    real = loop.train_step
    monkeypatch.setattr(loop, "train_step", lost)
    with pytest.raises(EndedProcessError):
        run(voc_set, tmp_path / "run")
    assert len(list((tmp_path / "run").glob("state/*"))) == (0 if within else 1)


@pytest.mark.parametrize("in_vain", [True, False])
def test_a_step_in_vain_leaves_no_trace_in_batch_norm(in_vain):
    """Another process may die when the first layers have met the batch already."""
    model = synced(torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3))).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ConnectionError) if in_vain else nullcontext(), loop.taken_back_in_vain(model):
        model(torch.rand(2, 3, 4, 4))
        if in_vain:
            raise ConnectionError
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()) == in_vain


@pytest.mark.parametrize(("steps", "is_said"), [(6, True), (7, False)])
def test_a_warm_up_that_does_not_end_is_said(voc_set, tmp_path, steps, is_said):
    said = run(voc_set, tmp_path / "run", "train.warmup_steps=6", f"train.steps={steps}")
    assert ("The rate never rises to what it should be: train.warmup_steps = 6 of 6 steps." in said) == is_said


def test_a_loss_that_is_not_finite_stops_with_the_pictures(voc_set, tmp_path, monkeypatch):
    """Users' row 1: what one picture's boxes should become is made infinite."""
    make_piece, encode, poisonous = loop.piece_of, head.encode, []

    def piece_of(training, batch):
        poisonous.append(any(path.stem == "000002" for path in batch.pictures))
        return make_piece(training, batch)

    monkeypatch.setattr(loop, "piece_of", piece_of)
    monkeypatch.setattr(head, "encode", lambda *boxes: encode(*boxes) * (float("inf") if poisonous[-1] else 1))
    said = r"step \d+: the loss is not finite \(rpn_.*head_box .*; gradient norm .*\) at rate .*000002\.jpg.*: look at"
    with pytest.raises(FrcnnError, match=said):
        run(voc_set, tmp_path / "run", "data.validation=0")
    monkeypatch.undo()
    assert (tmp_path / "run" / "failure" / "batch.safetensors").is_file()
    again = replay(tmp_path / "run" / "failure")
    assert all(loss.isfinite() for loss in again.values())  # the picture itself is sound: it was poisoned on its way


def test_steps_instead_of_epochs(voc_set, tmp_path):
    run(voc_set, tmp_path / "run", "train.steps=3")
    assert [line["step"] for line in lines(tmp_path / "run") if line["event"] == "step"] == [1, 2, 3]
    assert lines(tmp_path / "run")[-1]["event"] == "evaluation"


def test_the_last_step_is_in_the_log_whatever_is_left_out(voc_set, tmp_path):
    run(voc_set, tmp_path / "run", "train.steps=7", "train.log_every=3")
    assert [line["step"] for line in lines(tmp_path / "run", "step")] == [3, 6, 7]


def test_bfloat16_trains(voc_set, tmp_path):
    """Row 28."""
    run(voc_set, tmp_path / "run", "train.epochs=1", precision="bfloat16")
    assert load_config(tmp_path / "run" / "config.toml").train.precision == "bfloat16"
    assert {t.dtype for t in tensors(tmp_path / "run" / "last.safetensors").values()} <= {torch.float32, torch.int64}


def test_the_rule_for_the_rate_is_printed(voc_set, tmp_path):
    """Row 27: .02 for 16 pictures is .0025 for 2; and a rate without a rule stands as it is."""
    said = run(voc_set, tmp_path / "a", "train.steps=1", "train.lr=0.02", "train.lr_scaling=linear")
    assert "rate 0.0025 (0.02 for 16 pictures, in proportion)" in said
    assert "in proportion" not in run(voc_set, tmp_path / "b", "train.steps=1", "train.lr=0.02")


def test_weights_that_are_not_finite_are_not_kept(voc_set, tmp_path):
    """A rate beyond reason ends the run with a line, not with a model file that nothing can use."""
    with pytest.raises(FrcnnError, match=r"step 1: the weights are not finite any more \(.+\): start anew"):
        run(voc_set, tmp_path / "run", "train.steps=1", "train.lr=1e38", "train.warmup_steps=0")
    assert list((tmp_path / "run").rglob("*.safetensors")) == []
    assert lines(tmp_path / "run")[-1]["event"] == "step"  # what was logged may tell why


def test_nothing_held_out_to_find_keeps_the_last_as_the_best(make_voc, tmp_path):
    """No measurement is no zero: patience does not run out, and best is not the first epoch's for ever."""
    pictures = {name: [("cat", (5, 5, 40, 45))] for name in "abc"} | {"empty": []}
    data = make_voc(pictures, splits={"train": ["a", "b", "c"], "val": ["empty"]})
    said = run(data, tmp_path / "run", "train.epochs=3", "train.patience=1")
    assert "train.patience has no effect: no object is held out to be found." in said
    best, last = (tensors(tmp_path / "run" / f"{name}.safetensors") for name in ("best", "last"))
    assert [line["event"] for line in lines(tmp_path / "run")].count("evaluation") == 3
    assert all(torch.equal(best[key], last[key]) for key in best)


def test_a_validation_loss_that_is_no_number_ends_the_run(voc_set, tmp_path, monkeypatch):
    """The weights of the last step may be finite, and say nothing finite."""
    real = loop.evaluate_model

    def diverged(*arguments, **options):
        return replace(real(*arguments, **options), losses={"total": float("nan")})

    monkeypatch.setattr(loop, "evaluate_model", diverged)
    with pytest.raises(FrcnnError, match=r"step 2: the validation loss is not finite: start anew"):
        run(voc_set, tmp_path / "run", "train.epochs=1")
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_a_second_ctrl_c_waits_for_the_state(voc_set, tmp_path, monkeypatch):
    taken, written = loop.train_step, loop.save_state

    def with_ctrl_c(training, batch):
        os.kill(os.getpid(), signal.SIGINT)
        return taken(training, batch)

    def impatient(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return written(*arguments)

    monkeypatch.setattr(loop, "train_step", with_ctrl_c)
    monkeypatch.setattr(loop, "save_state", impatient)
    with pytest.raises(KeyboardInterrupt):
        run(voc_set, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run" / "state").iterdir()] == ["step_00000001.safetensors"]


LARGE = ("model.input.short_side=30", "model.input.long_side=60")  # the pictures of `voc_set` are twice as large


def test_a_ctrl_c_within_the_writing_of_the_best_model_loses_none(voc_set, tmp_path, monkeypatch):
    run(voc_set, tmp_path / "whole")
    real = loop.save_model

    def with_ctrl_c(model, path):
        if path.name == "best.safetensors":
            os.kill(os.getpid(), signal.SIGINT)
        return real(model, path)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_model", with_ctrl_c)
        for resume in (False, True, True):  # it may be each epoch's
            with suppress(KeyboardInterrupt):
                run(voc_set, tmp_path / "parts", resume=resume)
    run(voc_set, tmp_path / "parts", resume=True)
    for name in ("best", "last"):
        whole, parts = ((tmp_path / folder / f"{name}.safetensors").read_bytes() for folder in ("whole", "parts"))
        assert whole == parts
    assert len(lines(tmp_path / "parts", "evaluation")) == 3


def test_large_pictures_are_reduced_for_training_alone(voc_set, tmp_path, monkeypatch):
    """Validation sees them whole, as whoever uses the model will."""
    trained, evaluated = set(), set()
    step, evaluate = loop.train_step, loop.evaluate_model

    def training(run, pieces):
        trained.update(tuple(image.shape[1:]) for batch in pieces for image in batch.images)
        return step(run, pieces)

    def evaluating(model, *arguments, **options):
        def seen(_, inputs):
            evaluated.update(tuple(image.shape[1:]) for image in inputs[0])

        with model.register_forward_pre_hook(seen):
            return evaluate(model, *arguments, **options)

    monkeypatch.setattr(loop, "train_step", training)
    monkeypatch.setattr(loop, "evaluate_model", evaluating)
    run(voc_set, tmp_path / "run", *LARGE, "train.epochs=1")
    assert trained <= {(30, 40), (40, 30)}
    assert evaluated <= {(60, 80), (80, 60)}
    assert trained
    assert evaluated


def test_reducing_can_be_declined(voc_set, tmp_path):
    """The setting is written down, and makes a difference."""
    for name, setting in (("a", "true"), ("b", "false")):
        run(voc_set, tmp_path / name, *LARGE, "train.epochs=1", f"data.reduce_large={setting}")
    assert [load_config(tmp_path / name / "config.toml").data.reduce_large for name in "ab"] == [True, False]
    a, b = (tensors(tmp_path / name / "last.safetensors") for name in "ab")
    assert any(not torch.equal(a[key], b[key]) for key in a)


def test_a_run_on_reduced_pictures_resumes_with_the_same_bytes(voc_set, tmp_path, monkeypatch):
    run(voc_set, tmp_path / "whole", *LARGE, "train.epochs=1")
    real, taken = loop.train_step, []

    def interrupted(training, batch):
        if taken:
            raise KeyboardInterrupt
        taken.append(batch)
        return real(training, batch)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(voc_set, tmp_path / "parts", *LARGE, "train.epochs=1", "data.workers=2")
    run(voc_set, tmp_path / "parts", resume=True)
    whole, parts = (tensors(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.parametrize("preset", preset_names())
def test_presets_that_measure_proposals_in_original_pixels_reduce_nothing(preset):
    """The paper's two: at least 16 pixels of the picture as it was handed in."""
    assert reduces(load_preset(preset)) == (preset not in ("vgg16", "zf"))


@pytest.mark.parametrize(
    ("preset", "overrides", "wanted"),
    [
        ("tiny", ["data.reduce_large=false"], False),
        ("tiny", ["model.rpn.min_size_scaled=true"], False),
        ("tiny", ["model.rpn.min_size_scaled=true", "model.rpn.min_size=0"], True),
        ("vgg16", ["model.rpn.min_size=0"], True),
        ("vgg16", ["model.rpn.min_size_scaled=false"], True),
        ("vgg16", ["model.rpn.min_size_scaled=false", "data.reduce_large=false"], False),
    ],
)
def test_what_is_asked_for_decides_on_the_reduction(preset, overrides, wanted):
    config = override(load_preset(preset), overrides)
    assert reduces(config) == wanted


def test_exact_training_learns_otherwise_and_says_so(voc_set, tmp_path):
    """From the same seed: the first losses are the same, the first step is not."""
    for schedule in ("joint", "exact"):
        said = run(voc_set, tmp_path / schedule, "train.log_every=1", schedule=schedule)
        assert f"{schedule} training" in said
        assert load_config(tmp_path / schedule / "config.toml").train.schedule == schedule
    joint, exact = ([line for line in lines(tmp_path / s) if line["event"] == "step"] for s in ("joint", "exact"))
    assert joint[0]["total"] == exact[0]["total"]
    of_joint, of_exact = (tensors(tmp_path / s / "last.safetensors") for s in ("joint", "exact"))
    assert not torch.equal(of_joint["rpn.deltas.weight"], of_exact["rpn.deltas.weight"])


@pytest.mark.parametrize("with_states", [True, False])
def test_a_disk_that_refuses_anything_says_how_to_go_on(voc_set, tmp_path, monkeypatch, with_states):
    def full(*_):
        raise DiskError("last.safetensors: cannot be written (No space left on device)")

    monkeypatch.setattr(loop, "save_model", full)
    if not with_states:
        monkeypatch.setattr(loop, "save_state", lambda *_: None)
    there = "goes on from step_00000002.safetensors" if with_states else "begins anew, as there is no state yet"
    said = rf"\(No space left on device\): make room, or mend the disk; then --resume {there}$"
    with pytest.raises(DiskError, match=said):
        run(voc_set, tmp_path / "run", "train.steps=2", "data.validation=0")


def test_the_end_of_loading_does_not_pass_over_a_second_ctrl_c(voc_set, tmp_path, monkeypatch):
    """It meets the end of the processes that load pictures, which is under way for the first one."""
    ended = []

    def steps(*_, **__):
        try:
            while True:
                yield []
        finally:
            ended.append(True)
            raise KeyboardInterrupt

    def first(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "steps", steps)
    monkeypatch.setattr(loop, "train_step", first)
    with pytest.raises(KeyboardInterrupt):
        run(voc_set, tmp_path / "run", "train.steps=2")
    assert ended == [True]
    assert [path.name for path in (tmp_path / "run" / "state").iterdir()] == ["step_00000000.safetensors"]


def test_a_step_that_ctrl_c_met_is_in_the_log(voc_set, tmp_path, monkeypatch):
    """It counts as taken, so a resumed training does not tell of it."""
    real = loop.train_step

    def with_ctrl_c(training, batch):
        os.kill(os.getpid(), signal.SIGINT)
        return real(training, batch)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", with_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            run(voc_set, tmp_path / "run", "train.epochs=1")
    run(voc_set, tmp_path / "run", resume=True)
    assert [line["step"] for line in lines(tmp_path / "run") if line["event"] == "step"] == [1, 2]
