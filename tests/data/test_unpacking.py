"""Archives, honest and evil. What an evil one would reach for lies beside the folder, and must not change."""

import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from frcnn.data.unpacking import BLOCK, unpack
from frcnn.errors import DataError, FrcnnError

PLENTY = 10_000_000
Make = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where it goes; a neighbour lies beside it."""
    (tmp_path / "neighbour").write_text("untouched")
    return tmp_path / "deep" / "folder"


def make_tar(path: Path, *entries: tuple[str, bytes] | tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as file:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                file.addfile(entry)
            else:
                member = tarfile.TarInfo(entry[0])
                member.size = len(entry[1])
                file.addfile(member, io.BytesIO(entry[1]))
    return path


def make_zip(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


MAKERS = pytest.mark.parametrize(("make", "name"), [(make_tar, "a.tar"), (make_zip, "a.zip")])


def tar_entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def zip_entry(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, mode << 16  # packed on a Unix
    return entry


def assert_refused(archive: Path, folder: Path, *parts: str, at_most: int = PLENTY) -> None:
    """In one line, with nothing written: neither outside nor inside."""
    with pytest.raises(DataError) as caught:
        unpack(archive, folder, at_most)
    for part in (str(archive), *parts):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path.name for path in archive.parent.iterdir()} == {archive.name, "neighbour"}
    assert (archive.parent / "neighbour").read_text() == "untouched"


@MAKERS
def test_files_and_folders_are_unpacked(tmp_path: Path, folder: Path, make: Make, name: str) -> None:
    seen: list[tuple[int, int | None]] = []
    archive = make(tmp_path / name, ("VOC/a.txt", b"one"), ("VOC/b/c.jpg", b"two" * 1000), ("./top", b""))
    unpack(archive, folder, PLENTY, lambda done, total: seen.append((done, total)))
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {"VOC/a.txt": b"one", "VOC/b/c.jpg": b"two" * 1000, "top": b""}
    assert seen == [(3, 3003), (3003, 3003)]


def test_empty_folders_too(tmp_path: Path, folder: Path) -> None:
    unpack(make_tar(tmp_path / "a.tar", tar_entry("x/y", tarfile.DIRTYPE)), folder / "tar", PLENTY)
    unpack(make_zip(tmp_path / "a.zip", ("x/y/", b"")), folder / "zip", PLENTY)
    assert (folder / "tar" / "x" / "y").is_dir()
    assert (folder / "zip" / "x" / "y").is_dir()


def test_two_archives_into_one_folder(tmp_path: Path, folder: Path) -> None:
    for part in ("trainval", "test"):
        unpack(make_tar(tmp_path / "a.tar", (f"VOC/{part}.txt", part.encode())), folder, PLENTY)
    assert sorted(path.name for path in (folder / "VOC").iterdir()) == ["test.txt", "trainval.txt"]


def test_rights_in_the_archive_are_not_taken_over(tmp_path: Path, folder: Path) -> None:
    """Such as that a file runs as its owner, or that nobody may read it."""
    entry = tarfile.TarInfo("a")
    entry.mode = 0o4000
    unpack(make_tar(tmp_path / "a.tar", entry), folder, PLENTY)
    (tmp_path / "other").write_bytes(b"")
    assert (folder / "a").stat().st_mode == (tmp_path / "other").stat().st_mode


@MAKERS
@pytest.mark.parametrize(
    "evil",
    ["../neighbour", "a/../../neighbour", "/etc/x", "..", "..\\neighbour", "a\\..\\..\\b", "C:\\x", "C:x", "//host/x"],
)
def test_a_member_that_leads_out_is_refused(tmp_path: Path, folder: Path, make: Make, name: str, evil: str) -> None:
    archive = make(tmp_path / name, ("fine.txt", b"fine"), (evil, b"evil"))
    assert_refused(archive, folder, repr(evil), "leads out of the folder")


def test_an_absolute_member_does_not_reach_its_place(tmp_path: Path, folder: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", (str(tmp_path / "neighbour"), b"evil"))
    assert_refused(archive, folder, str(tmp_path / "neighbour"), "leads out")


@pytest.mark.parametrize(
    ("kind", "target", "word"),
    [
        (tarfile.SYMTYPE, "../../neighbour", "is a link"),
        (tarfile.SYMTYPE, "/etc", "is a link"),
        (tarfile.SYMTYPE, "fine.txt", "is a link"),  # even this one: nothing needs it
        (tarfile.LNKTYPE, "../neighbour", "is a link"),
        (tarfile.LNKTYPE, "fine.txt", "is a link"),
        (tarfile.CHRTYPE, "", "is a device"),
        (tarfile.BLKTYPE, "", "is a device"),
        (tarfile.FIFOTYPE, "", "is a device"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(
    tmp_path: Path, folder: Path, kind: bytes, target: str, word: str
) -> None:
    evil = tar_entry("evil", kind, target)
    archive = make_tar(tmp_path / "a.tar", ("fine.txt", b"fine"), evil, ("evil/through", b"written through it"))
    assert_refused(archive, folder, "'evil'", word)


@pytest.mark.parametrize(
    ("kind", "word"), [(stat.S_IFLNK, "is a link"), (stat.S_IFCHR, "is a device"), (stat.S_IFIFO, "is a device")]
)
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, folder: Path, kind: int, word: str) -> None:
    archive = make_zip(tmp_path / "a.zip", ("fine", b"fine"), (zip_entry("evil", kind | 0o777), b"../../neighbour"))
    assert_refused(archive, folder, "'evil'", word)


def test_a_name_with_a_line_break_stays_one_line(tmp_path: Path, folder: Path) -> None:
    assert_refused(make_tar(tmp_path / "a.tar", ("../a\nb", b"")), folder, r"'../a\nb'")


class TestBombs:
    """Small archives of large contents."""

    def test_zeros_in_a_zip(self, tmp_path: Path, folder: Path) -> None:
        archive = make_zip(tmp_path / "a.zip", ("zeros", bytes(PLENTY)))
        assert archive.stat().st_size < PLENTY / 100
        assert_refused(archive, folder, "would unpack to 10.0 MB", "1.0 MB", at_most=1_000_000)

    def test_one_that_hides_its_size_is_damaged_and_stops_there(self, tmp_path: Path, folder: Path) -> None:
        """Both headers say 5 bytes: no more than that is written."""
        archive = make_zip(tmp_path / "a.zip", ("zeros", bytes(PLENTY)))
        size = struct.pack("<I", PLENTY)
        content = archive.read_bytes()
        assert content.count(size) == 2
        archive.write_bytes(content.replace(size, struct.pack("<I", 5)))
        with pytest.raises(DataError, match=r"is damaged \(Bad CRC-32"):
            unpack(archive, folder, 1_000_000)
        assert (folder / "zeros").stat().st_size <= 5

    def test_holes_in_a_tar(self, tmp_path: Path, folder: Path) -> None:
        """A sparse file has the size it will have, not the one it takes in the archive."""
        entry = tarfile.TarInfo("holes")
        entry.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.realsize": str(PLENTY), "GNU.sparse.map": "0,0"}
        entry.pax_headers |= {"GNU.sparse.minor": "1", "GNU.sparse.size": str(PLENTY)}
        archive = tmp_path / "a.tar"
        with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as file:
            file.addfile(entry)
        with tarfile.open(archive) as file:
            assert file.getmember("holes").size == PLENTY  # else it tests nothing
        assert_refused(archive, folder, "would unpack to 10.0 MB", at_most=1_000_000)

    def test_very_many_empty_files(self, tmp_path: Path, folder: Path) -> None:
        """Each takes its place on the disk."""
        archive = make_zip(tmp_path / "a.zip", *((str(number), b"") for number in range(10)))
        assert_refused(archive, folder, "would unpack to 41.0 kB", at_most=10 * BLOCK - 1)
        unpack(archive, folder, 10 * BLOCK)

    @pytest.mark.parametrize("size", [-512, -PLENTY])
    def test_a_size_below_nothing(self, tmp_path: Path, folder: Path, size: int) -> None:
        """It would make room for others in the sum, or lead back to where it stands itself."""
        entry = tarfile.TarInfo("negative")
        entry.pax_headers = {"size": str(size)}
        archive = tmp_path / "a.tar"
        with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as file:
            file.addfile(entry)
        assert_refused(archive, folder, "'negative' has a size below 0")


@MAKERS
def test_a_disk_without_room_is_a_line(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, make: Make, name: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(total=10**12, free=3 * BLOCK - 1))
    archive = make(tmp_path / name, ("a", bytes(BLOCK + 1)), ("b", b"1"))
    with pytest.raises(FrcnnError, match="must be free on this disk"):
        unpack(archive, folder, PLENTY)
    assert not list(folder.iterdir())


@MAKERS
def test_a_name_that_comes_twice_is_refused(tmp_path: Path, folder: Path, make: Make, name: str) -> None:
    archive = make(tmp_path / name, ("b", b""), ("a", b"first"), ("./a", b"second"))
    assert_refused(archive, folder, "'./a' comes twice: delete the archive")


@MAKERS
def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path, folder: Path, make: Make, name: str) -> None:
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(b"mine")
    with pytest.raises(FrcnnError, match="File exists"):
        unpack(make(tmp_path / name, ("a", b"other")), folder, PLENTY)
    assert (folder / "a").read_bytes() == b"mine"


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", ("a", b""))
    (tmp_path / "folder").write_text("")
    with pytest.raises(FrcnnError, match=f"{archive}: cannot be unpacked into {tmp_path / 'folder'}"):
        unpack(archive, tmp_path / "folder", PLENTY)


def encrypted(path: Path) -> Path:
    content = bytearray(make_zip(path, ("a", b"secret")).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    content[6] |= 1
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_what_is_no_archive_is_damaged(tmp_path: Path, folder: Path, name: str) -> None:
    for content in (b"", b"nonsense" * 1000):
        (tmp_path / name).write_bytes(content)
        assert_refused(tmp_path / name, folder, "is damaged")


def test_an_archive_that_is_cut_is_damaged(tmp_path: Path, folder: Path) -> None:
    noise = bytes(range(256)) * 100
    for archive in (make_tar(tmp_path / "a.tar", ("a", noise)), make_zip(tmp_path / "a.zip", ("a", noise))):
        archive.write_bytes(archive.read_bytes()[:-11_000] if archive.suffix == ".tar" else archive.read_bytes()[:-30])
        with pytest.raises(DataError, match="is damaged"):
            unpack(archive, folder, PLENTY)


def test_a_bit_that_turned_in_a_zip_is_found(tmp_path: Path, folder: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:  # stored as it is
        file.writestr("a", b"right")
    archive.write_bytes(archive.read_bytes().replace(b"right", b"wrong"))
    with pytest.raises(DataError, match="Bad CRC-32"):
        unpack(archive, folder, PLENTY)


def test_a_zip_with_a_password_is_a_line(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="encrypted"):
        unpack(encrypted(tmp_path / "a.zip"), folder, PLENTY)
