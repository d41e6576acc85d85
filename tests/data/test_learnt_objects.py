"""All objects of a data set together, in its own pixels and in the network's."""

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from frcnn.config import load_preset
from frcnn.data.dataset import Dataset, Example, load_dataset
from frcnn.data.learnt_objects import box_sizes, learnt_objects, seen_sizes
from frcnn.model.preprocess import at_scale, network_size
from frcnn.structures import Target

RULE = at_scale(load_preset("tiny").model.input, 60)  # short side 60, long side at most 100
HERE = Path("nowhere")


def example(size: tuple[int, int], boxes: list[list[float]], class_ids: list[int], ignored: list[bool] | None = None):
    corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    skipped = None if ignored is None else torch.tensor(ignored, dtype=torch.bool)
    return Example(HERE, HERE, size, Target(corners, torch.tensor(class_ids, dtype=torch.long), skipped))


@pytest.fixture
def dataset() -> Dataset:
    """Three pictures: an object that is ignored and two that are not; none; one."""
    examples = (
        example((30, 40), [[0, 0, 4, 9], [1, 2, 3, 4], [10, 10, 20, 30]], [2, 0, 1], [False, True, False]),
        example((200, 50), [], []),
        example((120, 240), [[24, 12, 120, 36]], [0]),
    )
    return Dataset(examples, ("a", "b", "c"))


def test_the_ignored_are_left_out(dataset):
    objects = learnt_objects(dataset)
    assert objects.boxes.tolist() == [[0, 0, 4, 9], [10, 10, 20, 30], [24, 12, 120, 36]]
    assert objects.class_ids.tolist() == [2, 1, 0]
    assert objects.pictures.tolist() == [0, 0, 2]
    assert objects.sizes.tolist() == [[30, 40], [200, 50], [120, 240]]
    assert objects.class_names == ("a", "b", "c")
    assert len(objects) == 3


def test_difficult_objects_of_a_set_that_was_read(make_voc):
    voc = make_voc({"a": [("cat", (1, 1, 20, 30)), ("cat", (5, 5, 9, 9), True)]}, splits={"train": ["a"]})
    assert learnt_objects(load_dataset([voc], "train")).boxes.tolist() == [[0, 0, 20, 30]]


def test_some_of_them_keep_their_pictures(dataset):
    objects = learnt_objects(dataset).chosen(torch.tensor([True, False, True]))
    assert objects.pictures.tolist() == [0, 2]
    assert objects.class_ids.tolist() == [2, 0]
    assert objects.as_seen(RULE).sizes.tolist() == [[60, 80], [50, 100]]


def test_as_the_network_sees_them(dataset):
    """30 x 40 becomes twice as large; 120 x 240 would be 60 x 120, but the long side is 100 at most."""
    seen = learnt_objects(dataset).as_seen(RULE)
    assert_close(seen.boxes, torch.tensor([[0, 0, 8, 18], [20, 20, 40, 60], [10, 5, 50, 15]], dtype=torch.float32))
    assert seen.sizes.tolist() == [[60, 80], [60, 80], [50, 100]]
    assert seen.class_ids.tolist() == [2, 1, 0]


def test_the_size_of_every_picture_is_that_of_the_preprocessing():
    sizes = torch.randint(1, 700, (200, 2), generator=torch.Generator().manual_seed(2))
    sizes = torch.cat((sizes, sizes[:50]))  # some are there twice
    wanted = [list(network_size((height, width), RULE)) for height, width in sizes.tolist()]
    assert seen_sizes(sizes, RULE).tolist() == wanted


def test_no_pictures():
    objects = learnt_objects(Dataset((), ("a",)))
    assert (len(objects), objects.sizes.shape) == (0, (0, 2))
    assert objects.as_seen(RULE).boxes.shape == (0, 4)


def test_the_size_of_a_box():
    assert_close(box_sizes(torch.tensor([[2.0, 1, 6, 10], [0, 0, 5, 5]])), torch.tensor([6.0, 5]))
