"""Where the text files lie."""

from pathlib import Path

import pytest

from frcnn.data.yolo_labels import label_of, labels_below, picture_stem, whole


@pytest.mark.parametrize(
    ("picture", "label"),
    [
        ("set/images/train/a.jpg", "set/labels/train/a.txt"),
        ("images/set/images/a.b.png", "images/set/labels/a.b.txt"),
        ("set/a.jpg", "set/a.txt"),
        ("set/images.jpg", "set/images.txt"),
    ],
)
def test_where_the_objects_of_a_picture_stand(tmp_path, picture, label):
    assert label_of(tmp_path / picture) == tmp_path / label
    assert picture_stem(tmp_path / label) == (tmp_path / picture).with_suffix("")


@pytest.mark.parametrize(
    ("picture", "below", "label"),
    [
        ("images/set/a.jpg", "images/set", "images/set/a.txt"),
        ("images/set/images/a.jpg", "images/set", "images/set/labels/a.txt"),
        ("images/set/a.jpg", "images/other", "labels/set/a.txt"),
        ("images/set/a.jpg", "images/se", "labels/set/a.txt"),
        ("images/set/images/b/../a.jpg", "images/set", "images/set/labels/a.txt"),
    ],
)
def test_only_what_is_below_a_folder_counts(tmp_path, picture, below, label):
    found = label_of(tmp_path / picture, tmp_path / below)
    assert whole(found) == tmp_path / label
    assert picture_stem(tmp_path / label, tmp_path / below) == whole(tmp_path / picture).with_suffix("")


def test_a_path_stays_as_it_was_typed(tmp_path, monkeypatch):
    """Where it can: one that is typed from within goes on from the root."""
    (tmp_path / "images/set").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert label_of(Path("images/set/a.jpg")) == Path("labels/set/a.txt")
    monkeypatch.chdir(tmp_path / "images/set")
    assert label_of(Path("a.jpg"), tmp_path / "images/set") == Path("a.txt")
    assert label_of(Path("a.jpg"), tmp_path) == tmp_path / "labels/set/a.txt"


def test_the_first_folder_below_which_there_are_any(tmp_path):
    picture = tmp_path / "images/set/images/a.jpg"
    outer, inner = tmp_path / "images/set", tmp_path / "images/set/images"
    assert labels_below((inner, outer), [picture]) is None
    for label, below in (("images/set/labels/a.txt", outer), ("images/set/images/a.txt", inner)):
        (tmp_path / label).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / label).touch()
        assert labels_below((inner, outer), [picture]) == below
