"""The nearest anchor of each kind, against all anchors."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from frcnn.config import ModelConfig, load_preset, override_sections
from frcnn.model.best_overlaps import AT_ONCE, best_overlaps
from frcnn.model.level_grid import level_grids
from frcnn.model.rpn import anchors_of, trainable_anchors
from frcnn.model.zoo import build_from_config
from frcnn.ops.boxes import box_iou

PAPER, MODERN, TINY, MOBILE = (
    load_preset(name).model for name in ("vgg16", "resnet50_fpn", "tiny", "mobilenet_v2_fpn")
)
SIZES = ((321, 214), (97, 403), (250, 250), (40, 30))  # (height, width); the last is smaller than most anchors


def changed(config: ModelConfig, **sections: dict) -> ModelConfig:
    return override_sections(config, sections)


CONFIGS = {
    "vgg16": PAPER,
    "small and inside": changed(PAPER, anchors={"sizes": [(20, 45)], "ratios": (0.3, 1, 2.5)}),
    "py-faster-rcnn": changed(
        PAPER, anchors={"sizes": [(24, 48, 112)], "rounding": "py-faster-rcnn", "centred": False}
    ),
    "zf": load_preset("zf").model,
    "inside, measured": changed(
        load_preset("zf").model, anchors={"sizes": [(30, 70)], "stride": "measured", "rounding": "torchvision"}
    ),
    "with gaps": changed(load_preset("zf").model, anchors={"sizes": [(4, 7)]}, rpn={"cross_border_anchors": True}),
    "resnet50_fpn": MODERN,
    "uneven rounding": changed(MODERN, anchors={"sizes": [(5,), (9,), (33,), (65,), (129,)], "ratios": (0.37, 1.9)}),
    "clear of padding": changed(MODERN, rpn={"anchors_over_padding": False}),
    "padded, inside": changed(MODERN, rpn={"cross_border_anchors": False}, anchors={"centred": True}),
    "tiny": TINY,
    "mobilenet_v2_fpn": changed(MOBILE, anchors={"centred": False}),
}


def random_boxes(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Within the picture: small and large, thin and wide, at its border and away from it."""
    limit = torch.tensor([size[1], size[0]])
    sides = limit * torch.rand(count, 2, generator=generator) ** 2 + 0.1
    start = (limit - sides) * (1.4 * torch.rand(count, 2, generator=generator) - 0.2).clamp(0, 1)
    return torch.cat((start, start + sides), dim=1).clamp(min=0).minimum(limit.repeat(2))


def by_all_anchors(boxes: Tensor, size: tuple[int, int], config: ModelConfig) -> Tensor:
    """By oracle: a table of all objects and all anchors on the maps that the network makes."""
    height, width = (-(-side // 32) * 32 for side in size) if config.input.padding == "torchvision" else size
    with torch.device("meta"):
        backbone = build_from_config(changed(config, backbone={"batch_norm": "folded"}), ["cat"]).backbone
        maps = backbone(torch.empty(1, 3, height, width))
    pyramid = [torch.empty(1, 1, *features.shape[2:]) for features in maps]
    anchors = anchors_of(pyramid, (height, width), backbone.strides, config.anchors)
    overlap = box_iou(boxes, anchors[trainable_anchors(anchors, size, (height, width), config.rpn)])
    return torch.cat((overlap, torch.zeros(len(boxes), 1)), dim=1).amax(dim=1)


def best(boxes: Tensor, config: ModelConfig, size: tuple[int, int]) -> Tensor:
    return best_overlaps(boxes, torch.tensor([size]).expand(len(boxes), 2), level_grids(config), config)


@pytest.mark.parametrize("name", CONFIGS)
def test_like_all_anchors(name):
    """Objects of pictures of several sizes together, in one call."""
    generator = torch.Generator().manual_seed(3)
    config = CONFIGS[name]
    boxes = [random_boxes(150, size, generator) for size in SIZES]
    sizes = torch.tensor(SIZES).repeat_interleave(150, dim=0)
    wanted = torch.cat([by_all_anchors(b, size, config) for b, size in zip(boxes, SIZES, strict=True)])
    assert len(wanted.unique()) > 100
    found = best_overlaps(torch.cat(boxes), sizes, level_grids(config), config)
    # the nearest of two anchors that are equally near is left to rounding: 3e-5 px of a coordinate, of sides above 4 px
    assert_close(found, wanted, rtol=0, atol=1e-5)


def test_some_are_reached_by_no_anchor():
    """That the comparison above covers an IoU of 0, for each of its reasons."""
    generator = torch.Generator().manual_seed(3)
    for name in ("vgg16", "small and inside", "with gaps"):
        assert (best(random_boxes(400, (97, 403), generator), CONFIGS[name], (97, 403)) == 0).any(), name


def test_by_hand():
    """Anchors of 32 px about 8, 24, 40, ... px: (8, 24, 40, 56) is that about (24, 40); about 8, none trains."""
    config = changed(PAPER, anchors={"sizes": [(32,)], "ratios": (1,)})
    boxes = torch.tensor([[8.0, 24, 40, 56], [8, 24, 24, 56], [10, 24, 42, 56], [0, 0, 8, 8], [0, 0, 9, 10]])
    wanted = torch.tensor([1, 0.5, 30 / 34, 0, 2 / (90 + 1024 - 2)])
    assert_close(best(boxes, config, (64, 96)), wanted)


def test_anchors_across_the_border():
    """The same corner, where they train: the anchor (-8, -8, 24, 24) holds the object."""
    config = changed(PAPER, anchors={"sizes": [(32,)], "ratios": (1,)}, rpn={"cross_border_anchors": True})
    assert_close(best(torch.tensor([[0.0, 0, 8, 8]]), config, (64, 96)), torch.tensor([64 / 1024]))


@pytest.mark.parametrize("size", [(1, 1), (20, 900), (127, 127)])
def test_a_picture_that_holds_no_anchor(size):
    config = changed(PAPER, anchors={"ratios": (1,)})
    height, width = size
    assert best(torch.tensor([[0.0, 0, width, height]]), config, size).tolist() == [0]
    across = changed(config, rpn={"cross_border_anchors": True})
    assert best(torch.tensor([[0.0, 0, width, height]]), across, size).item() > 0


def test_a_thin_object():
    """The 2 px line lies within an anchor of 32 px wholly: 64 of 1024 px."""
    config = changed(PAPER, anchors={"sizes": [(32,)], "ratios": (1,)})
    assert_close(best(torch.tensor([[24.0, 24, 56, 26]]), config, (96, 96)), torch.tensor([64 / 1024]))


def test_no_objects():
    assert best(torch.zeros(0, 4), TINY, (64, 96)).shape == (0,)


def test_more_objects_than_are_taken_at_once():
    """By law: each object is for itself."""
    generator = torch.Generator().manual_seed(5)
    count = AT_ONCE + 3
    boxes, sizes = (
        random_boxes(count, (40, 30), generator),
        torch.tensor([[40, 30], [97, 403]]).repeat(count, 1)[:count],
    )
    whole = best_overlaps(boxes, sizes, level_grids(TINY), TINY)
    last = best_overlaps(boxes[-5:], sizes[-5:], level_grids(TINY), TINY)
    assert whole.shape == (count,)
    assert_close(whole[-5:], last, rtol=0, atol=0)


def test_half_precision_is_raised():
    boxes = torch.tensor([[8.0, 24, 40, 56]])
    assert best(boxes.half(), TINY, (64, 96)).dtype == torch.float32
    assert best(boxes.double(), TINY, (64, 96)).dtype == torch.float64
