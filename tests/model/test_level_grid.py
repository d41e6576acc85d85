"""How many cells a map has, against the maps of the network itself."""

import pytest
import torch

from frcnn.config import load_preset, override_sections
from frcnn.errors import ConfigError
from frcnn.model.backbone import BODIES
from frcnn.model.level_grid import LevelGrid, level_grids
from frcnn.model.zoo import build_from_config

TINY = load_preset("tiny").model


def all_stages(body: str, **backbone) -> dict:
    settings = {"body": body, "taps": (0, 1, 2, 3, 4), "neck": "none", "batch_norm": "folded", "frozen_stages": 0}
    return {"backbone": settings | backbone, "anchors": {"sizes": [(32.0,)] * 5}}


def maps_of(config, *sizes: tuple[int, int]) -> list[list[tuple[int, int]]]:
    """By oracle: the shapes of what the network makes of pictures of these sizes."""
    with torch.device("meta"):
        backbone = build_from_config(config, ["cat"]).backbone
        return [[tuple(features.shape[2:]) for features in backbone(torch.empty(1, 3, *size))] for size in sizes]


def maps_by_rule(config, *sizes: tuple[int, int]) -> list[list[tuple[int, int]]]:
    grids = level_grids(config)
    return [[tuple(grid.cells(torch.tensor(size)).tolist()) for grid in grids] for size in sizes]


def test_by_hand():
    """VGG's four poolings round up. ZF's begin one pixel outside: 16 cells of 16 px, and one more from 247 px on."""
    assert level_grids(load_preset("vgg16").model) == [LevelGrid(16, 15)]
    assert level_grids(load_preset("zf").model) == [LevelGrid(16, 25)]
    assert LevelGrid(16, 15).cells(torch.tensor([[16, 17], [600, 1]])).tolist() == [[1, 2], [38, 1]]
    assert LevelGrid(16, 25).cells(torch.tensor([246, 247])).tolist() == [16, 17]


@pytest.mark.parametrize("body", BODIES)
def test_every_body(body):
    """Heights and widths do not depend on each other, whatever their residues."""
    config = override_sections(TINY, all_stages(body))
    sizes = ((1, 127), (97, 34), (230, 353))
    assert maps_by_rule(config, *sizes) == maps_of(config, *sizes)


@pytest.mark.parametrize("body", ["vgg16", "zf", "resnet18"])
def test_every_extent(body):
    config = override_sections(TINY, all_stages(body))
    sizes = [(extent, 100 - extent) for extent in range(1, 100)]
    assert maps_by_rule(config, *sizes) == maps_of(config, *sizes)


def test_the_coarsest_level_of_a_pyramid_and_other_padding():
    settings = {"body": "mobilenet_v2", "neck": "fpn", "taps": (2, 4), "stride_padding": "bottom_right"}
    config = override_sections(TINY, {"backbone": settings, "anchors": {"sizes": [(8.0,), (32.0,), (64.0,)]}})
    sizes = ((65, 64), (128, 129))
    assert maps_by_rule(config, *sizes) == maps_of(config, *sizes)


def test_nothing_is_drawn():
    """Training draws the same numbers whether or not it was asked."""
    before = torch.get_rng_state()
    level_grids(TINY)
    assert torch.equal(torch.get_rng_state(), before)


def test_rooms_that_do_not_fit():
    with pytest.raises(ConfigError, match=r"model\.anchors\.sizes has 1 levels"):
        level_grids(override_sections(TINY, {"anchors": {"sizes": [(32.0,)]}}))
