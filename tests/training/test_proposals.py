"""Proposals written down and read back: whole or not at all, and never another data set's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import run, stop_before_step
from torch import Tensor, nn

from frcnn.data.dataset import Dataset, load_dataset
from frcnn.data.loading import evaluation_batches
from frcnn.errors import FrcnnError
from frcnn.model.detector import FasterRCNN
from frcnn.training.proposals import BEFORE_NMS, WrittenProposals, write_proposals
from frcnn.weights.build import build

SIZES = {"a": (60, 80), "b": (80, 60), "c": (30, 30)}
PER_IMAGE = 12


@pytest.fixture
def dataset(make_voc) -> Dataset:
    pictures = {name: [("cat", (2, 3, 20, 25))] for name in SIZES}
    return load_dataset([make_voc(pictures, {"train": list(SIZES)}, size=SIZES)], "train")


@pytest.fixture
def model() -> FasterRCNN:
    """Whose boxes differ from picture to picture."""
    torch.manual_seed(0)
    model = build("tiny", ["cat"], input={"short_side": 64, "long_side": 96})
    nn.init.normal_(model.rpn.objectness.weight, std=0.5)
    nn.init.normal_(model.rpn.deltas.weight, std=0.02)
    return model.train()


def write(path: Path, model: FasterRCNN, dataset: Dataset, per_image: int = PER_IMAGE, progress=lambda _: None) -> None:
    write_proposals(path, model, dataset, per_image, workers=0, precision="float32", progress=progress)


def read(path: Path, dataset: Dataset) -> list[Tensor]:
    """Of each picture, as it is."""
    written = WrittenProposals(path, dataset)
    return [written.of(number) for number in range(len(dataset))]


@torch.no_grad()
def expected(model: FasterRCNN, dataset: Dataset, per_image: int) -> list[Tensor]:
    images = [image for batch in evaluation_batches(dataset, 2) for image in batch.images]
    return model.eval().proposals(images, BEFORE_NMS, per_image)


def test_the_best_of_each_picture_are_written_and_read_back(
    model: FasterRCNN, dataset: Dataset, tmp_path: Path
) -> None:
    """Best first, in original pixels, in the data set's order; layers as when the detector is used."""
    heard: list[int] = []
    write(tmp_path / "new" / "step1.npy", model, dataset, progress=heard.append)
    assert heard == [1, 2, 3]
    found, wanted = read(tmp_path / "new" / "step1.npy", dataset), expected(model, dataset, PER_IMAGE)
    for boxes, theirs, (height, width) in zip(found, wanted, SIZES.values(), strict=True):
        assert boxes.shape == (PER_IMAGE, 4)
        assert torch.equal(boxes, theirs)
        assert boxes.dtype == torch.float32
        assert 0 < boxes[:, 2].max() <= width
        assert 0 < boxes[:, 3].max() <= height
    assert not torch.equal(found[0], found[1])
    assert np.load(tmp_path / "new" / "step1.npy").dtype == np.float32


def test_where_there_are_fewer_the_rest_is_no_number(model: FasterRCNN, dataset: Dataset, tmp_path: Path) -> None:
    many = 5000
    write(tmp_path / "step1.npy", model, dataset, per_image=many)
    rows = np.load(tmp_path / "step1.npy")
    assert rows.shape == (3, many, 4)
    found, wanted = read(tmp_path / "step1.npy", dataset), expected(model, dataset, many)
    counts = [len(boxes) for boxes in found]
    assert counts == [len(boxes) for boxes in wanted]
    assert len(set(counts)) > 1
    for of_picture, boxes in zip(rows, found, strict=True):
        assert 0 < len(boxes) < many
        assert np.isfinite(of_picture[: len(boxes)]).all()
        assert np.isnan(of_picture[len(boxes) :]).all()


def test_a_picture_without_any_has_none(model: FasterRCNN, dataset: Dataset, tmp_path: Path) -> None:
    model.config = model.config.model_copy(update={"rpn": model.config.rpn.model_copy(update={"score_threshold": 1.0})})
    write(tmp_path / "step1.npy", model, dataset)
    assert [boxes.shape for boxes in read(tmp_path / "step1.npy", dataset)] == [(0, 4)] * 3


@pytest.mark.parametrize("count", [2, 4])
def test_another_data_set_s_are_refused(dataset: Dataset, tmp_path: Path, count: int) -> None:
    np.save(tmp_path / "step3.npy", np.zeros((count, 5, 4), dtype=np.float32))
    said = f"holds proposals for {count} pictures, but the data set has 3: resume with the same data"
    with pytest.raises(FrcnnError, match=said) as caught:
        WrittenProposals(tmp_path / "step3.npy", dataset)
    assert str(caught.value).startswith(str(tmp_path / "step3.npy"))


@pytest.mark.parametrize("content", [None, b"", b"no array", b"\x93NUMPY"], ids=["absent", "empty", "text", "torn"])
def test_a_file_that_cannot_be_read_is_refused_in_one_line(
    dataset: Dataset, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "step1.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FrcnnError, match=r"are missing or damaged: start the run anew") as caught:
        WrittenProposals(path, dataset)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


class TestWhole:
    """Whatever stops the writing, what stood there before still does, and nothing beside it."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        (tmp_path / "proposals").mkdir()
        (tmp_path / "proposals" / "step1.npy").write_bytes(b"before")
        return tmp_path / "proposals" / "step1.npy"

    def assert_as_before(self, path: Path) -> None:
        assert list(path.parent.iterdir()) == [path]
        assert path.read_bytes() == b"before"

    @pytest.mark.parametrize("error", [KeyboardInterrupt, FrcnnError])
    def test_an_error_in_the_middle(
        self, model: FasterRCNN, dataset: Dataset, path: Path, error: type[BaseException]
    ) -> None:
        def stop(done: int) -> None:
            if done == 2:
                raise error

        with pytest.raises(error):
            write(path, model, dataset, progress=stop)
        self.assert_as_before(path)

    def test_a_disk_that_is_full_in_the_middle(self, model: FasterRCNN, dataset: Dataset, path: Path) -> None:
        """One line: the process is not killed, as it is by a page of mapped memory that finds no room."""
        resource = pytest.importorskip("resource")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            with pytest.raises(FrcnnError, match=r"step1\.npy: cannot be written \(File too large\)"):
                write(path, model, dataset, 5000, lambda _: resource.setrlimit(resource.RLIMIT_FSIZE, (99_999, hard)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.assert_as_before(path)


def test_the_network_computes_as_it_trains(model: FasterRCNN, dataset: Dataset, tmp_path: Path) -> None:
    """In half precision where that was asked for."""
    write(tmp_path / "whole.npy", model, dataset)
    write_proposals(
        tmp_path / "half.npy", model, dataset, PER_IMAGE, workers=0, precision="bfloat16", progress=lambda _: None
    )
    with torch.autocast("cpu", torch.bfloat16):
        wanted = torch.cat(expected(model, dataset, PER_IMAGE))
    whole, half = (torch.cat(read(tmp_path / f"{name}.npy", dataset)) for name in ("whole", "half"))
    assert torch.equal(half, wanted)
    assert not torch.equal(half, whole)


def test_a_run_whose_proposals_went_away_says_so(voc_set: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_before_step(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            run(voc_set, tmp_path / "run", "train.schedule=alternating", "train.steps=1")
    (tmp_path / "run" / "proposals" / "step1.npy").unlink()
    with pytest.raises(FrcnnError, match=r"step1\.npy: the proposals that this step trains on are missing"):
        run(voc_set, tmp_path / "run", resume=True)
