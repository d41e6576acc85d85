"""By law: convolutions that took over what follows them compute the same."""

import pytest
import torch
from torch import nn

from frcnn.config import load_preset
from frcnn.model.fold import fold_batch_norm
from frcnn.model.fuse import FusedConvolution, FusedResidual, fuse_activations
from frcnn.model.zoo import build_from_config

PRESETS = [
    pytest.param("tiny", 8, id="tiny"),  # the five of the stages, and the first of each of three residual blocks
    pytest.param("mobilenet_v2_fpn", 35, id="mobilenet_v2_fpn"),  # 17 blocks of two, less one, and two at the ends
    pytest.param("resnet18_fpn", 17, id="resnet18_fpn"),  # the stem and eight blocks of two
    pytest.param("mobilenet_v3_large_fpn", 31, id="mobilenet_v3_large_fpn", marks=pytest.mark.slow),
    pytest.param("vgg16", 13, id="vgg16", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("preset", "count"), PRESETS)
@torch.no_grad()
def test_a_fused_network_computes_the_same(preset, count):
    torch.manual_seed(3)
    model = build_from_config(load_preset(preset).model, ["a", "b"]).eval()
    fold_batch_norm(model)
    pixels = torch.rand(2, 3, 97, 130).to(memory_format=torch.channels_last)
    before = model.backbone(pixels)
    fuse_activations(model)
    assert sum(isinstance(layer, FusedConvolution) for layer in model.modules()) == count
    for ours, theirs in zip(model.backbone(pixels), before, strict=True):
        # float32: a sum is added before the result is rounded, and some fifty layers carry that on.
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="oneDNN has no bfloat16 here")
@torch.no_grad()
def test_bfloat16_comes_in_as_any_number():
    """Autocast, which would cast what a convolution reads, knows nothing of what follows it."""
    chain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU6())
    chain[0].to(torch.bfloat16)
    pixels = 9 * torch.randn(1, 3, 8, 8)
    plain = chain(pixels.bfloat16())
    fuse_activations(chain)
    assert torch.equal(chain(pixels), plain)
    assert float(plain.max()) == 6.0


@torch.no_grad()
def test_a_residual_block_keeps_what_it_was_given():
    """The features may be handed on as well: the sum is not written over them."""
    block = nn.Sequential(_block())
    fold_batch_norm(block)
    features = torch.randn(1, 8, 5, 5)
    given = features.clone()
    plain = block(features)
    fuse_activations(block)
    assert isinstance(block[0], FusedResidual)
    torch.testing.assert_close(block(features), plain)  # one sum, rounded once instead of twice
    assert torch.equal(features, given)


def _block() -> nn.Module:
    from torchvision.models.resnet import BasicBlock

    return BasicBlock(8, 8).eval()


def test_what_does_not_follow_a_convolution_stays():
    chain = nn.Sequential(nn.Conv2d(2, 2, 1), nn.MaxPool2d(2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU())
    fuse_activations(chain)
    assert [type(layer) for layer in chain] == [nn.Conv2d, nn.MaxPool2d, nn.ReLU, nn.Linear, nn.ReLU]


@torch.no_grad()
def test_what_onednn_does_not_compute_with_stays():
    """float64, which a user's model may have, and padding that is not of zeros."""
    double = nn.Sequential(_block().double(), nn.Conv2d(8, 2, 1).double(), nn.ReLU())
    mirrored = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), nn.ReLU())
    for chain in (double, mirrored):
        before = [type(layer) for layer in chain]
        fuse_activations(chain)
        assert [type(layer) for layer in chain] == before


def test_bfloat16_stays_where_the_processor_has_none(monkeypatch):
    """oneDNN would raise on such a processor, where torch's own convolution runs."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    low, full = (nn.Sequential(nn.Conv2d(2, 2, 1).to(number), nn.ReLU()) for number in (torch.bfloat16, torch.float32))
    for chain in (low, full):
        fuse_activations(chain)
    assert [type(layer) for layer in low] == [nn.Conv2d, nn.ReLU]
    assert [type(layer) for layer in full] == [FusedConvolution, nn.Identity]


def test_without_onednn_nothing_changes(monkeypatch):
    chain = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU())
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    fuse_activations(chain)
    assert [type(layer) for layer in chain] == [nn.Conv2d, nn.ReLU]
