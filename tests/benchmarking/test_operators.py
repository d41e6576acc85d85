import pytest
import torch

from frcnn.benchmarking.operators import align_row, operator_measurements, pool_row, pooling_input, suppression_row
from frcnn.benchmarking.rows import Setting

ONCE = Setting(runs=1)


def test_suppression_is_torchvisions():
    row = suppression_row("NMS", 400, 50, ONCE)
    assert row.notes == ("50 kept, identical indices",)
    assert list(row.peers) == ["torchvision"]


def test_what_is_not_identical_is_said(monkeypatch):
    monkeypatch.setattr("frcnn.benchmarking.operators.nms", lambda boxes, *_: torch.arange(50))
    assert suppression_row("NMS", 400, 50, ONCE).notes == ("50 kept, NOT identical indices",)


@pytest.mark.parametrize("backward", [False, True])
def test_alignment_is_torchvisions(backward):
    apart = differences(align_row("RoIAlign", ONCE, backward=backward, channels=3).notes)
    assert list(apart) == ["regions", "gradients"][: 1 + backward]
    assert max(apart.values()) <= 1e-4
    assert apart["regions"] <= 1e-5


def test_pooling_is_torchvisions():
    apart = differences(pool_row("RoIPool", ONCE, channels=3).notes)
    assert apart["regions"] == 0
    assert apart["gradients"] <= 1e-4


def differences(notes):
    (note,) = notes
    parts = note.removeprefix("largest difference: ").split(", ")
    return {name: float(value) for name, value in (part.split() for part in parts)}


def test_each_side_gets_the_layout_that_suits_it():
    ours, theirs, boxes = pooling_input(ONCE, channels=5)
    assert ours.shape == (1, 5, 38, 50)
    assert torch.equal(ours, theirs)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert theirs.is_contiguous()
    assert len(boxes) == 300


def test_what_is_measured():
    names = [measurement.name for measurement in operator_measurements(ONCE)]
    assert names == [
        "NMS .7 of 12000 boxes, 2000 wanted",
        "NMS .7 of 6000 boxes, 300 wanted",
        "RoIAlign of 300 boxes",
        "RoIAlign of 300 boxes, forward and backward",
        "RoIPool of 300 boxes, forward and backward",
    ]
