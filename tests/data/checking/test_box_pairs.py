"""Pairs of boxes, by hand and beside the slow way."""

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from frcnn.data.checking.box_pairs import close_pairs


def test_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9.6], [0, 0, 10, 9.4], [0, 0, 10, 10], [0, 0, 10, 10.0]])
    pictures = np.array([0, 0, 0, 1, 0])
    assert close_pairs(boxes, pictures).tolist() == [[0, 1], [0, 4], [1, 2], [1, 4]]


@pytest.mark.parametrize("above", [0.3, 0.8])
def test_beside_the_slow_way(above: float) -> None:
    random = np.random.default_rng(5)
    begin = random.uniform(0, 9, (300, 2))
    boxes = np.concatenate((begin, begin + random.uniform(15, 30, (300, 2))), axis=1)
    pictures = random.integers(0, 4, 300)
    overlap = box_iou(torch.from_numpy(boxes), torch.from_numpy(boxes)).numpy()
    close = (overlap > above) & (pictures[:, None] == pictures)
    expected = [[a, b] for a, b in np.argwhere(close).tolist() if a < b]
    assert len(expected) > 30
    assert close_pairs(boxes, pictures, above).tolist() == expected


def test_none() -> None:
    assert close_pairs(np.zeros((0, 4)), np.zeros(0, int)).shape == (0, 2)
    assert close_pairs(np.array([[0, 0, 1, 1.0]]), np.zeros(1, int)).shape == (0, 2)
