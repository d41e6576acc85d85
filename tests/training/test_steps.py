"""One step of the solver: the pieces it adds up, the scale that is drawn for it, its rate."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import IN_FLOAT64, last_bytes, lines, newest_state, run, stopped_and_resumed
from torch.testing import assert_close

from frcnn.data.loading import Batch
from frcnn.data.order import Chances, rule_of_step
from frcnn.training import loop
from frcnn.training.objectives import Piece, joint
from frcnn.training.run import Training
from frcnn.training.schedules import set_modes

FILLED = (  # so few that every picture gives as many samples as any other
    "model.rpn.samples_per_image=8",
    "model.head.samples_per_image=6",
    "data.group_by_aspect=false",
    "data.validation=0",
)


@pytest.fixture
def alike(make_voc) -> Path:
    """Seven pictures of one size."""
    pictures = {f"{i}": [("cat", (2 + i, 3, 30 + 4 * i, 40)), ("dog", (40, 20 - i, 63, 44))] for i in range(7)}
    return make_voc(pictures, {"trainval": list(pictures)})


class TestPieces:
    """train.accumulate: one batch in pieces."""

    @pytest.mark.parametrize("pieces", [2, 3])
    def test_they_make_the_step_of_the_whole_batch(self, alike: Path, tmp_path: Path, pieces: int) -> None:
        """Where each picture counts alike (as many samples) and for itself (no live batch norm).

        Batches of three are cut into two and one, or into three; the last is of one picture. In float64 sums of another
        order differ by 1e-16 of their terms.
        """
        for name, setting in (("whole", 1), ("pieces", pieces)):
            asked = (f"train.accumulate={setting}", "train.batch_size=3", "train.epochs=1", *FILLED, *IN_FLOAT64)
            said = run(alike, tmp_path / name, *asked)
            assert ("in 1 pieces" in said, f"in {pieces} pieces" in said) == (False, name == "pieces")
        whole, in_pieces = (newest_state(tmp_path / name) for name in ("whole", "pieces"))
        assert whole["model.rpn.deltas.weight"].dtype == torch.float64
        for name, value in whole.items():
            assert_close(in_pieces[name], value, rtol=1e-9, atol=1e-12)
        told, of_pieces = (lines(tmp_path / name, "step") for name in ("whole", "pieces"))
        for one, other in zip(told, of_pieces, strict=True):
            for name in ("rpn_objectness", "rpn_box", "head_class", "head_box", "total", "gradient_norm"):
                assert other[name] == pytest.approx(one[name], rel=1e-9)
                assert one[name] > 0

    @pytest.mark.parametrize("pieces", [1, 2, 3])
    def test_losses_and_gradients_are_means_over_the_pieces_by_their_pictures(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int
    ) -> None:
        """Whatever the samples, with live batch norm over each piece for itself, padded to its own largest sides."""
        sizes: list[list[int]] = []
        real = loop.train_step

        def train_step(training: Training, batches: list[Batch]) -> loop.Step:
            model = copy.deepcopy(training.model)
            set_modes(model, training.stage.trains)
            model.zero_grad()
            pictures = [len(batch.pictures) for batch in batches]
            for batch, count in zip(batches, pictures, strict=True):
                losses = joint(model, loop.piece_of(training, batch))
                (torch.stack(list(losses.values())).sum() * count / sum(pictures)).backward()
                by_hand.append({name: loss.item() * count / sum(pictures) for name, loss in losses.items()})
            step = real(training, batches)
            for (name, value), theirs in zip(training.model.named_parameters(), model.parameters(), strict=True):
                assert value.grad is not None, name
                assert_close(value.grad, theirs.grad, rtol=1e-9, atol=1e-12)  # float64
            for name, loss in step.losses.items():
                assert loss == pytest.approx(sum(piece[name] for piece in by_hand), rel=1e-9)
            assert step.pictures == sum(pictures)
            sizes.append(pictures)
            by_hand.clear()
            return step

        by_hand: list[dict[str, float]] = []
        monkeypatch.setattr(loop, "train_step", train_step)
        asked = ("train.batch_size=3", f"train.accumulate={pieces}", "train.epochs=1", "data.group_by_aspect=false")
        live = IN_FLOAT64[:-2]
        run(voc_set, tmp_path / "run", *asked, *live, "data.validation=0")
        assert sorted(sizes) == {1: [[1], [3]], 2: [[1], [2, 1]], 3: [[1], [1, 1, 1]]}[pieces]

    def test_a_stopped_run_goes_on_with_the_same_bytes(self, voc_set: Path, tmp_path: Path) -> None:
        asked = ("train.accumulate=2", "train.epochs=1", "data.validation=0")
        run(voc_set, tmp_path / "whole", *asked)
        stopped_and_resumed(voc_set, tmp_path / "parts", 1, *asked)
        assert last_bytes(tmp_path / "parts") == last_bytes(tmp_path / "whole")


class TestScales:
    """data.scales: multi-scale training."""

    SCALES = "data.scales=[32, 48, 64, 80]"

    def test_each_step_sees_its_pictures_at_the_scale_drawn_for_it(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All pieces at one; the long side's bound in proportion. What is held out is seen at short_side, as ever."""
        trained: list[tuple[int, int, list[tuple[int, int]]]] = []
        evaluated: set[int] = set()
        real, evaluate = loop.piece_of, loop.evaluate_model

        def piece_of(training: Training, batch: Batch) -> Piece:
            piece = real(training, batch)
            place = divmod(training.progress.step, training.steps_per_epoch)
            rule = rule_of_step(training.config.model.input, training.config.data.scales, 0, *place)
            assert rule is not None
            assert rule.long_side == {32: 45, 48: 68, 64: 90, 80: 112}[rule.short_side]  # of 90, rounded
            trained.append((training.progress.step, rule.short_side, piece.images.image_sizes))
            return piece

        def evaluate_model(model, *arguments, **options):
            evaluated.add(model.config.input.short_side)
            return evaluate(model, *arguments, **options)

        monkeypatch.setattr(loop, "piece_of", piece_of)
        monkeypatch.setattr(loop, "evaluate_model", evaluate_model)
        run(voc_set, tmp_path / "run", self.SCALES, "model.input.long_side=90", "train.accumulate=2")
        assert {step for step, _, _ in trained} == set(range(6))
        assert len({short_side for _, short_side, _ in trained}) > 2
        for _, short_side, sizes in trained:
            assert {min(size) for size in sizes} == {short_side}
        assert evaluated == {64}

    def test_a_stopped_run_draws_what_it_would_have_drawn(self, voc_set: Path, tmp_path: Path) -> None:
        asked = (self.SCALES, "train.epochs=1", "data.validation=0")
        run(voc_set, tmp_path / "whole", *asked)
        stopped_and_resumed(voc_set, tmp_path / "parts", 2, *asked)
        assert last_bytes(tmp_path / "parts") == last_bytes(tmp_path / "whole")


