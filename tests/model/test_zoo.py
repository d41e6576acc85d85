"""The networks as the paper and the published definitions have them; built without memory for their weights."""

from functools import cache

import pytest
import torch
from torch import nn

from frcnn.config import load_preset
from frcnn.model.detector import FasterRCNN
from frcnn.model.zoo import build_from_config


@cache
def network(preset: str) -> FasterRCNN:
    """For three classes; shapes alone, no numbers."""
    with torch.device("meta"):
        return build_from_config(load_preset(preset).model, ("a", "b", "c"))


def linear_layers(preset: str) -> list[tuple[int, int]]:
    hidden = network(preset).head.hidden
    return [(layer.in_features, layer.out_features) for layer in hidden.modules() if isinstance(layer, nn.Linear)]


def rpn_channels(preset: str) -> list[tuple[int, int]]:
    return [(layer.in_channels, layer.out_channels) for layer in network(preset).rpn.convolutions]  # pyright: ignore[reportReturnType]


def test_vgg16() -> None:
    """Structures: stride 16, 512 channels, RPN of 512, RoIPool 7x7, fc6 and fc7 of 4096."""
    model = network("vgg16")
    assert (model.backbone.strides, model.backbone.channels) == ((16,), 512)
    assert rpn_channels("vgg16") == [(512, 512)]
    assert (model.config.head.pooling, model.config.head.pool_size) == ("roi_pool", 7)
    assert linear_layers("vgg16") == [(512 * 7 * 7, 4096), (4096, 4096)]


def test_zf() -> None:
    """Structures: stride 16, 256 channels, RPN of 256, RoIPool 6x6, fc6 and fc7 of 4096."""
    model = network("zf")
    assert (model.backbone.strides, model.backbone.channels) == ((16,), 256)
    assert rpn_channels("zf") == [(256, 256)]
    assert (model.config.head.pooling, model.config.head.pool_size) == ("roi_pool", 6)
    assert linear_layers("zf") == [(256 * 6 * 6, 4096), (4096, 4096)]


@pytest.mark.parametrize("preset", ["vgg16", "zf"])
def test_nine_anchors_of_two_logits(preset: str) -> None:
    """Rows 15 and 16: nine anchors a cell, background and object for each, four deltas."""
    rpn = network(preset).rpn
    assert (rpn.objectness.out_channels, rpn.deltas.out_channels) == (18, 36)


@pytest.mark.parametrize("preset", ["resnet50_c4", "resnet101_c4"])
def test_resnet_c4(preset: str) -> None:
    """Structures: conv1 to res4, 1024 channels, RPN of 1024, RoIAlign 14x14, res5 for each region, the average."""
    model = network(preset)
    assert (len(model.backbone.body.stages), model.backbone.strides, model.backbone.channels) == (4, (16,), 1024)
    assert rpn_channels(preset) == [(1024, 1024)]
    assert (model.config.head.pooling, model.config.head.pool_size) == ("roi_align", 14)
    res5, average, _ = model.head.hidden.children()
    assert len(list(res5.children())) == 3
    with torch.device("meta"):
        regions = torch.zeros(2, 1024, 14, 14)
        assert res5(regions).shape == (2, 2048, 7, 7)
        assert average(res5(regions)).shape == (2, 2048, 1, 1)
        assert model.head.hidden(regions).shape == (2, 2048)


@pytest.mark.parametrize("preset", ["mobilenet_v3_large_fpn", "mobilenet_v3_large_320_fpn"])
def test_torchvision_s_mobilenet(preset: str) -> None:
    """Structures: two levels at stride 32, a pooled third at 64, which RoIAlign does not read; 15 anchors a cell."""
    model = network(preset)
    assert (model.backbone.strides, model.backbone.roi_levels) == ((32, 32, 64), 2)
    assert model.rpn.objectness.out_channels == 15
    assert rpn_channels(preset) == [(256, 256)]
    assert linear_layers(preset) == [(256 * 7 * 7, 1024), (1024, 1024)]


def test_torchvision_s_resnet() -> None:
    """Structures: five levels of 256 channels, of which RoIAlign reads four; 3 anchors a cell; two layers of 1024."""
    model = network("resnet50_fpn")
    assert (model.backbone.strides, model.backbone.roi_levels) == ((4, 8, 16, 32, 64), 4)
    assert model.rpn.objectness.out_channels == 3
    assert rpn_channels("resnet50_fpn") == [(256, 256)]
    assert linear_layers("resnet50_fpn") == [(256 * 7 * 7, 1024), (1024, 1024)]


def test_torchvision_s_second_resnet() -> None:
    """Row 26: live batch norm everywhere, two RPN convolutions, a head of 4 convolutions and 1 layer."""
    model = network("resnet50_fpn_v2")

    def live(part: nn.Module) -> int:
        return sum(isinstance(layer, nn.BatchNorm2d) for layer in part.modules())

    assert model.backbone.fpn is not None
    assert (live(model.backbone.body), live(model.backbone.fpn), live(model.head)) == (53, 8, 4)
    assert rpn_channels("resnet50_fpn_v2") == [(256, 256), (256, 256)]
    assert sum(isinstance(layer, nn.Conv2d) for layer in model.head.hidden.modules()) == 4
    assert linear_layers("resnet50_fpn_v2") == [(256 * 7 * 7, 1024)]


def test_our_pyramid() -> None:
    """Structures: strides 8, 16, 32 and 64, 128 channels."""
    model = network("mobilenet_v2_fpn")
    assert (model.backbone.strides, model.backbone.channels) == ((8, 16, 32, 64), 128)
    assert rpn_channels("mobilenet_v2_fpn") == [(128, 128)]


def test_our_single_level() -> None:
    """Structures: stride 16, 96 channels, RoIAlign 7x7, two layers of 1024."""
    model = network("mobilenet_v2_c4")
    assert (model.backbone.strides, model.backbone.channels) == ((16,), 96)
    assert (model.config.head.pooling, model.config.head.pool_size) == ("roi_align", 7)
    assert linear_layers("mobilenet_v2_c4") == [(96 * 7 * 7, 1024), (1024, 1024)]


@pytest.mark.parametrize("preset", ["vgg16", "zf", "resnet50_fpn", "mobilenet_v3_large_fpn", "mobilenet_v2_c4"])
def test_boxes_are_per_class_and_the_background_has_none(preset: str) -> None:
    """Row 26: four deltas for each class; one class more to choose among."""
    head = network(preset).head
    assert (head.classes.out_features, head.deltas.out_features) == (3 + 1, 3 * 4)
