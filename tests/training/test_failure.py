"""What is kept of a step that failed, and what it gives when computed again."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from small_runs import run
from torch import Tensor
from torch.testing import assert_close

from frcnn.config import load_preset, override
from frcnn.data.dataset import Dataset, load_dataset
from frcnn.data.loading import Batch, evaluation_batches, steps
from frcnn.data.order import Chances, Share
from frcnn.errors import FrcnnError
from frcnn.model import head
from frcnn.training import failure, loop
from frcnn.training.failure import FailedStep, folder_of, forget_failure, keep, losses_of, read, replay
from frcnn.training.loop import failed_step
from frcnn.training.objectives import Piece
from frcnn.training.pieces import added_up
from frcnn.training.run import Training
from frcnn.weights.build import build

EVERYTHING = (  # that changes what a step sees; rows of anchors and proposals are drawn from more than are taken
    "data.scales=[48, 64, 80]",
    "data.crop=0.7",
    "data.light=0.7",
    "data.flip=0.5",
    "data.pad_to_multiple=16",
    "data.validation=0",
    "train.steps=2",
    "train.proposals_per_image=40",
    "model.rpn.samples_per_image=8",
    "model.head.samples_per_image=6",
)


@pytest.fixture
def dataset(make_voc) -> Dataset:
    """Among three pictures an object to be ignored, and a picture without any."""
    pictures = {
        "a": [("cat", (11, 6, 40, 50)), ("dog", (50, 10, 75, 40), True)],
        "b": [],
        "c": [("dog", (5, 5, 75, 55))],
    }
    return load_dataset([make_voc(pictures, {"train": list("abc")}, size=(60, 80))], "train")


@pytest.fixture
def failed(dataset: Dataset) -> FailedStep:
    """Two pieces, of two pictures and of one, of an RPN's step."""
    torch.manual_seed(3)
    model = build("tiny", ["cat", "dog"], input={"short_side": 64, "long_side": 96})
    config = override(load_preset("tiny"), ["model.input.short_side=64", "train.schedule=alternating", "train.seed=7"])
    proposals = [[torch.rand(4, 4), torch.zeros(0, 4)], None]
    return FailedStep(
        model, config, "bfloat16", 2, 5, list(evaluation_batches(dataset, 2)), proposals, "cuda:3", 1, "it was said"
    )


class TestKept:
    """What is read is what was kept."""

    def test_all_of_it(self, failed: FailedStep, tmp_path: Path) -> None:
        keep(tmp_path / "failure", failed)
        found = read(tmp_path / "failure")
        for piece, kept in zip(found.pieces, failed.pieces, strict=True):
            assert piece.pictures == kept.pictures
            assert [order.number for order in piece.part.orders] == [order.number for order in kept.part.orders]
            assert replace(piece.part, orders=[]) == replace(kept.part, orders=[])
            for pixels, wanted in zip(piece.pixels, kept.pixels, strict=True):
                assert torch.equal(pixels, wanted)
                assert pixels.stride() == wanted.stride()
            for target, wanted in zip(piece.targets, kept.targets, strict=True):
                assert wanted.ignored is not None
                assert target.ignored is not None
                assert torch.equal(target.boxes, wanted.boxes)
                assert torch.equal(target.class_ids, wanted.class_ids)
                assert torch.equal(target.ignored, wanted.ignored)
        (first, second), (wanted_first, _) = found.proposals, failed.proposals
        assert first is not None
        assert wanted_first is not None
        assert all(map(torch.equal, first, wanted_first))
        assert second is None
        without = {"model": failed.model, "pieces": [], "proposals": []}
        assert replace(found, **without) == replace(failed, **without)

    @pytest.mark.parametrize("number", [math.nan, math.inf])
    def test_weights_that_are_no_numbers(self, failed: FailedStep, tmp_path: Path, number: float) -> None:
        failed.model.double()
        with torch.no_grad():
            failed.model.rpn.deltas.bias[2] = number
        keep(tmp_path, failed)
        found = dict(read(tmp_path).model.named_parameters())
        for name, value in failed.model.named_parameters():
            assert_close(found[name], value, rtol=0, atol=0, equal_nan=True)  # and in float64
            assert found[name].requires_grad == value.requires_grad

    @pytest.mark.parametrize("folder", ["absent", "."])
    def test_a_folder_without_a_batch_is_refused(self, tmp_path: Path, folder: str) -> None:
        with pytest.raises(FrcnnError, match=r"holds no batch\.safetensors: name the folder") as caught:
            replay(tmp_path / folder)
        assert str(caught.value).startswith(f"{tmp_path / folder}: ")

    def test_what_an_earlier_attempt_has_kept_can_be_forgotten(self, failed: FailedStep, tmp_path: Path) -> None:
        """And nothing else that lies there."""
        out = tmp_path / "run"
        forget_failure(out)
        for process in (0, 11):
            keep(folder_of(out, process, 12), failed)
        keep(folder_of(out, 0, 1), failed)
        note = out / "failure" / "process0" / "note.txt"
        note.write_text("mine")
        forget_failure(out)
        assert [path for path in out.rglob("*") if path.is_file()] == [note]
        note.unlink()
        forget_failure(out)
        assert list(out.iterdir()) == []


