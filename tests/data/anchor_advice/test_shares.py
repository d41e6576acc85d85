"""Which share of the objects anchors reach."""

from pathlib import Path

import torch

from frcnn.config import load_preset, override_sections
from frcnn.data.anchor_advice.shares import bounds, groups, reached, unreached
from frcnn.data.anchor_fit import AnchorFit
from frcnn.data.dataset import Dataset, Example
from frcnn.data.learnt_objects import LearntObjects
from frcnn.structures import Target

MODEL = load_preset("tiny").model
SIDES = torch.tensor([10.0, 31, 32, 96, 200])
OBJECTS = LearntObjects(
    boxes=torch.cat((torch.zeros(5, 2), SIDES[:, None].expand(-1, 2)), dim=1),
    class_ids=torch.tensor([2, 0, 0, 0, 2]),
    pictures=torch.tensor([0, 0, 1, 1, 2]),
    sizes=torch.tensor([[300, 300]] * 3),
    class_names=("cat", "none", "dog"),
)
OVERLAPS = torch.tensor([0.0, 0.3, 0.5, 0.29, 0.7])
FIT = AnchorFit(OVERLAPS, OBJECTS.boxes / 2, OBJECTS.class_ids, OBJECTS.class_names, MODEL)


def test_a_bound_is_reached_by_what_equals_it():
    assert reached(OVERLAPS, MODEL.rpn).tolist() == [0.6, 0.4, 0.2]


def test_of_no_objects():
    assert reached(OVERLAPS[:0], MODEL.rpn).tolist() == [0, 0, 0]


def test_the_first_bound_is_the_preset_s():
    rpn = override_sections(MODEL, {"rpn": {"negative_below": 0.25}}).rpn
    assert bounds(rpn) == (0.25, 0.5, 0.7)
    assert reached(OVERLAPS, rpn).tolist()[0] == 0.8


def test_groups():
    """COCO's bounds, in pixels of the pictures: 32 px is medium, 96 px is large."""
    found = groups(OBJECTS, FIT)
    assert [(group.kind, group.name, group.objects) for group in found] == [
        ("all", "all", 5),
        ("size", "small", 2),
        ("size", "medium", 1),
        ("size", "large", 2),
        ("class", "cat", 3),
        ("class", "dog", 2),
    ]
    everything, small, *_, dog = found
    assert (everything.size, everything.size_seen) == (32, 16)
    assert everything.reached == (0.6, 0.4, 0.2)
    assert small.reached == (0.5, 0, 0)
    assert dog.reached == (0.5, 0.5, 0.5)


def test_a_size_without_objects_has_no_group():
    large = OBJECTS.chosen(SIDES > 90)
    fit = AnchorFit(OVERLAPS[3:], large.boxes, large.class_ids, large.class_names, MODEL)
    assert [group.name for group in groups(large, fit)] == ["all", "large", "cat", "dog"]


def test_unreached():
    """Of the dogs, one that no anchor overlaps; of the cats, one that anchors overlap too little; both are named."""
    nothing = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    pictures = [Example(Path(f"folder/{name}.jpg"), Path("nowhere"), (300, 300), nothing) for name in "abc"]
    found = unreached(Dataset(pictures, OBJECTS.class_names), OBJECTS, FIT)
    assert found == [("cat", 1, 3, ("b.jpg",)), ("dog", 1, 2, ("a.jpg",))]


def test_at_most_three_pictures_are_named():
    objects = LearntObjects(
        torch.tensor([[0.0, 0, 4, 4]]).repeat(6, 1),
        torch.zeros(6, dtype=torch.long),
        torch.tensor([4, 4, 3, 2, 1, 0]),
        torch.tensor([[300, 300]] * 5),
        ("cat",),
    )
    fit = AnchorFit(torch.zeros(6), objects.boxes, objects.class_ids, ("cat",), MODEL)
    nothing = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    pictures = [Example(Path(f"{name}.jpg"), Path("nowhere"), (300, 300), nothing) for name in "abcde"]
    assert unreached(Dataset(pictures, ("cat",)), objects, fit) == [("cat", 6, 6, ("a.jpg", "b.jpg", "c.jpg"))]
