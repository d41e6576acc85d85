"""Where the losses would move proposals: the step's length, and its direction by finite differences."""

import copy
from types import ModuleType

import pytest
import torch
from scripts import load_script
from torch import Tensor

import frcnn
from frcnn.model.detector import FasterRCNN
from frcnn.structures import Target

OBJECTS = Target(torch.tensor([[10.0, 12, 50, 60], [60, 5, 90, 40]]), torch.tensor([0, 1]))


@pytest.fixture(scope="module")
def study() -> ModuleType:
    return load_script("movable")


@pytest.fixture(scope="module")
def model() -> FasterRCNN:
    torch.manual_seed(0)
    return frcnn.build("tiny", classes=["cat", "dog"], backbone="none").eval()


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(1))


def test_the_longest_way_is_straight_towards_the_object(study, model, image, monkeypatch) -> None:
    boxes = torch.tensor([[12.0, 12, 50, 62], [58, 5, 93, 40], [0, 0, 20, 20]])  # the last one is of no object
    monkeypatch.setattr(FasterRCNN, "proposals", lambda *_: [boxes])
    found = torch.stack(list(study.changes(model, image, OBJECTS)))
    assert found.shape == (2, 4)
    assert (found[:, 3] > 0).all()
    assert (found[:, :3] < found[:, 3:]).all()


def test_the_gradients_are_those_of_the_losses(study, model, image) -> None:
    model, image = copy.deepcopy(model).double(), image.double()
    boxes, wanted = torch.tensor([[14.0, 15, 52, 57]], dtype=torch.float64), OBJECTS.boxes[:1].double()
    losses = []
    for move in (-1e-6, 1e-6):  # of the width
        moved = boxes + torch.tensor([move * 38, 0, move * 38, 0], dtype=torch.float64)
        losses.append(loss_of_moved(study, model, image, boxes, moved, wanted))
    of_class, of_box = study.gradients(model, image, boxes, wanted, OBJECTS.class_ids[:1])
    by_differences = (losses[1] - losses[0]) / 2e-6
    analytic = torch.stack((of_class[0, 0], of_box[0, 0]))
    torch.testing.assert_close(analytic, by_differences, rtol=1e-4, atol=1e-8)  # 1e-12 of rounding over 2e-6


def loss_of_moved(study, model: FasterRCNN, image: Tensor, boxes: Tensor, moved: Tensor, wanted: Tensor) -> Tensor:
    """The two losses with the features of `moved` and the targets of `boxes`."""
    config, levels = model.config.head, model.backbone.roi_levels
    with torch.no_grad():
        pyramid = model.backbone(study.preprocess([image], model.config.input).pixels)
        regions = study.pool_regions(pyramid[:levels], model.backbone.strides[:levels], [moved], config)
        targets = study.normalise_deltas(study.encode(boxes, wanted), config)
        return torch.stack(study.head_losses(*model.head(regions), OBJECTS.class_ids[:1], targets, config.box_beta))
