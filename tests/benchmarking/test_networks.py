"""The same weights in both networks: the same detections, and the same layers that train."""

import pytest
import torch

from frcnn.benchmarking.agreement import agreement
from frcnn.benchmarking.networks import as_detections, inference_twins, lively_model, trained_elements, training_twins
from frcnn.benchmarking.pictures import draw_picture


@pytest.fixture(scope="module")
def image():
    return draw_picture((120, 160), torch.Generator().manual_seed(0))


def test_twins_detect_the_same(image):
    twins = inference_twins("mobilenet_v3_large_320_fpn", image)
    with torch.no_grad():
        ours, theirs = twins.ours([image])[0], as_detections(twins.peer([image])[0])
    found = agreement(ours, theirs)
    assert 30 <= found.expected < 100  # much, and not as much as there can be
    assert len(found.box) >= found.expected - 2  # rounding may decide a tie
    assert found.box.max() < 0.1
    assert found.score.max() < 1e-3


def test_ours_alone_is_lively_too(image):
    model = lively_model("mobilenet_v2_c4", image)
    assert not model.training
    with torch.no_grad():
        found = model([image])[0]
    assert 30 <= len(found) <= 100
    assert len(found.class_ids.unique()) > 10


def test_networks_are_functions_of_the_preset_alone(image):
    state = torch.get_rng_state()
    one, other = (lively_model("mobilenet_v2_c4", image).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.get_rng_state(), state)


def test_twins_train_the_same_layers():
    twins = training_twins("mobilenet_v3_large_fpn", 96, 160)
    assert twins.ours.training
    assert twins.peer.training
    assert all(parameter.requires_grad for parameter in twins.ours.parameters())
    background = 4 * (1024 + 1)  # torchvision has deltas of the background
    assert trained_elements(twins.peer) == trained_elements(twins.ours) + background
    assert twins.ours.config.input.short_side == 96
