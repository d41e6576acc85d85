"""When the numbers of a step are no numbers: what is said, what is kept, and what it gives when computed again."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from small_runs import run
from torch import Tensor
from torch.testing import assert_close

from frcnn.data.dataset import load_dataset
from frcnn.data.loading import Batch, evaluation_batches
from frcnn.errors import FrcnnError
from frcnn.model import head
from frcnn.model.detector import FasterRCNN
from frcnn.training import failure, loop
from frcnn.training.failure import describe_failure, is_finite, keep_batch, replay
from frcnn.training.objectives import Piece
from frcnn.training.run import Training
from frcnn.weights.build import build

FINITE = {"rpn_box": 0.25, "head_box": 1e30}


@pytest.mark.parametrize(
    ("losses", "norm", "expected"),
    [
        (FINITE, 1e30, True),
        (FINITE, math.inf, False),
        (FINITE, math.nan, False),
        (FINITE | {"rpn_box": math.nan}, 1.0, False),
        (FINITE | {"head_box": -math.inf}, 1.0, False),
    ],
)
def test_all_must_be_numbers(losses: dict[str, float], norm: float, expected: bool) -> None:
    assert is_finite(losses, norm) == expected


@pytest.mark.parametrize(
    ("losses", "norm", "what"),
    [
        ({"rpn_box": 0.25, "head_box": math.nan}, math.nan, "the loss is not finite (rpn_box 0.25, head_box nan; "),
        ({"rpn_box": 0.25, "head_box": 12345.678}, math.inf, "the gradient is not finite (rpn_box 0.25, head_box 1.2"),
    ],
)
def test_one_line_says_what_where_and_what_to_do(losses: dict[str, float], norm: float, what: str) -> None:
    pictures = [Path("VOC/a.jpg"), Path("VOC/b.jpg")]
    said = describe_failure(17, losses, norm, 0.00123456, pictures, Path("runs/x/failure"))
    assert said.startswith(f"step 17: {what}")
    assert f"gradient norm {norm:.4g}) at rate 0.001235 on VOC/a.jpg, VOC/b.jpg: look at these pictures' boxes" in said
    assert "--resume" not in said  # it would fail there again
    assert "runs/x/failure" in said
    assert "\n" not in said


@pytest.fixture
def model() -> FasterRCNN:
    """With batch norm that is live while it trains."""
    torch.manual_seed(3)
    return build("tiny", ["cat", "dog"], input={"short_side": 64, "long_side": 96})


@pytest.fixture
def batches(make_voc) -> list[Batch]:
    """Two pieces, of two pictures and of one; an object to be ignored, and a picture without any."""
    pictures = {
        "a": [("cat", (11, 6, 40, 50)), ("dog", (50, 10, 75, 40), True)],
        "b": [],
        "c": [("dog", (5, 5, 75, 55))],
    }
    dataset = load_dataset([make_voc(pictures, {"train": list("abc")}, size=(60, 80))], "train")
    return list(evaluation_batches(dataset, 2))


class TestReplay:
    """What is kept gives the same losses again."""

    def test_as_computed_by_hand(self, model: FasterRCNN, batches: list[Batch], tmp_path: Path) -> None:
        images = [image for batch in batches for image in batch.images]
        targets = [target for batch in batches for target in batch.targets]
        assert targets[0].ignored is not None
        assert targets[0].ignored.any()
        keep_batch(tmp_path / "failure", model, batches, "it was said")
        again = replay(tmp_path / "failure").as_dict()
        wanted = model.train()(images, targets, torch.Generator().manual_seed(0)).as_dict()
        for name, loss in wanted.items():
            assert_close(again[name], loss, rtol=0, atol=0)
            assert loss > 0
        at_rest = model.eval()(images, targets, torch.Generator().manual_seed(0)).as_dict()
        assert at_rest["head_class"] != wanted["head_class"]  # it would show, were it not as in training

    def test_pictures_and_message_are_kept_with_it(
        self, model: FasterRCNN, batches: list[Batch], tmp_path: Path
    ) -> None:
        keep_batch(tmp_path / "failure", model, batches, "it was said")
        with safe_open(tmp_path / "failure" / "batch.safetensors", framework="pt") as file:
            metadata = file.metadata()
        assert json.loads(metadata["pictures"]) == [str(path) for batch in batches for path in batch.pictures]
        assert metadata["message"] == "it was said"

    @pytest.mark.parametrize("folder", ["absent", "."])
    def test_a_folder_without_a_batch_is_refused(self, tmp_path: Path, folder: str) -> None:
        with pytest.raises(FrcnnError, match=r"holds no batch\.safetensors: name the folder") as caught:
            replay(tmp_path / folder)
        assert str(caught.value).startswith(f"{tmp_path / folder}: ")


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
        said = r"step 1: the gradient is not finite \(rpn_objectness [\d.]+, .*; gradient norm (inf|nan)\) at rate"
        with pytest.raises(FrcnnError, match=said):
            run(voc_set, tmp_path / "run", "train.clip_gradient=10")
        ((weight, before),) = reached
        assert torch.equal(weight, before)
        assert torch.equal(_kept(tmp_path / "run", "rpn.deltas.weight"), before)
        assert not list((tmp_path / "run" / "state").glob("*"))
        assert replay(tmp_path / "run" / "failure").total().isfinite()

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
        with pytest.raises(FrcnnError, match=r"step 0: the loss is not finite") as caught:
            run(voc_set, tmp_path / "run", *pieces)
        assert all(f"00000{number}.jpg" in str(caught.value) for number in (1, 2, 3, 4))
        with safe_open(tmp_path / "run" / "failure" / "batch.safetensors", framework="pt") as file:
            assert len(json.loads(file.metadata()["pictures"])) == 4


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
