"""The mode of a network: for a while, and then as it was."""

import pytest
from torch import nn

from frcnn.evaluation.mode import evaluation_mode


def a_network() -> nn.Sequential:
    """In training, but for its frozen second layer."""
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    network[1].eval()
    return network


def test_every_layer_is_left_as_it_was() -> None:
    network = a_network()
    with evaluation_mode(network):
        assert not any(module.training for module in network.modules())
    assert [module.training for module in network.modules()] == [True, True, False]


def test_also_after_a_failure() -> None:
    network = a_network()
    with pytest.raises(RuntimeError), evaluation_mode(network):
        raise RuntimeError
    assert network.training