class TestOfSeveralProcesses:
    """Parts that are put together again."""

    @pytest.fixture
    def whole(self, dataset: Dataset) -> list[Batch]:
        return self.pieces(dataset, Share())

    def pieces(self, dataset: Dataset, share: Share) -> list[Batch]:
        """Of two and of one: the second process has a stand-in for that one."""
        (step,) = steps(
            dataset,
            3,
            seed=0,
            epoch=0,
            chances=Chances(flip=0.5),
            group_by_aspect=False,
            workers=0,
            ignore_regions=True,
            seen_by=load_preset("tiny").model.input,
            pieces=2,
            share=share,
        )
        return step

    def keep_both(self, dataset: Dataset, failed: FailedStep, out: Path) -> None:
        for process in range(2):
            pieces = self.pieces(dataset, Share(process, 2))
            proposals = [[torch.tensor([[float(o.number)] * 4]) for o in piece.part.orders] for piece in pieces]
            share = replace(failed, pieces=pieces, proposals=proposals, processes=2)
            keep(folder_of(out, process, 2), share)

    def test_they_are_the_step_of_one(
        self, dataset: Dataset, failed: FailedStep, whole: list[Batch], tmp_path: Path
    ) -> None:
        self.keep_both(dataset, failed, tmp_path)
        found = read(tmp_path / "failure")
        assert [len(piece.pictures) for piece in found.pieces] == [2, 1]
        for piece, wanted, proposals in zip(found.pieces, whole, found.proposals, strict=True):
            numbers = [order.number for order in piece.part.orders]
            assert piece.pictures == wanted.pictures
            assert numbers == [order.number for order in wanted.part.orders]
            assert replace(piece.part, orders=[]) == replace(wanted.part, orders=[])
            assert all(map(torch.equal, piece.pixels, wanted.pixels))
            assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(piece.targets, wanted.targets, strict=True))
            assert proposals is not None
            assert [boxes[0, 0] for boxes in proposals] == numbers

    def test_each_can_be_looked_at_alone_and_a_part_is_not_taken_for_all(
        self, dataset: Dataset, failed: FailedStep, tmp_path: Path
    ) -> None:
        self.keep_both(dataset, failed, tmp_path)
        of_second = tmp_path / "failure" / "process1"
        assert [len(piece.pictures) for piece in read(of_second).pieces] == [1, 1]
        for path in (tmp_path / "failure" / "process0").iterdir():
            path.unlink()
        (tmp_path / "failure" / "process0").rmdir()
        with pytest.raises(FrcnnError, match=f"lacks the parts of some of 2 processes: name {of_second}"):
            read(tmp_path / "failure")


