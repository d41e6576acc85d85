"""The paper's three schedules: their stages, what each may change, and alternating training from end to end."""

import copy
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from small_runs import last_bytes, lines, rooms_that_differ, run, stop_before_step
from torch import Tensor, nn

from frcnn.config import TrainConfig, load_preset, override
from frcnn.data.loading import Batch
from frcnn.errors import FrcnnError
from frcnn.model.detector import FasterRCNN
from frcnn.ops.boxes import is_inside
from frcnn.training import loop, objectives, pieces
from frcnn.training import run as run_of_training
from frcnn.training.run import Training
from frcnn.training.schedules import ROOMS, set_modes, stages_of, take_weights, train_only
from frcnn.weights.build import build

ALTERNATING = ("train.schedule=alternating", "train.steps=2", "train.proposals_per_image=30")
FROZEN = "model.backbone.frozen_stages=2"
FIRST_STAGES = ("backbone.body.stages.0.", "backbone.body.stages.1.")


def settings(*overrides: str) -> TrainConfig:
    return override(load_preset("tiny"), [f"train.{each}" for each in overrides]).train


class TestStagesOf:
    """Which stages, and their places in the run."""

    @pytest.mark.parametrize("schedule", ["joint", "exact"])
    @pytest.mark.parametrize(("asked", "end"), [(("epochs=7",), 35), (("epochs=7", "steps=11"), 11)])
    def test_joint_training_has_one_that_trains_everything(
        self, schedule: str, asked: tuple[str, ...], end: int
    ) -> None:
        (stage,) = stages_of(settings(f"schedule={schedule}", *asked), 5)
        assert (stage.first, stage.end, stage.steps) == (0, end, end)
        assert stage.losses_of is {"joint": objectives.joint, "exact": objectives.exact}[schedule]
        assert set(stage.trains) == set(ROOMS)
        assert (stage.starts_anew, stage.reads, stage.writes) == ((), None, None)
        assert stage.leaves_detector

    @pytest.mark.parametrize(
        ("asked", "places"),
        [
            (("epochs=3",), [(0, 15), (15, 30), (30, 45), (45, 60)]),
            (("epochs=3", "step_epochs=[1, 4, 2, 3]"), [(0, 5), (5, 25), (25, 35), (35, 50)]),
            (("epochs=3", "steps=7"), [(0, 7), (7, 14), (14, 21), (21, 28)]),
        ],
        ids=["epochs", "step_epochs", "steps"],
    )
    def test_alternating_training_has_four_one_after_another(
        self, asked: tuple[str, ...], places: list[tuple[int, int]]
    ) -> None:
        stages = stages_of(settings("schedule=alternating", *asked), 5)
        assert [(stage.first, stage.end) for stage in stages] == places
        assert [stage.steps for stage in stages] == [end - first for first, end in places]

    def test_the_four_are_the_paper_s(self) -> None:
        """Sec. 3.2: each step reads what the step before it wrote, and only the last leaves a detector."""
        stages = stages_of(settings("schedule=alternating"), 1)
        assert [set(stage.trains) for stage in stages] == [
            {"backbone", "rpn"}, {"backbone", "head"}, {"rpn"}, {"head"},
        ]  # fmt: skip
        assert [stage.starts_anew for stage in stages] == [(), ("backbone",), (), ()]
        assert [stage.losses_of for stage in stages] == [objectives.region_proposal, objectives.fast_rcnn] * 2
        assert [(stage.reads, stage.writes) for stage in stages] == [
            (None, "step1"), ("step1", None), (None, "step3"), ("step3", None),
        ]  # fmt: skip
        assert [stage.leaves_detector for stage in stages] == [False, False, False, True]


@pytest.fixture
def model() -> FasterRCNN:
    torch.manual_seed(0)
    return build("tiny", ["cat", "dog"], **{"backbone.frozen_stages": 2})


def norms_of_first_stages(model: FasterRCNN) -> list[nn.Module]:
    named = model.named_modules()
    return [layer for name, layer in named if name.startswith(FIRST_STAGES) and isinstance(layer, nn.BatchNorm2d)]


