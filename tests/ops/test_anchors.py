import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from frcnn.ops.anchors import cell_anchors, grid_anchors
from frcnn.ops.boxes import is_inside

PAPER_SIZES, RATIOS = (128, 256, 512), (0.5, 1.0, 2.0)


def test_the_nine_anchors_by_hand():
    """Row 15: areas 128^2, 256^2, 512^2 at heights of half, once and twice the width."""
    anchors = cell_anchors(PAPER_SIZES, RATIOS)
    sides = (anchors[:, 2:] - anchors[:, :2]).tolist()
    expected = [
        (181.0193, 90.5097),
        (362.0387, 181.0193),
        (724.0773, 362.0387),
        (128.0, 128.0),
        (256.0, 256.0),
        (512.0, 512.0),
        (90.5097, 181.0193),
        (181.0193, 362.0387),
        (362.0387, 724.0773),
    ]
    for side, wanted in zip(sides, expected, strict=True):
        assert side == pytest.approx(wanted, abs=1e-3)  # four decimals are written above
    assert_close(anchors[:, :2], -anchors[:, 2:])


def test_py_faster_rcnn_s_nine_anchors_by_hand():
    """Row 15: 184 x 96, 128 x 128, 88 x 176 times 1, 2, 4."""
    anchors = cell_anchors(PAPER_SIZES, RATIOS, rounding="py-faster-rcnn")
    expected = [(w * k, h * k) for w, h in ((184, 96), (128, 128), (88, 176)) for k in (1, 2, 4)]
    assert [tuple(side) for side in (anchors[:, 2:] - anchors[:, :2]).tolist()] == expected


@pytest.mark.parametrize(
    ("picture", "grid", "rounding", "total", "inside"),
    [
        ((600, 800), (38, 50), "none", 17_100, 5_834),
        ((800, 800), (50, 50), "none", 22_500, 8_940),
        ((600, 800), (38, 50), "py-faster-rcnn", 17_100, 5_944),
    ],
)
def test_counts_of_the_paper(picture, grid, rounding, total, inside):
    """Row 15."""
    anchors = grid_anchors(cell_anchors(PAPER_SIZES, RATIOS, rounding), grid, stride=16, offset=8.0)
    assert len(anchors) == total
    assert int(is_inside(anchors, picture).sum()) == inside


@pytest.mark.parametrize("size", [(80, 112), (90, 101)])
def test_against_torchvision(size):
    """Row 15, modern: rounded cells at the corners, stride = input size // map size on each axis."""
    grid = (5, 7)
    generator = AnchorGenerator(((32, 64),), (RATIOS,))
    wanted = generator(ImageList(torch.zeros(1, 3, *size), [size]), [torch.zeros(1, 8, *grid)])[0]
    stride = (float(size[0] // grid[0]), float(size[1] // grid[1]))
    assert_close(grid_anchors(cell_anchors((32, 64), RATIOS, "torchvision"), grid, stride), wanted)


def test_order_is_height_width_anchor():
    cells = cell_anchors((10, 20), (1.0,))
    anchors = grid_anchors(cells, (2, 3), stride=(7, 5), offset=1.0).view(2, 3, 2, 4)
    centre = (anchors[..., :2] + anchors[..., 2:]) / 2  # (H, W, A, xy)
    assert centre[1, 2, 0].tolist() == [11.0, 8.0]
    assert_close(anchors[0, 0], cells + 1)
