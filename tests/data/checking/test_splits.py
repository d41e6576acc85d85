import pytest

from frcnn.data.checking.splits import in_parts, is_misplaced, rank_of


@pytest.mark.parametrize(
    ("splits", "parts"),
    [
        (("trainval", "train"), ("train",)),
        (("trainval", "val"), ("val",)),
        (("trainval",), ("trainval",)),
        (("test", "trainval"), ("trainval", "test")),
        (("test", "val", "trainval", "train"), ("train", "val", "test")),
        ((), ()),
    ],
)
def test_trainval_is_its_parts(splits: tuple[str, ...], parts: tuple[str, ...]) -> None:
    assert in_parts(splits) == parts


def test_the_latest_split_counts() -> None:
    assert [rank_of(splits) for splits in (("train", "test"), ("train", "val"), ("trainval",), ())] == [2, 1, 0, -1]


def test_what_is_validated_on_is_in_trainval_and_not_in_train() -> None:
    assert is_misplaced("train", rank_of(["val"]))
    assert not is_misplaced("trainval", rank_of(["val"]))
    assert is_misplaced("trainval", rank_of(["test"]))
    assert is_misplaced("val", rank_of(["test"]))
    assert not is_misplaced("test", rank_of(["test"]))
