import pytest
import torch
from torch import nn
from torch.testing import assert_close

from frcnn.config import load_preset
from frcnn.model.backbone import build_body
from frcnn.model.strided import BottomRightConv2d, StridedConv2d, replace_strided


@pytest.mark.parametrize(("side", "cells"), [(6, 3), (7, 4)])
def test_bottom_right_padding_begins_every_window_at_an_even_pixel(side, cells):
    """Sides are padded after the end alone, odd ones by two."""
    layer = BottomRightConv2d(1, 1, 3, stride=2, bias=False)
    nn.init.zeros_(layer.weight)
    layer.weight.data[0, 0, 0, 0] = 1  # reads the cell where each window begins
    ramp = torch.arange(1.0, side + 1).expand(1, 1, side, side)
    out = layer(ramp)
    assert out.shape[-1] == cells
    assert out[0, 0, -1].tolist() == ([1.0, 3.0, 5.0] if side == 6 else [1.0, 3.0, 5.0, 7.0])


@pytest.mark.parametrize("stride_padding", ["symmetric", "bottom_right"])
def test_what_is_seen_at_a_place_does_not_hang_on_the_picture_s_size(stride_padding):
    """Else boxes would move with it: a network that learns on sides of 32 n would miss on others by half a stride."""
    torch.manual_seed(0)
    settings = load_preset("mobilenet_v2_fpn").model.backbone.model_copy(update={"stride_padding": stride_padding})
    body = build_body(settings).eval()
    picture = torch.randn(1, 3, 320, 448)
    with torch.no_grad():
        whole, cut = body(picture), body(picture[:, :, :299, :426])
    for stride, of_whole, of_cut in zip(body.strides, whole, cut, strict=True):
        rows, columns = (side // stride - 128 // stride - 1 for side in (299, 426))  # clear of the cut's edge
        assert rows > 0
        assert_close(of_cut[:, :, :rows, :columns], of_whole[:, :, :rows, :columns], rtol=1e-4, atol=1e-4)


def gradients(layer, precision):
    """Of a sum of squares: those of the picture and of the weights, in bfloat16 by autocast or as they are."""
    pixels = torch.linspace(-1, 1, 8 * 9 * 11).sin().reshape(1, 8, 9, 11).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        features = layer(pixels)
    loss = features.float().square().sum()
    return features.dtype, torch.autograd.grad(loss, (pixels, layer.weight))


@pytest.mark.parametrize("groups", [8, 1])
def test_only_a_depthwise_gradient_is_of_float32(groups):
    """What is handed on is bfloat16 either way; a plain layer's gradient is rounded to it, a depthwise one's not."""
    torch.manual_seed(0)
    layer = StridedConv2d(8, 8, 3, stride=2, padding=1, groups=groups)
    handed_on, (_, of_weights) = gradients(layer, "bfloat16")
    assert handed_on == torch.bfloat16
    assert bool((of_weights == of_weights.bfloat16()).all()) == (groups == 1)
    for rounded, exact in zip(gradients(layer, "bfloat16")[1], gradients(layer, "float32")[1], strict=True):
        assert_close(rounded, exact, rtol=0.02, atol=0.05)  # bfloat16 keeps 8 bits


def test_a_strided_layer_computes_what_it_took_the_place_of():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(4, 4, 5, stride=2, padding=2, groups=4), nn.Conv2d(4, 6, 3, padding=1))
    pixels = torch.randn(1, 4, 9, 10)
    wanted, drawn = plain(pixels), torch.get_rng_state()
    replace_strided(plain)
    assert [type(layer) for layer in plain] == [StridedConv2d, nn.Conv2d]
    assert_close(plain(pixels), wanted, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), drawn)  # nothing drawn: the layers after it keep their first weights


def test_the_mobilenets_have_them():
    for preset, strided in (("mobilenet_v2_fpn", 5), ("mobilenet_v3_large_fpn", 5)):
        body = build_body(load_preset(preset).model.backbone)
        layers = [layer for layer in body.modules() if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2)]
        assert [type(layer) for layer in layers] == [StridedConv2d] * strided
        assert all(not layer.weight.is_meta for layer in layers)
