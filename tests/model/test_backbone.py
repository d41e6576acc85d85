import pytest
import torch
import torchvision
from torch import nn
from torch.testing import assert_close

from frcnn.config import BackboneConfig, load_preset, override_sections
from frcnn.model.backbone import LocalResponseNorm, build_body
from frcnn.model.fpn import FPN


def body_of(preset: str, **changes):
    config = override_sections(load_preset(preset).model, {"backbone": changes}).backbone
    return build_body(config)


@pytest.mark.parametrize(("size", "grid"), [((600, 800), (38, 50)), ((800, 800), (50, 50))])
@torch.no_grad()
def test_vgg16_poolings_round_up(size, grid):
    """600x800 gives 38x50; with poolings that round down it would be 37x50."""
    (features,) = body_of("vgg16")(torch.zeros(1, 3, *size))
    assert features.shape == (1, 512, *grid)


def test_vgg16_is_thirteen_convolutions_of_which_four_are_fixed():
    """Row 26: conv1 and conv2 are frozen."""
    convolutions = [layer for layer in body_of("vgg16").modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert [layer.weight.requires_grad for layer in convolutions] == [False] * 4 + [True] * 9


@torch.no_grad()
def test_zf_structure():
    """Structures: 7x7/2, 5x5/2, three 3x3; stride 16; 256 channels; nothing frozen."""
    body = body_of("zf")
    convolutions = [layer for layer in body.modules() if isinstance(layer, nn.Conv2d)]
    assert [(c.kernel_size[0], c.stride[0], c.padding[0], c.out_channels) for c in convolutions] == [
        (7, 2, 3, 96),
        (5, 2, 2, 256),
        (3, 1, 1, 384),
        (3, 1, 1, 384),
        (3, 1, 1, 256),
    ]
    assert body(torch.zeros(1, 3, 160, 224))[0].shape[:2] == (1, 256)
    assert all(parameter.requires_grad for parameter in body.parameters())
    assert body.strides == (16,)


def test_local_response_norm_by_hand():
    """3x3 within the channel, mean of squares (Caffe's WITHIN_CHANNEL), alpha 5e-5, beta .75."""
    features = torch.full((1, 2, 3, 3), 200.0)
    out = LocalResponseNorm()(features)
    assert out[0, 0, 1, 1].item() == pytest.approx(200 / (1 + 5e-5 * 200**2) ** 0.75, rel=1e-6)
    assert out[0, 0, 0, 0].item() == pytest.approx(200 / (1 + 5e-5 * 200**2 * 4 / 9) ** 0.75, rel=1e-6)


@pytest.mark.parametrize(
    ("preset", "strides", "channels"),
    [
        ("resnet18_fpn", (4, 8, 16, 32), (64, 128, 256, 512)),
        ("resnet50_c4", (16,), (1024,)),
        ("mobilenet_v3_large_fpn", (32, 32), (160, 960)),
        ("mobilenet_v2_fpn", (8, 16, 32), (32, 96, 1280)),
        ("mobilenet_v2_c4", (16,), (96,)),
        ("tiny", (8, 16, 32), (64, 96, 128)),
    ],
)
@torch.no_grad()
def test_maps_have_the_strides_and_channels_they_say(preset, strides, channels):
    body = body_of(preset)
    maps = body(torch.zeros(1, 3, 128, 192))
    assert (body.strides, body.channels) == (strides, channels)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (c, 128 // s, 192 // s) for c, s in zip(channels, strides, strict=True)
    ]


@torch.no_grad()
def test_resnet_and_mobilenet_are_torchvision_s():
    torch.manual_seed(0)
    peer = torchvision.models.mobilenet_v2().features.eval()
    body = body_of("mobilenet_v2_fpn", batch_norm="live").eval()
    body.load_state_dict(dict(zip(body.state_dict(), peer.state_dict().values(), strict=False)))
    pixels = torch.rand(1, 3, 96, 64)
    assert_close(body(pixels)[-1], peer(pixels))


@torch.no_grad()
def test_folded_batch_norm_is_the_same_function():
    torch.manual_seed(0)
    frozen = body_of("mobilenet_v2_fpn", batch_norm="frozen")
    folded = body_of("mobilenet_v2_fpn", batch_norm="folded", frozen_stages=0)
    weights = [layer for layer in frozen.modules() if isinstance(layer, nn.Conv2d)]
    twins = [layer for layer in folded.modules() if isinstance(layer, nn.Conv2d)]
    for twin, layer in zip(twins, weights, strict=True):
        twin.weight.copy_(layer.weight / (1 + 1e-5) ** 0.5)
    pixels = torch.rand(1, 3, 64, 64)
    assert_close(folded(pixels)[-1], frozen(pixels)[-1], rtol=1e-3, atol=1e-5)  # 50 layers of rounding
    assert all(parameter.requires_grad for parameter in folded.parameters())


def test_fpn_against_torchvision():
    torch.manual_seed(0)
    ours, peer = (
        FPN((8, 16, 24), 12),
        torchvision.ops.FeaturePyramidNetwork(
            [8, 16, 24], 12, torchvision.ops.feature_pyramid_network.LastLevelMaxPool()
        ),
    )
    ours.load_state_dict(dict(zip(ours.state_dict(), peer.state_dict().values(), strict=True)))
    maps = [torch.randn(2, 8, 21, 30), torch.randn(2, 16, 11, 15), torch.randn(2, 24, 6, 8)]
    wanted = peer({str(level): features for level, features in enumerate(maps)})
    for mine, theirs in zip(ours(maps), wanted.values(), strict=True):
        assert_close(mine, theirs)


def test_a_stage_nobody_reads_is_not_built():
    config = BackboneConfig(body="resnet18", taps=(1,), neck="none", frozen_stages=0, batch_norm="live")
    assert len(build_body(config).stages) == 2


@pytest.mark.parametrize(("size", "grid"), [((600, 800), (39, 51)), ((600, 1000), (39, 64))])
def test_zf_poolings_round_up(size, grid):
    """Structures: 600 px become 300, 151, 76 and 39 cells, as in Caffe."""
    with torch.device("meta"):
        (features,) = body_of("zf")(torch.zeros(1, 3, *size))
    assert features.shape == (1, 256, *grid)


def test_zf_layers_stand_in_caffe_s_order():
    """Structures: convolution, ReLU, LRN, max 3x3/2 pad 1; then convolution and ReLU alone."""
    stages = [list(stage.children()) for stage in body_of("zf").stages]
    for stage in stages[:2]:
        assert [type(layer) for layer in stage] == [nn.Conv2d, nn.ReLU, LocalResponseNorm, nn.MaxPool2d]
        assert (stage[3].kernel_size, stage[3].stride, stage[3].padding) == (3, 2, 1)
    assert [[type(layer) for layer in stage] for stage in stages[2:]] == [[nn.Conv2d, nn.ReLU]] * 3


@pytest.mark.parametrize("preset", ["vgg16", "zf"])
def test_convolutions_begin_as_he_has_them(preset):
    """Structures: without ImageNet weights, He normal; biases 0."""
    torch.manual_seed(0)
    for layer in body_of(preset).modules():
        if isinstance(layer, nn.Conv2d):
            inputs = layer.in_channels * layer.kernel_size[0] ** 2
            assert float(layer.weight.detach().std()) == pytest.approx((2 / inputs) ** 0.5, rel=0.1)
            assert layer.bias is not None
            assert not layer.bias.any()


def test_vgg16_reads_conv5_3_at_stride_16():
    """Structures: the 13 convolutions to conv5_3 and its ReLU, four poolings."""
    body = body_of("vgg16")
    layers = [layer for layer in body.modules() if isinstance(layer, nn.MaxPool2d)]
    assert [(layer.kernel_size, layer.stride, layer.ceil_mode) for layer in layers] == [(2, 2, True)] * 4
    assert isinstance(list(body.stages[-1].children())[-1], nn.ReLU)
    assert (body.strides, body.channels) == ((16,), (512,))