class TestRooms:
    """What a stage does to a model."""

    @pytest.mark.parametrize("rooms", [("backbone", "rpn"), ("backbone", "head"), ("rpn",), ("head",), ROOMS])
    def test_only_these_train_and_of_them_what_may(self, model: FasterRCNN, rooms: tuple[str, ...]) -> None:
        trainable = frozenset(name for name, value in model.named_parameters() if value.requires_grad)
        for before in ROOMS:  # whatever trained before
            train_only(model, (before,), trainable)
        train_only(model, rooms, trainable)
        learning = {name for name, value in model.named_parameters() if value.requires_grad}
        assert {name.partition(".")[0] for name in learning} == set(rooms)
        assert learning == {name for name in trainable if name.partition(".")[0] in rooms}
        assert not any(name.startswith(FIRST_STAGES) for name in learning)

    @pytest.mark.parametrize("rooms", [("backbone", "head"), ("rpn",), ROOMS])
    def test_what_is_fixed_behaves_as_when_the_detector_is_used(
        self, model: FasterRCNN, rooms: tuple[str, ...]
    ) -> None:
        model.eval()
        set_modes(model, rooms)
        for room in ROOMS:
            layers = [layer for layer in getattr(model, room).modules() if layer not in norms_of_first_stages(model)]
            assert {layer.training for layer in layers} == {room in rooms}, room

    def test_statistics_of_frozen_stages_stay(self, model: FasterRCNN) -> None:
        norms = norms_of_first_stages(model)
        assert norms
        train_only(model, ROOMS, frozenset(name for name, value in model.named_parameters() if value.requires_grad))
        set_modes(model, ROOMS)
        live = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d) and layer not in norms]
        assert not any(layer.training for layer in norms)
        assert live
        assert all(layer.training for layer in live)

    def test_weights_and_buffers_of_the_named_rooms_are_taken(self, model: FasterRCNN) -> None:
        source = copy.deepcopy(model)
        for tensor in (*source.parameters(), *source.buffers()):
            tensor.data += 1  # counts of batches too
        before = {name: value.clone() for name, value in model.state_dict().items()}
        take_weights(model, source, ("backbone", "head"))
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name] if name.startswith("rpn.") else source.state_dict()[name]), name
        with torch.no_grad():
            source.head.classes.weight += 1  # a copy: the source goes its own way
        assert not torch.equal(model.head.classes.weight, source.head.classes.weight)


@dataclass
class Seen:
    """A model when a step of alternating training begins, and when it has ended."""

    before: dict[str, Tensor]
    after: dict[str, Tensor]
    modes: dict[str, bool]


def copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def watched(patch: pytest.MonkeyPatch) -> list[Seen]:
    """Fills itself while a training goes through its stages."""
    seen: list[Seen] = []
    real = loop.train_stage

    def train_stage(training: Training, display: loop.Display) -> None:
        before = copied(training.model)
        real(training, display)
        modes = {room: getattr(training.model, room).training for room in ROOMS}
        seen.append(Seen(before, copied(training.model), modes))

    patch.setattr(loop, "train_stage", train_stage)
    return seen


