"""The packed annotations: what readers put in comes out, grouped by picture."""

import math

import numpy as np
import pytest

from frcnn.data.box_faults import NO_AREA
from frcnn.data.index import (
    CROWD,
    DIFFICULT,
    NO_PICTURE,
    READABLE,
    IndexBuilder,
    PackedStrings,
    as_arrays,
    as_facts,
    from_arrays,
)


@pytest.fixture
def builder():
    """Three pictures; the objects come in another order than they."""
    builder = IndexBuilder("voc")
    for name in ("b.jpg", "a.jpg"):
        builder.add_picture(name, name.replace("jpg", "xml"), (10, 20), identity=len(name))
    builder.add_picture("gone.jpg", "b.xml", (0, 0), state=NO_PICTURE)
    builder.add_objects(
        [1, 0],
        [builder.class_number("zebra"), builder.class_number("ant")],
        [0, 0, 5, 5, 1, 2, 3, 4],
        [DIFFICULT, 0],
        [7, 8],
        [12.5, math.nan],
    )
    builder.add_objects([0], [builder.class_number("zebra")], [4, 4, 4, 9], [CROWD])
    builder.add_to_split("train", [1, 0])
    builder.add_to_split("train", [2])
    builder.found["b.xml"] = "pictures/"
    return builder


def test_by_hand(builder):
    index = builder.finished(sort_classes=True)
    assert len(index) == builder.pictures == 3
    assert index.class_names == ("ant", "zebra")
    assert [index.picture_names[i] for i in range(3)] == ["b.jpg", "a.jpg", "gone.jpg"]
    assert [index.annotation_names[i] for i in index.annotation_of.tolist()] == ["b.xml", "a.xml", "b.xml"]
    assert index.sizes.tolist() == [[10, 20], [10, 20], [0, 0]]
    assert index.states.tolist() == [READABLE, READABLE, NO_PICTURE]
    assert index.splits["train"].tolist() == [1, 0, 2]
    assert index.first_object.tolist() == [0, 2, 3, 3]
    assert index.boxes[index.objects_of(0)].tolist() == [[1, 2, 3, 4], [4, 4, 4, 9]]
    assert index.class_ids.tolist() == [0, 1, 1]  # of b.jpg an ant and a zebra, of a.jpg a zebra
    assert index.flags.tolist() == [0, CROWD, DIFFICULT]
    assert index.faults.tolist() == [0, NO_AREA, 0]
    assert index.object_identities.tolist() == [8, -1, 7]
    np.testing.assert_array_equal(index.areas, np.array([np.nan, np.nan, 12.5], np.float32))


def test_classes_stay_in_the_order_given_unless_they_are_to_be_sorted(builder):
    index = builder.finished()
    assert index.class_names == ("zebra", "ant")
    assert index.class_ids.tolist() == [1, 0, 0]


def test_apart_and_together_again(builder):
    """By law: nothing is lost."""
    index = builder.finished()
    again = from_arrays(as_arrays(index), as_facts(index))
    assert as_facts(again) == as_facts(index)
    assert again.found == {"b.xml": "pictures/"}
    assert as_arrays(again).keys() == as_arrays(index).keys()
    for name, values in as_arrays(index).items():
        np.testing.assert_array_equal(as_arrays(again)[name], values)
        assert as_arrays(again)[name].dtype == values.dtype


def test_nothing():
    index = IndexBuilder("coco").finished()
    assert len(index) == 0
    assert index.boxes.shape == (0, 4)
    assert index.first_object.tolist() == [0]


def test_strings_of_any_kind():
    names = ["", "a", "사진.jpg", "b" * 1000, "\udcff.jpg"]  # the last: a name that is no UTF-8
    packed = PackedStrings.of(names)
    assert len(packed) == 5
    assert [packed[i] for i in range(5)] == names
