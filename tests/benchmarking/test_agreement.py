import torch
from torch.testing import assert_close

from frcnn.benchmarking.agreement import agreement
from frcnn.structures import Detections


def detections(*found):
    boxes = torch.tensor([box for box, _, _ in found], dtype=torch.float32).reshape(-1, 4)
    scores = torch.tensor([score for _, score, _ in found], dtype=torch.float32)
    return Detections(boxes, scores, torch.tensor([i for _, _, i in found], dtype=torch.long), ("cat", "dog"))


def test_pairs_by_hand():
    expected = detections(([0, 0, 10, 10], 0.9, 0), ([20, 20, 40, 40], 0.8, 1), ([50, 50, 60, 60], 0.7, 0))
    found = detections(([20, 20, 40, 41], 0.75, 1), ([0, 0, 10, 10], 0.9, 0), ([50, 50, 60, 60], 0.7, 1))
    pairs = agreement(found, expected)  # the last is of another class
    assert (pairs.found, pairs.expected) == (3, 3)
    assert_close(pairs.box.sort().values, torch.tensor([0.0, 1.0]))
    assert_close(pairs.score.sort().values, torch.tensor([0.0, 0.05]))


def test_each_detection_is_in_one_pair_at_most_the_nearest_first():
    expected = detections(([0, 0, 10, 10], 0.9, 0))
    found = detections(([0, 0, 10, 9], 0.9, 0), ([0, 0, 10, 10], 0.8, 0))
    assert_close(agreement(found, expected).box, torch.tensor([0.0]))


def test_nothing_found_agrees_with_nothing():
    nothing = detections()
    assert agreement(nothing, nothing).to_note() == "0 detections, 0 matched one to one with its 0"


def test_a_note_for_people():
    one = detections(([0, 0, 10, 10], 0.5, 0))
    other = detections(([0, 0, 10, 12], 0.25, 0))
    assert agreement(other, one).to_note() == (
        "1 detections, 1 matched one to one with its 1; boxes apart by 2 px (median), 2 (largest); scores by 0.25, 0.25"
    )
