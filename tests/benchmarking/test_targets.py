import pytest
import torch
from torch.testing import assert_close

from frcnn.benchmarking.rows import Setting
from frcnn.benchmarking.targets import (
    loops_row,
    our_targets,
    target_row,
    targets_by_loops,
    torchvision_rpn,
    torchvision_targets,
)

SIZE = (160, 208)


@pytest.fixture
def given():
    objects = torch.tensor([[10.0, 20, 130, 150], [50, 5, 200, 90], [3, 3, 40, 30]])
    return torch.zeros(1, 1, 10, 13), SIZE, objects


def test_three_ways_to_the_same_targets(given):
    ours, theirs, loops = our_targets(*given), torchvision_targets(torchvision_rpn(), *given), targets_by_loops(*given)
    assert len(ours.labels) == 10 * 13 * 9
    assert len(ours.positive) >= 3
    assert set(ours.labels.tolist()) == {-1, 0, 1}
    for other in (theirs, loops):
        assert torch.equal(ours.labels, other.labels)
        assert torch.equal(ours.positive, other.positive)
        assert_close(ours.deltas, other.deltas)


@pytest.mark.parametrize(("row_of", "peer"), [(target_row, "torchvision"), (loops_row, "Python loops")])
def test_the_rows_say_that_they_are_the_same(row_of, peer):
    row = row_of("targets", Setting(runs=1), size=(96, 96))
    assert list(row.peers) == [peer]
    assert row.notes[0].startswith(f"{6 * 6 * 9} anchors, ")
    assert "positive: identical; deltas within" in row.notes[0]
