import errno
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from frcnn.errors import FrcnnError, UsageError
from frcnn.files import (
    beginning_of_name,
    file_in_the_way,
    folder_unless_in_vain,
    folder_written_whole,
    link_or_copy,
    make_folder,
    remove_torn_files,
    require_folder_apart,
    require_new_folder,
    require_room,
    write_text,
    written_whole,
)


def test_text_takes_the_place_of_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "eins")
    write_text(path, "zwei, 둘")
    assert path.read_text(encoding="utf-8") == "zwei, 둘"
    assert [child.name for child in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_has_the_rights_of_any_other(tmp_path):
    write_text(tmp_path / "a", "")
    (tmp_path / "b").write_text("")
    ours, others = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab")
    assert ours == others


@pytest.mark.parametrize("name", ["a" * 255, "사" * 85, "😀" * 63])
def test_a_name_may_be_as_long_as_a_file_system_takes(tmp_path, name):
    write_text(tmp_path / name, "whole")
    with folder_written_whole(tmp_path / "folders" / name) as aside:
        (aside / "a").write_text("")
    assert [child.name for child in (tmp_path / "folders").iterdir()] == [name]
    assert (tmp_path / name).read_text() == "whole"


def test_the_beginning_of_a_name_ends_behind_a_letter():
    assert beginning_of_name("a사b", 5) == "a사b"
    assert beginning_of_name("a사b", 4) == "a사"
    assert beginning_of_name("a사b", 3) == "a"
    odd = os.fsdecode(b"a\xff\xec")  # bytes that are no text count as they are
    assert beginning_of_name(odd, 2) == os.fsdecode(b"a\xff")


def write_half(path: Path, error: type[BaseException]) -> None:
    with written_whole(path) as aside:
        aside.write_text("ha")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_fails_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.txt"
    write_text(path, "whole")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_text() == "whole"
    assert [child.name for child in tmp_path.iterdir()] == ["a.txt"]


def test_a_disk_that_refuses_is_a_line_that_names_the_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FrcnnError, match="file"):
        write_text(tmp_path / "file" / "a.txt", "")
    with pytest.raises(FrcnnError, match="cannot be made"):
        make_folder(tmp_path / "file" / "folder")
    with pytest.raises(FrcnnError, match=r"b: cannot be written \(full\)"), written_whole(tmp_path / "b"):
        raise OSError(28, "full")
    assert [child.name for child in tmp_path.iterdir()] == ["file"]


class TestFolderUnlessInVain:
    """A folder for a block that may fail."""

    def test_it_stays_after_success(self, tmp_path):
        with folder_unless_in_vain(tmp_path / "a" / "b", lambda: False):
            write_text(tmp_path / "a" / "b" / "c", "")
        assert (tmp_path / "a" / "b" / "c").exists()

    def test_it_goes_after_failure_with_all_that_was_made_for_it(self, tmp_path):
        with pytest.raises(ZeroDivisionError), folder_unless_in_vain(tmp_path / "a" / "b", lambda: False):
            write_text(tmp_path / "a" / "b" / "c", str(1 / len(list((tmp_path / "a" / "b").iterdir()))))
        assert not list(tmp_path.iterdir())

    def test_it_stays_where_something_is_worth_keeping(self, tmp_path):
        with pytest.raises(ValueError, match="no"), folder_unless_in_vain(tmp_path / "a", lambda: True):
            raise ValueError("no")
        assert (tmp_path / "a").exists()

    def test_what_was_there_stays(self, tmp_path):
        make_folder(tmp_path / "a")
        with pytest.raises(ValueError, match="no"), folder_unless_in_vain(tmp_path / "a", lambda: False):
            raise ValueError("no")
        assert (tmp_path / "a").exists()

    def test_what_others_began_beside_it_stays(self, tmp_path):
        with pytest.raises(FileExistsError), folder_unless_in_vain(tmp_path / "runs" / "a", lambda: False):
            make_folder(tmp_path / "runs" / "b").mkdir()
        assert [child.name for child in (tmp_path / "runs").iterdir()] == ["b"]


def test_what_makes_a_folder_impossible_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    assert file_in_the_way(tmp_path / "file") == tmp_path / "file"
    assert file_in_the_way(tmp_path / "file" / "deep" / "down") == tmp_path / "file"
    assert file_in_the_way(tmp_path / "new" / "folder") is None
    assert file_in_the_way(tmp_path) is None


def test_torn_files_of_ours_are_removed_and_nobody_else_s(tmp_path):
    kept = [".mine.part", ".step_1.safetensors.part", "step_1.safetensors", ".notes.txt.abcdefgh.part"]
    for name in (*kept, ".step_1.safetensors.abcdefgh.part", ".config.toml.x1y2z3_4.part"):
        (tmp_path / name).write_bytes(b"")
    remove_torn_files(tmp_path, ("*.safetensors", "config.toml"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_room_is_required_to_the_byte_and_what_lacks_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(total=10**12, free=12_300_000_000))
    require_room(tmp_path, 12_300_000_000)
    line = f"^{tmp_path}: 12.4 GB must be free on this disk, and only 12.3 GB are: make room, or choose"
    with pytest.raises(FrcnnError, match=line):
        require_room(tmp_path, 12_350_000_001)
    with pytest.raises(FrcnnError):
        require_room(tmp_path, 12_300_000_001)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(total=0, free=0))
    require_room(tmp_path, 1)


