"""What is trained on and what is held out, where splits name the same pictures."""

import pytest

from frcnn.data.dataset import training_splits
from frcnn.errors import DataError

CAT, HARD = ("cat", (1, 1, 20, 30)), ("cat", (1, 1, 20, 30), True)


def ids(dataset) -> list[str]:
    return [] if dataset is None else [example.annotation.stem for example in dataset.examples]


@pytest.mark.parametrize(
    ("splits", "learnt", "held_out", "taken"),
    [
        ({"train": "abcd", "val": "de", "test": "cf"}, "ab", "de", 2),
        ({"train": "abc", "val": "de", "test": "ef"}, "abc", "d", 1),
        ({"trainval": "abcd", "val": "de", "test": "af"}, "bc", "de", 1),  # that trainval names val's is no mistake
        ({"train": "abc", "val": "d", "test": "ef"}, "abc", "d", 0),
    ],
    ids=["train in both", "val in test", "trainval in test", "as it should be"],
)
def test_test_comes_first_and_val_before_train(make_voc, splits, learnt, held_out, taken) -> None:
    """Whatever is measured on pictures that were learnt flatters."""
    root = make_voc({name: [CAT] for name in "abcdef"}, {split: [*names] for split, names in splits.items()})
    train, val = training_splits([root], 0.1, seed=0)
    assert (ids(train), ids(val)) == ([*learnt], [*held_out])
    assert train.taken_pictures == taken


@pytest.mark.parametrize("validation", [0, 0.3])
def test_a_share_is_drawn_beside_test(make_voc, validation) -> None:
    root = make_voc({name: [CAT] for name in "abcdefg"}, {"trainval": [*"abcdef"], "test": [*"bfg"]})
    train, val = training_splits([root], validation, seed=0)
    assert sorted(ids(train) + ids(val)) == [*"acde"]
    assert len(ids(val)) == (1 if validation else 0)
    assert train.taken_pictures == 2


def test_all_is_learnt_but_test_where_nothing_is_held_out(make_voc) -> None:
    root = make_voc({name: [CAT] for name in "abcd"}, {"train": [*"ab"], "val": [*"bc"], "test": [*"cd"]})
    train, val = training_splits([root], 0, seed=0)
    assert (sorted(ids(train)), val, train.taken_pictures) == (["a", "b"], None, 1)


@pytest.mark.parametrize("asked", ["val", "test"])
def test_train_and_nothing_else_is_refused_with_the_reason(make_voc, asked) -> None:
    """As where one folder is named for both."""
    root = make_voc({"a": [CAT], "b": [CAT]}, {"train": ["a", "b"], asked: ["a", "b"]})
    with pytest.raises(DataError, match=r"all pictures of train are in val or test too \(2 pictures\)"):
        training_splits([root], 0.1, seed=0)


def test_difficult_objects_alone_are_nothing_to_learn(make_voc) -> None:
    root = make_voc({"a": [HARD], "b": [HARD], "c": [CAT]}, {"train": ["a", "b"], "val": ["c"]})
    with pytest.raises(DataError, match="neither difficult nor a crowd, so there is nothing to learn"):
        training_splits([root], 0.1, seed=0)
