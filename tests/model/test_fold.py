"""By law: what is folded computes the same, with no batch norm left."""

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from frcnn.config import load_preset
from frcnn.model.fold import fold_batch_norm
from frcnn.model.zoo import build_from_config

PRESETS = [
    pytest.param("tiny", id="tiny"),
    pytest.param("mobilenet_v2_fpn", id="mobilenet_v2_fpn"),
    pytest.param("resnet18_fpn", id="resnet18_fpn"),
    pytest.param("resnet50_fpn_v2", id="resnet50_fpn_v2", marks=pytest.mark.slow),  # batch norm in FPN and head too
    pytest.param("resnet50_c4", id="resnet50_c4", marks=pytest.mark.slow),  # res5 in the head
    pytest.param("mobilenet_v3_large_320_fpn", id="mobilenet_v3_large_320_fpn", marks=pytest.mark.slow),
]


def draw_batch_norm(model: nn.Module, seed: int) -> None:
    """Statistics and factors that are not the defaults, so that leaving any of them out shows."""
    generator = torch.Generator().manual_seed(seed)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d | FrozenBatchNorm2d):
            tensors = dict(norm.named_buffers()) | dict(norm.named_parameters())
            for name, low in (("running_mean", -0.5), ("running_var", 0.5), ("weight", 0.5), ("bias", -0.5)):
                values = torch.rand(tensors[name].shape, generator=generator) + low
                tensors[name].detach().copy_(values)


@pytest.mark.parametrize("preset", PRESETS)
@torch.no_grad()
def test_a_folded_network_computes_the_same(preset):
    torch.manual_seed(3)
    config = load_preset(preset).model
    model = build_from_config(config, ["a", "b"]).double().eval()
    draw_batch_norm(model, seed=4)
    pixels = torch.rand(1, 3, 96, 128, dtype=torch.float64)
    regions = torch.rand(2, model.backbone.channels, config.head.pool_size, config.head.pool_size, dtype=torch.float64)
    before = [*model.backbone(pixels), *model.head(regions)]

    fold_batch_norm(model)

    assert not [m for m in model.modules() if isinstance(m, nn.BatchNorm2d | FrozenBatchNorm2d)]
    after = [*model.backbone(pixels), *model.head(regions)]
    for ours, theirs in zip(after, before, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-7 * float(theirs.abs().max()))


def test_by_hand():
    norm = nn.BatchNorm2d(1, eps=0.0)
    norm.running_mean, norm.running_var = torch.tensor([3.0]), torch.tensor([4.0])
    norm.weight.data, norm.bias.data = torch.tensor([6.0]), torch.tensor([1.0])
    convolution = nn.Conv2d(1, 1, 1)
    convolution.weight.data.fill_(5.0)
    convolution.bias.data.fill_(2.0)
    model = nn.Sequential(convolution, norm).eval()
    fold_batch_norm(model)
    # (5 x + 2 - 3) / 2 * 6 + 1 = 15 x - 2
    assert convolution.weight.item() == 15.0
    assert convolution.bias.item() == -2.0


def test_a_convolution_that_no_batch_norm_follows_stays():
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.BatchNorm2d(2))
    before = model[0].weight.clone()
    fold_batch_norm(model)
    assert torch.equal(model[0].weight, before)
    assert isinstance(model[2], nn.BatchNorm2d)
