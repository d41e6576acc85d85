import torch

from frcnn.benchmarking.pictures import draw_boxes, draw_picture, draw_target


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def test_a_picture_is_one_and_the_same_for_a_seed():
    picture = draw_picture((30, 47), seeded())
    assert picture.shape == (3, 30, 47)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert torch.equal(picture, draw_picture((30, 47), seeded()))


def test_boxes_lie_in_the_picture_and_have_area():
    boxes = draw_boxes(500, (60, 90), seeded())
    assert boxes.shape == (500, 4)
    assert (boxes >= 0).all()
    assert (boxes[:, 2].max(), boxes[:, 3].max()) == (90, 60)
    assert ((boxes[:, 2:] - boxes[:, :2]) >= 20 - 1e-3).all()


def test_objects_are_of_all_classes():
    target = draw_target(50, (300, 400), 3, seeded())
    assert set(target.class_ids.tolist()) == {0, 1, 2}
    assert (target.boxes[:, 2:] - target.boxes[:, :2]).max() <= 100
