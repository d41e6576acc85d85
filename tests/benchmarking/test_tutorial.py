import pytest
import torch
from torch.testing import assert_close

from frcnn.benchmarking.pictures import draw_boxes
from frcnn.benchmarking.rows import Setting
from frcnn.benchmarking.tutorial import (
    overlaps_by_loops,
    pool_by_loops,
    pooling_row,
    suppress_by_loops,
    suppression_row,
)
from frcnn.ops import box_iou, nms, roi_pool


@pytest.fixture
def boxes():
    return draw_boxes(80, (150, 200), torch.Generator().manual_seed(5), largest=90)


def test_overlaps_are_ours(boxes):
    objects = boxes[:7] + 3.5
    assert_close(torch.from_numpy(overlaps_by_loops(objects.numpy(), boxes.numpy())), box_iou(objects, boxes))


@pytest.mark.parametrize("threshold", [0.2, 0.45])
def test_suppression_is_ours(boxes, threshold):
    scores = torch.rand(len(boxes), generator=torch.Generator().manual_seed(6)).mul(9).round()  # some are equal
    kept = suppress_by_loops(boxes.tolist(), scores.tolist(), threshold)
    assert kept == nms(boxes, scores, threshold).tolist()
    assert len(kept) < len(boxes)


def test_pooling_is_ours(boxes):
    features = torch.randn(1, 3, 20, 27, generator=torch.Generator().manual_seed(7))
    assert_close(pool_by_loops(features, boxes, 3, 8.0), roi_pool(features, [boxes], 3, 8.0), rtol=0, atol=0)


def test_the_rows_say_that_they_are_the_same():
    assert suppression_row("NMS", 100, Setting(runs=1)).notes[0].endswith("kept, identical indices")
    assert pooling_row("pooling", Setting(runs=1), channels=2).notes[0] == "300 boxes, largest difference 0"