class TestReplay:
    """What is kept before a step gives the losses of that step, bit by bit."""

    def replayed(self, data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *settings: str) -> list[loop.Step]:
        """The steps, in their order."""
        real, replayed = loop.train_step, []

        def train_step(training: Training, batches: list[Batch]) -> loop.Step:
            keep(out / "kept", failed_step(training, batches, ""))
            step = real(training, batches)
            drawn = torch.get_rng_state()
            losses = replay(out / "kept")
            assert torch.equal(torch.get_rng_state(), drawn)
            assert {name: loss.item() for name, loss in losses.items()} == step.losses
            replayed.append(step)
            return step

        monkeypatch.setattr(loop, "train_step", train_step)
        run(data, out, *settings)
        return replayed

    def test_each_step_of_alternating_training(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Batch norm is live, and at rest in what does not train."""
        asked = (*EVERYTHING, "train.schedule=alternating")
        steps = self.replayed(voc_set, tmp_path / "run", monkeypatch, *asked)
        assert len(steps) == 8
        assert all(loss > 0 for step in steps for loss in step.losses.values())

    @pytest.mark.parametrize(
        "settings",
        [
            ("train.accumulate=2",),
            ("train.schedule=exact", "train.ema_decay=0.9"),
            ("train.precision=bfloat16",),
            ("train.precision=float64", "train.accumulate=2"),
            ("data.ignore_regions=true", "train.seed=5", "model.head.dropout=0.5"),
            ("data.scales=[24, 30]", "model.input.short_side=30", "model.input.long_side=60"),  # pictures are reduced
        ],
        ids=["pieces", "exact", "bfloat16", "float64", "dropout", "reduced"],
    )
    def test_each_way_of_training(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: tuple[str, ...]
    ) -> None:
        steps = self.replayed(voc_set, tmp_path / "run", monkeypatch, *EVERYTHING, *settings)
        assert len(steps) == 2
        assert all(loss > 0 for step in steps for loss in step.losses.values())

    def test_single_features(self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A channel, in the last stage of the backbone, which torch's live batch norm refuses."""
        small = [f"model.input.{side}_side=32" for side in ("short", "long")]
        asked = ("data.pad_to_multiple=1", "data.validation=0", "train.batch_size=1", "train.steps=2")
        assert len(self.replayed(voc_set, tmp_path / "run", monkeypatch, *small, *asked)) == 2

    def test_gradients_can_be_studied(self, failed: FailedStep, tmp_path: Path) -> None:
        """Of the same weights as in training: the third step of alternating training moves the RPN's alone."""
        step = read_again(failed, tmp_path)
        sum(losses_of(step).values(), torch.zeros(())).backward()
        moved = {name.partition(".")[0] for name, value in step.model.named_parameters() if value.grad is not None}
        assert moved == {"rpn"}


def read_again(failed: FailedStep, folder: Path) -> FailedStep:
    keep(folder, replace(failed, device="cpu"))
    return read(folder)


class TestInARun:
    """What is not finite never reaches the weights."""

    def test_a_finite_loss_with_an_infinite_gradient_stops_it(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_piece, reached = loop.piece_of, []

        def with_an_infinite_gradient(training: Training, batch: Batch) -> Piece:
            if training.progress.step == 1 and not reached:
                weight = training.model.rpn.deltas.weight
                weight.register_hook(lambda gradient: gradient * math.inf)
                reached.append((weight, weight.detach().clone()))
            return make_piece(training, batch)

        monkeypatch.setattr(loop, "piece_of", with_an_infinite_gradient)
        said = r"step 2: the gradient is not finite \(rpn_.*; gradient norm (inf|nan), of the steps before "
        with pytest.raises(FrcnnError, match=said):
            run(voc_set, tmp_path / "run", "train.clip_gradient=10")
        ((weight, before),) = reached
        assert torch.equal(weight, before)
        assert torch.equal(_kept(tmp_path / "run", "rpn.deltas.weight"), before)
        assert not list((tmp_path / "run" / "state").glob("*"))
        assert all(loss.isfinite() for loss in replay(tmp_path / "run" / "failure").values())

    def test_what_is_kept_has_not_met_the_step(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Live statistics move with each piece, and a piece of a single feature is normalised by them."""
        real, found = loop.fail_step, []

        def fail_step(training: Training, batches: list[Batch], told: loop.NotFiniteError) -> None:
            found.append(told.losses)
            real(training, batches, told)

        def finish_step(training: Training, _: list[Batch], seen: list[dict[str, Tensor]], rate: float) -> None:
            raise loop.NotFiniteError(dict(zip(seen[0], added_up(seen).tolist(), strict=True)), math.inf, rate)

        monkeypatch.setattr(loop, "fail_step", fail_step)
        monkeypatch.setattr(loop, "finish_step", finish_step)
        small = [f"model.input.{side}_side=16" for side in ("short", "long")]
        pieces = ("data.pad_to_multiple=1", "data.validation=0", "train.batch_size=3", "train.accumulate=2")
        with pytest.raises(FrcnnError, match="is not finite"):
            run(voc_set, tmp_path / "run", *small, *pieces)
        assert [len(piece.pictures) for piece in read(tmp_path / "run" / "failure").pieces] == [2, 1]
        replayed = replay(tmp_path / "run" / "failure")
        assert [{name: loss.item() for name, loss in replayed.items()}] == found

    def test_a_piece_s_loss_stops_it_and_all_pieces_are_kept(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = loop.piece_of

        def poisoned(training: Training, batch: Batch) -> Piece:
            piece = real(training, batch)
            piece.images.pixels[...] *= math.inf if batch.pictures[0].stem == "000002" else 1
            return piece

        monkeypatch.setattr(loop, "piece_of", poisoned)
        pieces = ("train.batch_size=4", "train.accumulate=4", "data.group_by_aspect=false", "data.validation=0")
        with pytest.raises(FrcnnError, match=r"step 1: the loss is not finite") as caught:
            run(voc_set, tmp_path / "run", *pieces)
        assert all(f"00000{number}.jpg" in str(caught.value) for number in (1, 2, 3, 4))
        assert [len(piece.pictures) for piece in read(tmp_path / "run" / "failure").pieces] == [1] * 4

    def test_weights_that_are_no_numbers_are_told_from_bad_pictures(self, voc_set: Path, tmp_path: Path) -> None:
        """And can be studied. A rate beyond reason needs one step for it."""
        asked = ("train.lr=1e38", "train.warmup_steps=0", "train.steps=4", "train.checkpoint_every=100")
        said = (
            r"^step 2: the loss is not finite .* the weights were not finite any more after step 1 \(.*train\.lr below"
        )
        with pytest.raises(FrcnnError, match=said) as caught:
            run(voc_set, tmp_path / "run", *asked, "data.validation=0")
        assert "clip_gradient" not in str(caught.value)  # it is set
        assert not read(tmp_path / "run" / "failure").model.rpn.deltas.weight.isfinite().all()
        assert not any(loss.isfinite() for loss in replay(tmp_path / "run" / "failure").values())

    def test_a_new_attempt_leaves_nothing_of_an_earlier_failure(self, voc_set: Path, tmp_path: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(head, "encode", lambda boxes, _: torch.full_like(boxes, math.inf))
            with pytest.raises(FrcnnError, match="is not finite"):
                run(voc_set, tmp_path / "run", "train.steps=1")
        assert (tmp_path / "run" / "failure").is_dir()
        run(voc_set, tmp_path / "run", "train.steps=1")
        assert not (tmp_path / "run" / "failure").exists()


def _kept(out: Path, name: str) -> Tensor:
    with safe_open(out / "failure" / "model.safetensors", framework="pt") as file:
        return file.get_tensor(name)


def test_a_full_disk_does_not_hide_what_happened(voc_set, tmp_path, monkeypatch):
    def full(*_, **__):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(failure, "save_file", full)
    monkeypatch.setattr(head, "encode", lambda boxes, _: torch.full_like(boxes, float("inf")))
    with pytest.raises(FrcnnError, match=r"the loss is not finite .* but they were not: .*No space left"):
        run(voc_set, tmp_path / "run", "train.steps=1")
