"""Spellings of one file."""

from pathlib import Path

import pytest

from frcnn.data.real_paths import real_paths


def test_links_and_detours_lead_to_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path = tmp_path.resolve()
    (tmp_path / "real/deep").mkdir(parents=True)
    file = tmp_path / "real/a.jpg"
    file.touch()
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "b.jpg").symlink_to(file)
    monkeypatch.chdir(tmp_path)
    spellings = ("real/a.jpg", "./real//a.jpg", "real/deep/../a.jpg", str(file), "folder/a.jpg", "b.jpg", "./b.jpg")
    assert set(real_paths(spellings)) == {str(file)}


def test_files_that_are_not_there_are_told_apart_too(tmp_path: Path) -> None:
    tmp_path = tmp_path.resolve()
    names = ["none/a.jpg", "none/./a.jpg", "b.jpg"]
    assert list(real_paths(f"{tmp_path}/{name}" for name in names)) == [
        f"{tmp_path}/none/a.jpg",
        f"{tmp_path}/none/a.jpg",
        f"{tmp_path}/b.jpg",
    ]
