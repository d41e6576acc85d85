import pytest

from frcnn.catalogue import describe_presets
from frcnn.config import preset_names


@pytest.fixture(scope="module")
def presets():
    return {line.name: line for line in describe_presets()}


def test_every_preset_has_its_line(presets):
    assert tuple(presets) == preset_names()
    assert all(line.summary and line.parameters > 0 and line.gflop > 0 for line in presets.values())


def test_published_averages_are_those_of_the_weights(presets):
    published = {name: line.coco_ap for name, line in presets.items() if line.coco_ap is not None}
    assert published == {
        "resnet50_fpn": 0.37,
        "resnet50_fpn_v2": 0.467,
        "mobilenet_v3_large_fpn": 0.328,
        "mobilenet_v3_large_320_fpn": 0.228,
    }


def test_parameters_and_arithmetic_by_hand(presets):
    # VGG-16 to conv5_3 14,714,688; RPN 512 -> 512 (3x3) 2,359,808, 18 + 36 outputs 27,702;
    # fc6 25088 -> 4096 102,764,544; fc7 16,781,312; 21 scores 86,037; 80 deltas 327,760
    assert presets["vgg16"].parameters == 137_061_851
    # the same picture in torchvision's resnet50_fpn is 355 GFLOP: backbone and FPN 240, RPN 86, head 29
    assert presets["resnet50_fpn"].gflop == pytest.approx(355, rel=0.01)
