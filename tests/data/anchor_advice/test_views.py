"""Objects as training shows them."""

from pathlib import Path

import torch
from torch.testing import assert_close

from frcnn.config import load_preset, override
from frcnn.data.anchor_advice.views import as_trained, joined
from frcnn.data.dataset import Dataset, Example
from frcnn.data.learnt_objects import SeenObjects, learnt_objects
from frcnn.structures import Target

PLAIN = override(load_preset("tiny"), ["data.crop=0", "data.flip=0", "data.scales=[]"])  # short side 240


def dataset_of(count: int = 12, size: tuple[int, int] = (300, 400)) -> Dataset:
    """In each picture a cat, and a dog that is ignored."""
    target = Target(
        torch.tensor([[40.0, 100, 100, 180], [200, 150, 300, 299]]), torch.tensor([0, 1]), torch.tensor([False, True])
    )
    here = Path("nowhere")
    return Dataset(tuple(Example(here, here, size, target) for _ in range(count)), ("cat", "dog"))


def test_as_detection_sees_them_where_training_draws_nothing():
    dataset = dataset_of()
    seen, wanted = as_trained(dataset, range(12), PLAIN), learnt_objects(dataset).as_seen(PLAIN.model.input)
    for found, expected in zip(seen, wanted, strict=True):
        assert_close(found, expected)


def test_sizes_take_turns():
    """300 x 400 becomes 150 x 200 and 240 x 320: the long side may grow to 400 where the short one is 240."""
    config = override(PLAIN, ["data.scales=[150,240]"])
    seen = as_trained(dataset_of(), [0, 1, 5], config)
    assert seen.sizes.tolist() == [[150, 200], [240, 320], [240, 320]]
    assert_close(seen.boxes[0], torch.tensor([20.0, 50, 50, 90]))


def test_mirrored():
    config = override(PLAIN, ["data.flip=1"])
    seen = as_trained(dataset_of(), [3], config)
    assert_close(seen.boxes[0], 0.8 * torch.tensor([300.0, 100, 360, 180]))


def test_windows_make_objects_larger():
    """A window holds at least one object whole, here the only one that is learnt, and fills the network's input."""
    config = override(PLAIN, ["data.crop=1"])
    seen = as_trained(dataset_of(), range(12), config)
    height, width = seen.sizes.T
    assert len(seen.boxes) == 12
    assert ((seen.boxes[:, :2] >= 0) & (seen.boxes[:, 2:] <= torch.stack((width, height), dim=1) + 1e-3)).all()
    areas = (seen.boxes[:, 2:] - seen.boxes[:, :2]).prod(dim=1)
    assert (areas >= 0.99 * 48 * 64).all()  # sides of the input are rounded down
    assert (areas > 1.5 * 48 * 64).any()


def test_the_same_again():
    config = override(load_preset("mobilenet_v2_fpn"), ["data.crop=1"])
    one, other = (as_trained(dataset_of(), range(12), config) for _ in range(2))
    assert torch.equal(one.boxes, other.boxes)


def test_one_part_after_another():
    parts = [
        SeenObjects(torch.full((count, 4), value), torch.full((count, 2), 9), torch.full((count,), number))
        for number, (count, value) in enumerate([(1, 0.5), (0, 0.0), (2, 2.5)])
    ]
    found = joined(parts)
    assert found.boxes[:, 0].tolist() == [0.5, 2.5, 2.5]
    assert found.class_ids.tolist() == [0, 2, 2]