def test_the_rate_falls_along_half_a_cosine(voc_set: Path, tmp_path: Path) -> None:
    """train.decay = cosine: by hand, after a warm-up of one step; milestones are not heard."""
    asked = ("train.decay=cosine", "train.lr=0.004", "train.warmup_steps=1", "train.warmup_factor=0.5")
    run(voc_set, tmp_path / "run", *asked, "train.steps=4", "train.milestones=[0.25, 0.5]")
    expected = [0.004 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    assert [line["lr"] for line in lines(tmp_path / "run", "step")] == pytest.approx([0.5 * 0.004, *expected[1:]])


def test_a_step_is_no_longer_than_the_clipped_gradient(voc_set: Path, tmp_path: Path, monkeypatch) -> None:
    """By hand: SGD's first step is the rate times the gradient, whose norm was far more than what is left of it."""
    moved: list[float] = []
    real = loop.train_step

    def train_step(training: Training, batches: list[Batch]) -> loop.Step:
        before = [value.detach().clone() for value in training.model.parameters()]
        step = real(training, batches)
        ways = zip(training.model.parameters(), before, strict=True)
        moved.append(math.hypot(*(float((value - was).detach().norm()) for value, was in ways)))
        assert step.gradient_norm > 0.5  # as it was
        return step

    monkeypatch.setattr(loop, "train_step", train_step)
    asked = (*IN_FLOAT64, "train.lr=0.25", "train.momentum=0", "train.weight_decay=0", "train.clip_gradient=0.125")
    run(voc_set, tmp_path / "run", *asked, "train.steps=1", "data.validation=0")
    assert moved == pytest.approx([0.25 * 0.125], rel=1e-4)  # clipping divides by the norm and a millionth


def test_pictures_are_asked_for_as_the_settings_say(voc_set: Path, tmp_path: Path, monkeypatch) -> None:
    """Each setting by a value that none of the others has."""
    asked_for: list[dict[str, Any]] = []
    real = loop.steps

    def steps(*arguments: Any, **options: Any) -> Any:
        asked_for.append(options)
        return real(*arguments, **options)

    monkeypatch.setattr(loop, "steps", steps)
    settings = ("data.flip=0.125", "data.crop=0.25", "data.light=0.75", "data.scales=[48, 80]", "train.accumulate=2")
    others = ("data.ignore_regions=true", "data.pad_to_multiple=8", "data.group_by_aspect=false", "train.seed=7")
    run(voc_set, tmp_path / "run", *settings, *others, "train.steps=1")
    wanted = {
        "chances": Chances(flip=0.125, crop=0.25, light=0.75),
        "scales": (48, 80),
        "pieces": 2,
        "ignore_regions": True,
        "pad_to_multiple": 8,
        "group_by_aspect": False,
        "seed": 7,
    }
    assert {name: asked_for[0][name] for name in wanted} == wanted


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_held_out_is_seen_as_precisely_as_what_is_trained_on(
    voc_set: Path, tmp_path: Path, monkeypatch, precision: str
) -> None:
    seen: list[str] = []
    real = loop.evaluate_model

    def evaluate_model(*arguments: Any, **options: Any) -> Any:
        seen.append(options["precision"])
        return real(*arguments, **options)

    monkeypatch.setattr(loop, "evaluate_model", evaluate_model)
    run(voc_set, tmp_path / "run", "train.steps=1", precision=precision)
    assert seen == [precision]
