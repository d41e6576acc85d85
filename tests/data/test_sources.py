from pathlib import Path

import pytest

from frcnn.data.sources import find_pictures


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    for name in ("b.jpg", "a.PNG", "notes.txt", "deeper/c.jpeg", "[1].jpg", "._b.jpg"):
        (folder / name).touch()
    return folder


def names(sources) -> list[str]:
    return [path.name for path in find_pictures(sources).pictures]


def test_a_folder_gives_its_own_pictures_by_name(photos):
    assert names([photos]) == ["[1].jpg", "a.PNG", "b.jpg"]


def test_a_glob_may_look_below(photos):
    assert names([f"{photos}/*.jpg"]) == ["[1].jpg", "b.jpg"]
    assert sorted(names([f"{photos}/**/*"])) == ["[1].jpg", "a.PNG", "b.jpg", "c.jpeg"]


def test_a_glob_may_be_relative(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    assert find_pictures(["photos/b.*"]).pictures == [Path("photos/b.jpg")]


def test_a_named_file_is_taken_whatever_its_suffix(photos):
    assert names([photos / "notes.txt"]) == ["notes.txt"]


def test_a_name_with_brackets_is_a_name_first(photos):
    assert names([photos / "[1].jpg"]) == ["[1].jpg"]


def test_order_is_kept_and_each_picture_comes_once(photos):
    assert names([photos / "b.jpg", photos, photos / "deeper" / ".." / "b.jpg"]) == ["b.jpg", "[1].jpg", "a.PNG"]


def test_each_source_without_pictures_has_its_line(photos):
    (photos / "empty").mkdir()
    found = find_pictures([photos / "absent.jpg", photos / "*.gif", photos / "empty", photos / "b.jpg"])
    assert [path.name for path in found.pictures] == ["b.jpg"]
    assert found.problems == [
        f"{photos}/absent.jpg: there is no such picture",
        f"{photos}/*.gif: matches no picture",
        f"{photos}/empty: there is no picture in this folder",
    ]
