import pytest
import torch

from frcnn.benchmarking.networks import training_twins
from frcnn.benchmarking.rows import Setting
from frcnn.benchmarking.training import Case, examples, step_of, training_measurements, training_rows

SMALL = Case("mobilenet_v3_large_fpn", pictures=2, short_side=64, size=(90, 120), long_side=120)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def twins():
    return training_twins(SMALL.preset, SMALL.short_side, SMALL.long_side)


@pytest.mark.parametrize("side", ["frcnn", "torchvision"])
def test_a_step_gives_every_layer_a_gradient_and_hardly_moves_it(twins, side):
    model = twins.ours if side == "frcnn" else twins.peer
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    loss = step_of(side, twins, SMALL, CPU)("float32")
    assert 4 < loss < 8  # log 91 and log 2, and the boxes'
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.detach(), before[name], atol=1e-5, rtol=1e-5)


def test_rows_say_what_trains_and_to_what_losses():
    torch.manual_seed(0)  # what is sampled
    rows = training_rows(SMALL, Setting(runs=1))
    assert [row.work.rpartition(", ")[2] for row in rows] == ["float32", "bfloat16"]
    peers = [["torchvision float32"], ["torchvision bfloat16", "torchvision float32"]]
    for row, of_row in zip(rows, peers, strict=True):
        assert list(row.peers) == of_row
        assert "in torchvision also 4,100 for a box of the background" in row.notes[0]
        ours, theirs = (float(part.split()[-1]) for part in row.notes[1].split(", ")[-2:])
        assert ours == pytest.approx(theirs, abs=0.5)


def test_both_sides_get_the_same_pictures():
    (images, targets), (others, _) = examples(SMALL, CPU), examples(SMALL, CPU)
    assert [tuple(image.shape) for image in images] == [(3, 90, 120)] * 2
    assert [len(target.boxes) for target in targets] == [5, 5]
    assert all(torch.equal(image, other) for image, other in zip(images, others, strict=True))


def test_what_is_measured():
    assert [m.name for m in training_measurements(Setting())] == [
        "training step of resnet50_fpn, 2 pictures of 375x500 at short side 600",
        "training step of mobilenet_v3_large_fpn, 4 pictures of 375x500 at short side 320",
    ]
