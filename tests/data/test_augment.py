"""Windows, mirrors, light: boxes go where their pixels go, and what is drawn is of its seed alone."""

import random

import pytest
import torch
from torch.testing import assert_close

from frcnn.data.augment import LEAST_SIDE, View, Window, draw_window, in_other_light
from frcnn.data.order import Chances, ordered
from frcnn.structures import Target

SIZE = (60, 90)  # height, width
BOXES = torch.tensor([[10.0, 5, 30, 25], [50, 20, 88, 58], [3, 40, 20, 60]])


def drawn(box: torch.Tensor) -> torch.Tensor:
    """A black picture in which the box alone is white."""
    picture = torch.zeros(3, *SIZE, dtype=torch.uint8)
    x1, y1, x2, y2 = box.int().tolist()
    picture[:, y1:y2, x1:x2] = 255
    return picture


def extent(pixels: torch.Tensor) -> list[float]:
    """The box of what is white."""
    rows, columns = pixels[0].nonzero().unbind(1)
    return [columns.min().item(), rows.min().item(), columns.max().item() + 1.0, rows.max().item() + 1.0]


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("window", [None, Window(8, 5, 58, 70), Window(0, 12, 60, 90), Window(15, 0, 45, 60)])
def test_boxes_go_where_their_pixels_go(window, flipped):
    """By law: drawn and then seen, or seen and then drawn."""
    view = View(flipped, window=window)
    target = view.target(Target(BOXES, torch.tensor([4, 5, 6])), SIZE)
    whole = view.boxes(BOXES, SIZE)
    seen = [number for number in range(3) if view.pixels(drawn(BOXES[number])).any()]
    assert set(target.class_ids.tolist()) <= {number + 4 for number in seen}
    for class_id, box in zip(target.class_ids.tolist(), target.boxes, strict=True):
        assert extent(view.pixels(drawn(BOXES[class_id - 4]))) == box.tolist()
        assert torch.equal(box, whole[class_id - 4])


def test_an_object_is_seen_where_its_centre_is():
    """The first object's centre is (20, 15): a window that ends there does not hold it, one a pixel further does."""
    target = Target(BOXES, torch.arange(3))
    assert View(window=Window(0, 0, 60, 20)).target(target, SIZE).class_ids.tolist() == [2]
    assert View(window=Window(0, 0, 60, 21)).target(target, SIZE).class_ids.tolist() == [0, 2]


def test_what_is_seen_of_a_region_to_be_ignored_is_ignored():
    """Not its centre, as above: what is left of a crowd is no background. A region at the window's edge is not seen."""
    target = Target(BOXES, torch.arange(3), torch.tensor([True, False, False]))
    assert View(window=Window(0, 0, 60, 10)).target(target, SIZE).class_ids.tolist() == []
    there = View(window=Window(0, 0, 60, 11)).target(target, SIZE)
    assert there.class_ids.tolist() == [0]
    assert there.ignored is not None
    assert there.ignored.tolist() == [True]
    assert there.boxes[0].tolist() == [10, 5, 11, 25]


def test_a_reduced_window_by_hand():
    """Rows 5 to 41 at half the size: 2 to 21, as sides are rounded outwards; boxes move with them."""
    view = View(reduction=2, window=Window(5, 10, 41, 61))
    pixels = (
        torch.arange(30 * 45, dtype=torch.int64).remainder(251).to(torch.uint8).reshape(1, 30, 45).expand(3, -1, -1)
    )
    assert torch.equal(view.pixels(pixels), pixels[:, 2:21, 5:31])
    assert_close(view.boxes(torch.tensor([[20.0, 8, 40, 30]]), SIZE), torch.tensor([[5.0, 2, 15, 13]]))
    assert_close(View(True, 2, Window(5, 10, 41, 61)).boxes(torch.tensor([[20.0, 8, 40, 30]]), SIZE)[0, 0].item(), 11.0)


def test_a_window_holds_an_object_whole_and_is_not_too_small():
    for seed in range(300):
        window = draw_window(SIZE, BOXES.tolist(), random.Random(seed))
        height, width = window.size
        assert 0 <= window.top < window.bottom <= SIZE[0]
        assert 0 <= window.left < window.right <= SIZE[1]
        assert height >= int(LEAST_SIDE * SIZE[0])
        assert width >= int(LEAST_SIDE * SIZE[1])
        held = (
            (BOXES[:, 0] >= window.left)
            & (BOXES[:, 1] >= window.top)
            & (BOXES[:, 2] <= window.right)
            & (BOXES[:, 3] <= window.bottom)
        )
        assert held.any()


def test_windows_reach_every_side_and_differ():
    windows = [draw_window(SIZE, BOXES[:1].tolist(), random.Random(seed)) for seed in range(400)]
    assert len(set(windows)) > 350
    assert {w.top for w in windows} >= set(range(6))
    assert max(w.bottom for w in windows) == 60
    assert max(w.right for w in windows) == 90


@pytest.mark.parametrize("box", [[0.0, 0.0, 90.0, 60.0], [0.5, 0.5, 1.2, 1.4], [89.2, 59.1, 90.0, 60.0]])
def test_windows_at_the_edge(box):
    """The whole picture, or less than a pixel of it."""
    for seed in range(50):
        window = draw_window(SIZE, [box], random.Random(seed))
        assert window.left <= box[0]
        assert window.right >= box[2]
        assert window.top <= box[1]
        assert window.bottom <= 60


def test_a_picture_without_objects_has_windows_too():
    windows = {draw_window(SIZE, [], random.Random(seed)) for seed in range(20)}
    assert len(windows) > 15


def test_light_is_of_its_seed_and_leaves_torch_s_generator_alone():
    picture = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(4)
    before = torch.get_rng_state()
    views = [in_other_light(picture, seed) for seed in range(8)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(in_other_light(picture, 3), views[3])
    assert len({tuple(view.flatten().tolist()) for view in views}) > 4
    assert all(view.dtype == torch.uint8 for view in views)
    assert all(view.shape == picture.shape for view in views)


def test_how_often(dataset):
    """A share of all pictures of all epochs, each drawn for itself."""
    orders = [
        ordered(dataset, i, 0, epoch, Chances(flip=0.25, crop=0.5, light=0.75), None)
        for i in range(len(dataset))
        for epoch in range(300)
    ]
    views = [order.view for order in orders]
    share = len(views)
    assert 0.22 < sum(view.flipped for view in views) / share < 0.28
    assert 0.46 < sum(view.window is not None for view in views) / share < 0.54
    assert 0.71 < sum(view.light is not None for view in views) / share < 0.79
    again = ordered(dataset, 2, 0, 7, Chances(flip=0.25, crop=0.5, light=0.75), None)
    assert again in orders
    assert ordered(dataset, 2, 0, 7, Chances(), None).view == View()


@pytest.fixture
def dataset(make_voc):
    from frcnn.data.dataset import load_dataset

    pictures = {name: [("cat", (5, 6, 30, 40))] for name in "abcd"}
    return load_dataset([make_voc(pictures, {"train": list(pictures)}, size=SIZE)], "train")
