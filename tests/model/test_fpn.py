import pytest
import torch
from torch import nn
from torch.testing import assert_close

from frcnn.config import load_preset
from frcnn.model.fpn import FPN, FeaturePyramid, group_norm
from frcnn.model.zoo import build_from_config


def test_the_paths_by_hand():
    """Laterals of 1 and output kernels that copy: each level is its own map plus what comes from above."""
    pyramid = FPN((1, 1), 1)
    with torch.no_grad():
        for layer in pyramid.laterals:
            layer[0].weight.fill_(1.0)
        for layer in pyramid.outputs:
            layer[0].weight.zero_()
            layer[0].weight[0, 0, 1, 1] = 1.0
        fine, coarse = torch.arange(16.0).view(1, 1, 4, 4), torch.tensor([[10.0, 20.0], [30.0, 40.0]])[None, None]
        first, second, third = pyramid([fine, coarse])
    above = torch.tensor([[10.0, 10, 20, 20]] * 2 + [[30.0, 30, 40, 40]] * 2)
    assert torch.equal(first[0, 0], fine[0, 0] + above)
    assert torch.equal(second, coarse)
    assert torch.equal(third[0, 0], torch.tensor([[10.0]]))  # every other cell of the coarsest


def test_maps_of_odd_sizes_meet():
    """A 5-cell map above a 3-cell one: the coarse cells are spread over what is there."""
    maps = FPN((2, 3), 4)([torch.randn(1, 2, 5, 7), torch.randn(1, 3, 3, 4)])
    assert [tuple(m.shape) for m in maps] == [(1, 4, 5, 7), (1, 4, 3, 4), (1, 4, 2, 2)]


@pytest.mark.parametrize(("norm", "kind"), [("none", None), ("batch", nn.BatchNorm2d), ("group", nn.GroupNorm)])
def test_the_norm_follows_each_convolution(norm, kind):
    layers = [*(pyramid := FPN((4, 8), 16, norm)).laterals, *pyramid.outputs]
    assert all((type(layer[-1]) is kind) if kind else len(layer) == 1 for layer in layers)
    assert all((layer[0].bias is None) == (kind is not None) for layer in layers)


def test_group_norm_takes_a_picture_by_itself():
    """Row 26's small batches: what comes out for one picture depends on no other, in training as in use."""
    pyramid = FPN((4,), 16, "group").train()
    one, other = torch.randn(1, 4, 6, 6), 100 * torch.randn(1, 4, 6, 6)
    alone, beside = pyramid([one])[0], pyramid([torch.cat((one, other))])[0][:1]
    assert_close(alone, beside, atol=1e-5, rtol=1e-5)  # float32 sums in another order


@pytest.mark.parametrize(("channels", "groups"), [(128, 16), (64, 8), (20, 2), (7, 1), (1, 1)])
def test_groups_hold_eight_channels_where_they_divide(channels, groups):
    assert group_norm(channels).num_groups == groups


def test_the_pyramid_tells_its_strides_and_how_many_serve_pooling():
    backbone = build_from_config(load_preset("mobilenet_v2_fpn").model, ("cat",)).backbone
    assert isinstance(backbone, FeaturePyramid)
    assert (backbone.strides, backbone.roi_levels, backbone.channels) == ((8, 16, 32, 64), 3, 128)
    sizes = [tuple(m.shape[1:]) for m in backbone(torch.zeros(1, 3, 64, 128))]
    assert sizes == [(128, 8, 16), (128, 4, 8), (128, 2, 4), (128, 1, 2)]