class TestFolderWrittenWhole:
    """A folder that is there with all that belongs into it, or not at all."""

    @pytest.mark.parametrize("exists", [True, False])
    def test_it_takes_its_place(self, tmp_path, exists):
        folder = tmp_path / "a" / "b"
        if exists:
            folder.mkdir(parents=True)
        with folder_written_whole(folder) as aside:
            assert aside.name == "b"
            (aside / "c").write_text("whole")
        assert (folder / "c").read_text() == "whole"
        assert [child.name for child in folder.parent.iterdir()] == ["b"]
        (tmp_path / "usual").mkdir()
        assert folder.stat().st_mode == (tmp_path / "usual").stat().st_mode

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_what_fails_leaves_nothing(self, tmp_path, error):
        def write_half():
            with folder_written_whole(tmp_path / "b") as aside:
                (aside / "c").write_text("ha")
                raise error

        with pytest.raises(error):
            write_half()
        assert not list(tmp_path.iterdir())

    def test_what_a_killed_process_left_goes(self, tmp_path):
        """And nothing else."""
        (tmp_path / ".b.abcdefgh.part" / "b").mkdir(parents=True)
        (tmp_path / ".b2.abcdefgh.part").mkdir()
        with folder_written_whole(tmp_path / "b"):
            pass
        assert sorted(child.name for child in tmp_path.iterdir()) == [".b2.abcdefgh.part", "b"]

    def test_errors_name_the_folder_or_what_was_to_be_copied(self, tmp_path):
        with (
            pytest.raises(FrcnnError, match=r"/b: cannot be read or written \(No such"),
            folder_written_whole(tmp_path / "b") as aside,
        ):
            (aside / "x" / "y").write_text("")
        with (
            pytest.raises(FrcnnError, match=r"/mine: cannot be read or written \(No such"),
            folder_written_whole(tmp_path / "b"),
        ):
            (tmp_path / "mine").read_text()

    def test_a_full_disk_is_that_of_the_copy(self, tmp_path):
        """What is copied lies elsewhere, and is in order."""
        with pytest.raises(FrcnnError) as caught, folder_written_whole(tmp_path / "b") as aside:
            raise OSError(errno.ENOSPC, "No space left on device", "mine.jpg", None, str(aside / "mine.jpg"))
        assert str(caught.value) == f"{tmp_path / 'b'}: cannot be read or written (No space left on device)"

    def test_not_the_folder_one_is_in(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for place in (Path(), tmp_path):
            with pytest.raises(UsageError, match="is the folder you are in: name a new folder in it"):
                require_new_folder(place)

    def test_a_folder_in_use_or_one_that_cannot_be(self, tmp_path):
        (tmp_path / "file").touch()
        for place in (tmp_path, tmp_path / "file", tmp_path / "file" / "b"):
            with pytest.raises(UsageError, match="name a new folder"):
                require_new_folder(place)
            with pytest.raises(UsageError, match="name a new folder"), folder_written_whole(place):
                pass


def test_a_copy_does_not_lie_in_its_original(tmp_path: Path) -> None:
    (tmp_path / "set/below").mkdir(parents=True)
    (tmp_path / "set/a.json").touch()
    (tmp_path / "alias").symlink_to(tmp_path / "set")
    require_folder_apart(tmp_path / "copy", [tmp_path / "set", tmp_path / "set/a.json"])
    require_folder_apart(tmp_path / "set-copy", [tmp_path / "set"])
    require_folder_apart(tmp_path / "set/copy", [tmp_path / "set/a.json"])  # beside a file there is room
    for original in ("set", "alias"):
        with pytest.raises(UsageError, match="which is not to be touched: name a folder elsewhere"):
            require_folder_apart(tmp_path / "set/below/copy", [tmp_path / original])
        with pytest.raises(UsageError, match="which is not to be touched"):
            require_folder_apart(tmp_path / "alias/copy", [tmp_path / original])
    with pytest.raises(UsageError, match="is there already and not empty"):
        require_folder_apart(tmp_path / "set", [])


def test_a_link_is_the_same_file_and_a_copy_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, alias = tmp_path / "a.jpg", tmp_path / "alias.jpg"
    source.write_bytes(b"picture")
    alias.symlink_to(source)
    link_or_copy(alias, tmp_path / "link.jpg")
    assert (tmp_path / "link.jpg").samefile(source)
    assert not (tmp_path / "link.jpg").is_symlink()

    def refused(*_: object) -> None:
        raise OSError("another disk")

    monkeypatch.setattr(os, "link", refused)
    link_or_copy(source, tmp_path / "copy.jpg")
    assert (tmp_path / "copy.jpg").read_bytes() == b"picture"
    assert not (tmp_path / "copy.jpg").samefile(source)
