"""One name in the two forms that Unicode has for it."""

import unicodedata
from pathlib import Path

import pytest

from frcnn.data.spelling import as_on_disk, normal

WHOLE, APART = (unicodedata.normalize(form, "사진 é") for form in ("NFC", "NFD"))


def test_normal_is_composed():
    assert normal("e\u0301") == "\u00e9"
    assert normal("\u1112\u1161\u11ab") == "\ud55c"
    assert normal(APART) == normal(WHOLE) == WHOLE != APART


@pytest.mark.parametrize("there", [WHOLE, APART])
@pytest.mark.parametrize("said", [WHOLE, APART])
def test_files_and_folders(tmp_path, monkeypatch, there, said):
    (tmp_path / there).mkdir()
    (tmp_path / there / f"{APART}.txt").touch()
    assert as_on_disk(tmp_path / said / f"{WHOLE}.txt") == tmp_path / there / f"{APART}.txt"
    assert as_on_disk(tmp_path / said / "absent.txt") == tmp_path / there / "absent.txt"
    monkeypatch.chdir(tmp_path)
    assert as_on_disk(Path(said) / f"{WHOLE}.txt") == Path(there) / f"{APART}.txt"


@pytest.mark.parametrize("name", ["images\\train\\a.jpg", ".\\images/train\\a.jpg", "images\\..\\images\\train\\a.jpg"])
def test_backslashes_of_windows(tmp_path, name):
    (tmp_path / "images/train").mkdir(parents=True)
    (tmp_path / "images/train/a.jpg").touch()
    assert as_on_disk(tmp_path / name).samefile(tmp_path / "images/train/a.jpg")
    (tmp_path / "b\\a.jpg").touch()
    assert as_on_disk(tmp_path / "b\\a.jpg") == tmp_path / "b\\a.jpg"


def test_both_forms_are_two_files(tmp_path):
    for name in (WHOLE, APART):
        (tmp_path / name).touch()
    assert [as_on_disk(tmp_path / name).name for name in (WHOLE, APART)] == [WHOLE, APART]


@pytest.mark.parametrize("name", ["absent", WHOLE, f"{APART}/{APART}"])
def test_what_is_not_there_stays(name):
    assert as_on_disk(Path(name)) == Path(name)