class TestAlternating:
    """Sec. 3.2, "4-Step Alternating Training", with live batch norm and two frozen stages."""

    def test_each_step_changes_its_own_rooms_alone(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps = watched(monkeypatch)
        said = run(voc_set, tmp_path / "run", *ALTERNATING, FROZEN)
        one, two, three, four = steps
        assert rooms_that_differ(one.before, one.after) == {"backbone", "rpn"}
        assert rooms_that_differ(two.before, one.before) == {
            "rpn"
        }  # the backbone is the very first again, the head still is
        assert rooms_that_differ(two.before, one.after) == {"backbone"}
        assert rooms_that_differ(two.before, two.after) == {"backbone", "head"}
        assert rooms_that_differ(three.before, two.after) == set()
        assert rooms_that_differ(three.before, three.after) == {
            "rpn"
        }  # bit for bit: batch norm's means and counts, too
        assert rooms_that_differ(four.before, three.after) == set()
        assert rooms_that_differ(four.before, four.after) == {"head"}
        assert any("running_mean" in name and name.startswith("backbone") for name in one.before)
        for step in steps:
            for name, value in step.after.items():
                if name.startswith(FIRST_STAGES) and not name.endswith(("mean", "var", "tracked")):
                    assert torch.equal(value, one.before[name]), name
        assert "8 steps" in said
        assert "alternating training" in said

    def test_its_folder(self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One model file, two of proposals, evaluations in the last step only, each line with its stage."""
        steps = watched(monkeypatch)
        out = tmp_path / "run"
        run(voc_set, out, "train.schedule=alternating", "train.step_epochs=[1, 1, 1, 2]", "train.proposals_per_image=7")
        assert {path.name for path in out.iterdir()} == {
            "best.safetensors", "last.safetensors", "config.toml", "metrics.jsonl", "report.html", "state",
            "tensorboard", "proposals", ".lock",
        }  # fmt: skip
        assert sorted(path.name for path in (out / "proposals").iterdir()) == ["step1.npy", "step3.npy"]
        first, second = (np.load(out / "proposals" / f"{name}.npy") for name in ("step1", "step3"))
        assert first.shape == second.shape == (3, 7, 4)
        assert not np.array_equal(first, second)
        assert [line["stage"] for line in lines(out, "step")] == [1, 1, 2, 2, 3, 3, 4, 4, 4, 4]
        assert [line["epoch"] for line in lines(out, "step")] == [1] * 8 + [2, 2]
        losses = [set(line) & {"rpn_objectness", "rpn_box", "head_class", "head_box"} for line in lines(out, "step")]
        assert losses == ([{"rpn_objectness", "rpn_box"}] * 2 + [{"head_class", "head_box"}] * 2) * 2 + losses[-2:]
        assert [(line["step"], line["epoch"]) for line in lines(out, "evaluation")] == [(8, 1), (10, 2)]
        with safe_open(out / "last.safetensors", framework="pt") as file:
            for name, value in steps[-1].after.items():
                assert torch.equal(file.get_tensor(name), value), name

    def test_what_it_begins_with_twice_must_be_the_same(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Step 2 reads ImageNet's weights again: another file by then, or none, is known at once."""
        weights = tmp_path / "a" / "start.safetensors"
        run(voc_set, tmp_path / "a", "train.steps=1", "data.validation=0")
        (tmp_path / "a" / "last.safetensors").rename(weights)
        monkeypatch.chdir(tmp_path / "a")
        with monkeypatch.context() as patch:
            stop_before_step(patch, 1)
            with pytest.raises(KeyboardInterrupt):
                run(voc_set, tmp_path / "run", *ALTERNATING, weights=weights.name)
        monkeypatch.chdir(tmp_path)
        kept = weights.read_bytes()
        weights.unlink()
        with pytest.raises(FrcnnError, match=r"a/start\.safetensors: there is no such model file"):
            run(voc_set, tmp_path / "run", resume=True)
        run(voc_set, tmp_path / "b", "train.steps=1", "data.validation=0", "train.seed=1")
        weights.write_bytes((tmp_path / "b" / "last.safetensors").read_bytes())
        with pytest.raises(
            FrcnnError, match=r"a/start\.safetensors: holds other weights than when this training began"
        ):
            run(voc_set, tmp_path / "run", resume=True)
        weights.write_bytes(kept)
        run(voc_set, tmp_path / "run", resume=True)
        run(voc_set, tmp_path / "whole", *ALTERNATING, weights=weights)
        assert last_bytes(tmp_path / "run") == last_bytes(tmp_path / "whole")

    def test_the_rate_begins_anew_with_each_step(self, voc_set: Path, tmp_path: Path) -> None:
        """Its warm-up and its milestones are of the step, not of the run."""
        milestones = ("train.milestones=[0.5]", "train.lr=0.5", "train.warmup_steps=1", "train.warmup_factor=0.25")
        run(voc_set, tmp_path / "run", "train.schedule=alternating", "train.steps=2", *milestones)
        assert [line["lr"] for line in lines(tmp_path / "run", "step")] == pytest.approx([0.125, 0.05] * 4)

    @pytest.mark.parametrize("crop", [0, 1])
    def test_proposals_go_where_their_pictures_go(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crop: int
    ) -> None:
        """By law: were the objects themselves written down, each step would read its pictures' targets."""

        def write_objects(path: Path, _: FasterRCNN, dataset: loop.Dataset, per_image: int, **__: object) -> None:
            rows = np.full((len(dataset), per_image, 4), np.nan, dtype=np.float32)
            for number, example in enumerate(dataset.examples):
                rows[number, : len(example.target.boxes)] = example.target.boxes
            path.parent.mkdir(exist_ok=True)
            np.save(path, rows)

        read: list[tuple[Batch, list[Tensor]]] = []
        real = pieces.proposals_for

        def proposals_for(training: Training, batch: Batch) -> list[Tensor] | None:
            proposals = real(training, batch)
            if proposals is not None:
                read.append((batch, proposals))
            return proposals

        monkeypatch.setattr(loop, "write_proposals", write_objects)
        monkeypatch.setattr(pieces, "proposals_for", proposals_for)
        seen_at_half = ("model.input.short_side=30", "model.input.long_side=60", f"data.crop={crop}")
        run(voc_set, tmp_path / "run", *ALTERNATING, *seen_at_half, "train.steps=6", "data.validation=0")
        views = {
            (path.stem, str(boxes.tolist()))
            for batch, proposals in read
            for path, boxes in zip(batch.pictures, proposals, strict=True)
        }
        assert len(views) > len({stem for stem, _ in views}) == 4  # the same pictures, mirrored and not
        for batch, proposals in read:
            for found, target, pixels in zip(proposals, batch.targets, batch.pixels, strict=True):
                if crop:  # of an object whose centre is not seen, a part may be
                    assert {tuple(box) for box in target.boxes.tolist()} <= {tuple(box) for box in found.tolist()}
                    assert is_inside(found, (pixels.shape[1], pixels.shape[2])).all()
                else:
                    assert torch.equal(found, target.boxes)
                    assert sorted(pixels.shape) == [3, 30, 40]  # halves


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    """What the run that nobody stops ends with, once it is known."""
    return {}


class TestAlternatingStopped:
    """Ctrl-C anywhere, then --resume: the same bytes."""

    def assert_same_end(self, data: Path, tmp_path: Path, whole: dict[str, bytes]) -> None:
        run(data, tmp_path / "parts", resume=True)
        if not whole:
            run(data, tmp_path / "whole", *ALTERNATING)
            whole["end"] = last_bytes(tmp_path / "whole")
        assert last_bytes(tmp_path / "parts") == whole["end"]
        assert [line["step"] for line in lines(tmp_path / "parts", "step")] == list(range(1, 9))
        assert len(lines(tmp_path / "parts", "evaluation")) == 1
        names = sorted(path.name for path in (tmp_path / "parts" / "proposals").iterdir())
        assert names == ["step1.npy", "step3.npy"]

    @pytest.mark.parametrize(
        "before", [1, 4, 7, *(pytest.param(number, marks=pytest.mark.slow) for number in (2, 3, 5))]
    )
    def test_in_every_step_and_at_its_beginning(
        self, voc_set: Path, tmp_path: Path, whole: dict[str, bytes], before: int
    ) -> None:
        with pytest.MonkeyPatch.context() as patch:
            stop_before_step(patch, before)
            with pytest.raises(KeyboardInterrupt):
                run(voc_set, tmp_path / "parts", *ALTERNATING)
        self.assert_same_end(voc_set, tmp_path, whole)

    @pytest.mark.parametrize("picture", [2, 5], ids=["after step 1", "after step 3"])
    def test_while_proposals_are_written(
        self, voc_set: Path, tmp_path: Path, whole: dict[str, bytes], picture: int
    ) -> None:
        asked: list[int] = []
        real = FasterRCNN.proposals

        def proposals(*arguments: object) -> list[Tensor]:
            asked.append(1)
            if len(asked) == picture:
                raise KeyboardInterrupt
            return real(*arguments)  # pyright: ignore[reportArgumentType]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FasterRCNN, "proposals", proposals)
            with pytest.raises(KeyboardInterrupt):
                run(voc_set, tmp_path / "parts", *ALTERNATING)
        assert not list((tmp_path / "parts" / "proposals").glob(".*"))
        assert len(list((tmp_path / "parts" / "proposals").iterdir())) == picture // 3
        self.assert_same_end(voc_set, tmp_path, whole)

    def test_while_one_step_gives_way_to_the_next(
        self, voc_set: Path, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A backbone's weights may take seconds to read: the second step must begin with them all the same."""

        def with_ctrl_c(model: FasterRCNN, source: FasterRCNN, rooms: tuple[str, ...]) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            take_weights(model, source, rooms)

        with monkeypatch.context() as patch:
            patch.setattr(run_of_training, "take_weights", with_ctrl_c)
            with pytest.raises(KeyboardInterrupt):
                run(voc_set, tmp_path / "parts", *ALTERNATING)
        self.assert_same_end(voc_set, tmp_path, whole)
