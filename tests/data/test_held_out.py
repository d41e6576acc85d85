"""What is trained on and what is held out, where splits name the same pictures."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frcnn.data.dataset import load_dataset, open_sets, split_to_learn, training_splits
from frcnn.data.held_out import as_met, count_met
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
    with pytest.raises(DataError, match=r"all pictures of train are in val or test too, .* \(2 pictures\)"):
        training_splits([root], 0.1, seed=0)


def test_difficult_objects_alone_are_nothing_to_learn(make_voc) -> None:
    root = make_voc({"a": [HARD], "b": [HARD], "c": [CAT]}, {"train": ["a", "b"], "val": ["c"]})
    with pytest.raises(DataError, match="neither difficult nor a crowd, so there is nothing to learn"):
        training_splits([root], 0.1, seed=0)


class TestFilesOfCoco:
    """Each has entries of its own for the pictures that it names."""

    @staticmethod
    def write(root: Path, **splits: Sequence[str]) -> Path:
        """A file each, which names pictures as it likes, with an object in each."""
        (root / "images").mkdir(parents=True, exist_ok=True)
        (root / "annotations").mkdir(exist_ok=True)
        for split, names in splits.items():
            identities = range(1, len(names) + 1)
            for name in names:
                Image.new("RGB", (40, 30)).save(root / "images" / Path(name).name)
            content = {
                "images": [
                    {"id": i, "file_name": name, "width": 40, "height": 30}
                    for i, name in zip(identities, names, strict=True)
                ],
                "annotations": [
                    {"id": i, "image_id": i, "category_id": 1, "bbox": [1, 1, 20, 20], "area": 400, "iscrowd": 0}
                    for i in identities
                ],
                "categories": [{"id": 1, "name": "cat"}],
            }
            (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
        return root

    @staticmethod
    def stems(dataset) -> str:
        return "" if dataset is None else "".join(example.picture.stem for example in dataset.examples)

    @pytest.mark.parametrize("spelling", ["./{}.jpg", "../images/{}.jpg", "{root}/images/{}.jpg"])
    def test_a_picture_is_one_however_it_is_spelled(self, tmp_path, spelling) -> None:
        val, test = ([spelling.format(name, root=tmp_path) for name in names] for names in ("cd", "ef"))
        root = self.write(tmp_path, train=[f"{name}.jpg" for name in "abcdef"], val=val, test=test)
        learnt, held_out = training_splits([root], 0.1, seed=0)
        assert (self.stems(learnt), self.stems(held_out), learnt.taken_pictures) == ("ab", "cd", 4)

    @pytest.mark.parametrize("names", [("train", "val"), ("val", "train"), ("train", "val", "test")])
    def test_files_that_are_named_one_by_one_are_splits_of_one_set(self, tmp_path, names) -> None:
        root = self.write(tmp_path, train=["a.jpg", "b.jpg", "e.jpg"], val=["b.jpg", "c.jpg"], test=["e.jpg"])
        train, val = training_splits([root / "annotations" / f"{name}.json" for name in names], 0.5, seed=0)
        assert (self.stems(train), self.stems(val)) == ("a" if "test" in names else "ae", "bc")

    def test_another_folder_may_have_what_is_held_out(self, tmp_path) -> None:
        one = self.write(tmp_path / "one", train=["a.jpg", "b.jpg"], val=["c.jpg"])
        elsewhere = [f"{tmp_path}/one/images/{name}.jpg" for name in "acd"]
        other = self.write(tmp_path / "two", train=elsewhere, val=[f"{tmp_path}/one/images/b.jpg"])
        Image.new("RGB", (40, 30)).save(tmp_path / "one/images/d.jpg")
        train, val = training_splits([one, other], 0.1, seed=0)
        assert (self.stems(train), self.stems(val), train.taken_pictures) == ("aad", "cb", 2)

    def test_a_share_is_drawn_of_files_not_of_entries(self, tmp_path) -> None:
        root = self.write(tmp_path, train=[f"{name}.jpg" for name in "abcdeabcde"])
        for seed in range(5):
            train, val = training_splits([root], 0.4, seed=seed)
            assert sorted(self.stems(val)) == sorted(2 * "".join(sorted({*self.stems(val)})))
            assert len(self.stems(val)) == 4
            assert not {*self.stems(train)} & {*self.stems(val)}

    def test_pictures_of_two_lists_are_learnt_once(self, tmp_path) -> None:
        root = self.write(tmp_path, train=["a.jpg", "b.jpg"], trainval=["a.jpg", "b.jpg", "c.jpg"], val=["./c.jpg"])
        train, _ = training_splits([root], 0, seed=0)
        assert self.stems(train) == "abc"

    def test_a_picture_that_two_lists_share_with_test_is_counted_once(self, tmp_path) -> None:
        root = self.write(tmp_path, train=["a.jpg", "b.jpg"], trainval=["a.jpg", "b.jpg"], test=["b.jpg"])
        assert training_splits([root], 0, seed=0)[0].taken_pictures == 1

    def test_a_split_to_learn_has_nothing_of_test(self, tmp_path) -> None:
        root = self.write(tmp_path, train=["a.jpg", "b.jpg"], val=["c.jpg"], test=["./b.jpg", "./c.jpg"])
        files = [root / "annotations" / f"{name}.json" for name in ("test", "train")]
        assert self.stems(split_to_learn(files, "train")) == "a"
        assert self.stems(split_to_learn([root], "trainval")) == "a"
        with pytest.raises(DataError, match="there is no split 'val'"):
            split_to_learn(files, "val")

    def test_train_and_val_make_trainval(self, tmp_path) -> None:
        root = self.write(tmp_path, train=["a.jpg", "b.jpg"], val=["./b.jpg", "c.jpg"])
        one_by_one = [root / "annotations" / f"{name}.json" for name in ("train", "val")]
        assert self.stems(load_dataset([root], "trainval")) == "abc"
        assert self.stems(load_dataset(one_by_one, "trainval")) == "abc"
        with pytest.raises(DataError, match="there is no split 'trainval'; there is train"):
            load_dataset(one_by_one[:1], "trainval")

    def test_a_folder_and_one_of_its_files_are_one_set(self, tmp_path) -> None:
        root = self.write(tmp_path, train=["a.jpg"], val=["b.jpg"])
        for name in ("train", "val"):
            file = root / "annotations" / f"{name}.json"
            for paths in ([root, file], [file, root], [file, root, file]):
                assert self.stems(load_dataset(paths, "trainval")) == "ab"
                assert self.stems(load_dataset(paths, name)) == {"train": "a", "val": "b"}[name]

    def test_a_trainval_of_its_own_is_taken_at_its_word(self, tmp_path) -> None:
        root = self.write(tmp_path, train=["a.jpg"], val=["b.jpg"], trainval=["c.jpg"])
        assert self.stems(load_dataset([root], "trainval")) == "c"

    def test_shares_of_two_folders_may_leave_nothing(self, tmp_path) -> None:
        """Pictures in another order, and so drawn otherwise."""
        one = self.write(tmp_path / "one", trainval=["a.jpg", "b.jpg"])
        names = [f"{tmp_path}/one/images/{name}.jpg" for name in "ba"]
        other = self.write(tmp_path / "two", trainval=names)
        with pytest.raises(DataError, match=r"or held out of another set \(2 pictures\)"):
            training_splits([one, other], 0.5, seed=0)


def test_what_trainval_has_besides_is_learnt_where_train_is_val(make_voc) -> None:
    root = make_voc({name: [CAT] for name in "abcd"}, {"train": [*"ab"], "val": [*"ab"], "trainval": [*"abcd"]})
    train, val = training_splits([root], 0.1, seed=0)
    assert (ids(train), ids(val)) == ([*"cd"], [*"ab"])


def test_a_share_is_drawn_of_all_that_train_and_trainval_name(make_voc) -> None:
    root = make_voc({name: [CAT] for name in "abcde"}, {"train": [*"ab"], "trainval": [*"acde"]})
    train, val = training_splits([root], 0.4, seed=0)
    assert sorted(ids(train) + ids(val)) == [*"abcde"]


def test_the_files_of_pictures_wherever_the_program_runs(make_voc, monkeypatch) -> None:
    root = make_voc({"a": [CAT]}, {"train": ["a"]})
    monkeypatch.chdir(root.parent)
    (one,) = open_sets([Path(root.name)])
    assert list(one.picture_files()) == [str(root.resolve() / "JPEGImages/a.jpg")]


def test_numbers_are_given_as_things_are_met() -> None:
    assert as_met(itertools.chain("cab", "aba")).tolist() == [0, 1, 2, 1, 2, 1]
    assert as_met([]).dtype == np.int64
    assert [count_met(as_met(letters)) for letters in ("", "a", "cababa")] == [0, 1, 3]
