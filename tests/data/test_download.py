import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from localhost import Server, serving
from small_archives import COCO, SERVED, SMALL, TEST, TRAINVAL, archive_of, tar_of

from frcnn import fetching
from frcnn.data import download as downloading
from frcnn.data.archives import PUBLISHED, Part
from frcnn.data.download import download
from frcnn.data.recognise import find_sources
from frcnn.data.voc import VocSet
from frcnn.errors import DataError, FrcnnError, UsageError
from frcnn.fetching import DownloadError

FILES = TRAINVAL | TEST
ARCHIVES = ("trainval.tar", "test.tar")


@pytest.fixture(autouse=True)
def small_data_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSE", 0.001)
    for name, published in SMALL.items():
        monkeypatch.setitem(PUBLISHED, name, published)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(dict(SERVED)) as running:
        yield running


def have(server: Server, folder: Path, name: str = "voc2007", keep_archives: bool = False) -> Path:
    return download(name, folder, [server.address], keep_archives)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_whole(folder: Path) -> None:
    """All that belongs there, and nothing else: no parts, no locks, no folder of an unpacking."""
    assert contents(folder) == FILES
    assert [path.name for path in folder.iterdir()] == ["VOCdevkit"]


def test_voc_is_laid_out_as_the_devkit_has_it(server: Server, tmp_path: Path) -> None:
    assert have(server, tmp_path / "new" / "data") == tmp_path / "new" / "data" / "VOCdevkit"
    assert_whole(tmp_path / "new" / "data")
    (voc,) = find_sources(tmp_path / "new" / "data" / "VOCdevkit")
    assert isinstance(voc, VocSet)
    assert voc.splits == {"trainval": ("000001", "000002", "000003"), "test": ("000004", "000005")}
    assert [name for name, _ in server.asked] == list(ARCHIVES)


def test_coco_is_three_folders(server: Server, tmp_path: Path) -> None:
    assert have(server, tmp_path, "coco2017") == tmp_path
    assert contents(tmp_path) == {name: data for part in COCO.values() for name, data in part.items()}


def test_archives_stay_where_that_is_wished(server: Server, tmp_path: Path) -> None:
    have(server, tmp_path, keep_archives=True)
    assert contents(tmp_path) == FILES | {name: SERVED[name] for name in ARCHIVES}


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    have(server, tmp_path)
    (tmp_path / "VOCdevkit" / "VOC2007" / "JPEGImages" / "mine.jpg").write_bytes(b"more than was published")
    server.asked.clear()
    have(server, tmp_path)
    assert server.asked == []
    assert (tmp_path / "VOCdevkit" / "VOC2007" / "JPEGImages" / "mine.jpg").exists()


def test_only_the_part_that_lacks_is_fetched(server: Server, tmp_path: Path) -> None:
    have(server, tmp_path, "coco2017")
    shutil.rmtree(tmp_path / "val2017")
    server.asked.clear()
    have(server, tmp_path, "coco2017")
    assert server.asked == [("val2017.zip", None)]
    assert (tmp_path / "val2017" / "000000000001.jpg").read_bytes() == b"one"


def test_an_archive_put_there_by_hand_is_not_fetched(server: Server, tmp_path: Path) -> None:
    (tmp_path / "trainval.tar").write_bytes(SERVED["trainval.tar"])
    have(server, tmp_path)
    assert [name for name, _ in server.asked] == ["test.tar"]
    assert_whole(tmp_path)


def test_another_year_is_a_neighbour(server: Server, tmp_path: Path) -> None:
    (tmp_path / "VOCdevkit" / "VOC2012").mkdir(parents=True)
    have(server, tmp_path)
    assert {path.name for path in (tmp_path / "VOCdevkit").iterdir()} == {"VOC2007", "VOC2012"}


def test_a_cut_transfer_is_continued(server: Server, tmp_path: Path) -> None:
    server.cuts = [5000]
    have(server, tmp_path)
    assert server.asked == [("trainval.tar", None), ("trainval.tar", "bytes=5000-"), ("test.tar", None)]
    assert_whole(tmp_path)


def test_the_next_mirror_where_the_first_is_dead(server: Server, tmp_path: Path) -> None:
    download("voc2007", tmp_path, ["http://127.0.0.1:9/", f"{server.address}/deep/folder/"])
    assert_whole(tmp_path)


def test_without_a_mirror_the_published_servers_are_asked_in_their_order(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,) = SMALL["voc2007"].parts
    servers = ("http://127.0.0.1:9", server.address)
    archives = tuple(replace(archive, servers=servers) for archive in part.archives)
    published = replace(SMALL["voc2007"], parts=(replace(part, archives=archives),))
    monkeypatch.setitem(PUBLISHED, "voc2007", published)
    download("voc2007", tmp_path)
    assert_whole(tmp_path)


class TestRefusals:
    """One line, and nothing that looks whole."""

    def test_a_wrong_checksum(self, server: Server, tmp_path: Path) -> None:
        content = SERVED["test.tar"]
        server.files["test.tar"] = content[:-1] + b"x"
        with pytest.raises(DownloadError, match=r"test\.tar: cannot be fetched from .* wrong checksum"):
            have(server, tmp_path)
        assert contents(tmp_path) == {"trainval.tar": SERVED["trainval.tar"]}

    def test_a_file_that_is_not_there(self, server: Server, tmp_path: Path) -> None:
        server.files.clear()
        with pytest.raises(DownloadError, match="HTTP 404"):
            have(server, tmp_path / "new")
        assert not (tmp_path / "new").exists()

    def test_no_network(self, tmp_path: Path) -> None:
        with pytest.raises(DownloadError, match="refused") as caught:
            download("voc2007", tmp_path / "new")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize("place", ["data", "data/VOCdevkit/VOC2007"])
    def test_a_file_in_the_way(self, server: Server, tmp_path: Path, place: str) -> None:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("in the way")
        with pytest.raises(UsageError, match=str(tmp_path / place)):
            have(server, tmp_path / "data")
        assert server.asked == []
        assert (tmp_path / place).read_text() == "in the way"

    def test_a_folder_in_the_way(self, server: Server, tmp_path: Path) -> None:
        pictures = tmp_path / "VOCdevkit" / "VOC2007" / "JPEGImages"
        pictures.mkdir(parents=True)
        (pictures / "000001.jpg").write_bytes(b"half a set")
        with pytest.raises(
            UsageError, match=r"VOC2007: is in the way, and not whole \(1 of 5 files JPEGImages/\*.jpg\)"
        ):
            have(server, tmp_path)
        assert server.asked == []
        assert contents(tmp_path) == {"VOCdevkit/VOC2007/JPEGImages/000001.jpg": b"half a set"}

    def test_a_name_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"voc2005.*voc2007, voc2012, coco2017"):
            download("voc2005", tmp_path)

    def test_a_mirror_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="'localhost' is no address"):
            download("voc2007", tmp_path / "new", ["localhost"])
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize(
        ("member", "reason"), [("../../out", "leads out of the folder"), ("VOCdevkit/VOC2006/a", "has no folder VOC")]
    )
    def test_an_archive_that_is_not_what_it_should_be(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str, reason: str
    ) -> None:
        """Its checksum is right, as it would be if whoever published it had been evil."""
        monkeypatch.setitem(SERVED, "evil.tar", tar_of({member: b""}))
        (part,) = SMALL["voc2007"].parts
        published = replace(SMALL["voc2007"], parts=(replace(part, archives=(archive_of("evil.tar"),)),))
        monkeypatch.setitem(PUBLISHED, "voc2007", published)
        server.files.update(SERVED)
        with pytest.raises(DataError, match=reason):
            have(server, tmp_path / "deep" / "data")
        assert list(contents(tmp_path)) == ["deep/data/evil.tar"]

    def test_what_cannot_be_changed(self, server: Server, tmp_path: Path) -> None:
        """An old unpacking that is no folder, as nobody but a person can have made it."""
        (tmp_path / ".unpacking-VOC2007").write_text("a note")
        with pytest.raises(FrcnnError, match=r"\.unpacking-VOC2007: cannot be changed \(Not a directory\)"):
            have(server, tmp_path)


class TestRoom:
    """How much must be free on the disk before anything is fetched."""

    def needed(self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, keep_archives: bool = False) -> int:
        """The least with which it begins; a mirror that is dead ends it there."""
        asked: list[int] = []
        monkeypatch.setattr(downloading, "require_room", lambda folder, size: asked.append(size))
        with pytest.raises(DownloadError):
            download(name, folder, keep_archives=keep_archives)
        (size,) = asked
        return size

    def test_an_archive_and_what_it_unpacks_to(self, tmp_path, monkeypatch) -> None:
        sizes = sum(len(SERVED[name]) for name in ARCHIVES)
        assert self.needed("voc2007", tmp_path, monkeypatch) == sizes + 2 * 100_000

    def test_what_was_fetched_already_needs_no_more(self, tmp_path, monkeypatch) -> None:
        (tmp_path / "trainval.tar").write_bytes(SERVED["trainval.tar"])
        (tmp_path / "test.tar.part").write_bytes(SERVED["test.tar"][:1000])
        assert self.needed("voc2007", tmp_path, monkeypatch) == len(SERVED["test.tar"]) - 1000 + 2 * 100_000

    def test_an_archive_that_is_unpacked_makes_room_for_the_next(self, tmp_path, monkeypatch) -> None:
        last = len(SERVED["train2017.zip"])
        assert self.needed("coco2017", tmp_path, monkeypatch) == 3 * 100_000 + last
        kept = last + len(SERVED["val2017.zip"]) + len(SERVED["annotations.zip"])
        assert self.needed("coco2017", tmp_path, monkeypatch, keep_archives=True) == 3 * 100_000 + kept

    def test_the_most_may_be_needed_early(self, tmp_path, monkeypatch) -> None:
        """Where the largest archive comes first and all are unpacked to almost nothing."""
        archives = [archive_of(f"{name}.zip", unpacked=2) for name in ("train2017", "val2017", "annotations")]
        parts = tuple(Part(archive.name, (archive,), "*", 1) for archive in archives)
        monkeypatch.setitem(PUBLISHED, "coco2017", replace(SMALL["coco2017"], parts=parts))
        assert self.needed("coco2017", tmp_path, monkeypatch) == len(SERVED["train2017.zip"]) + 2

    def test_what_a_kill_left_of_an_unpacking_goes_first(self, server, tmp_path, monkeypatch) -> None:
        """Else a disk that was large enough for the first try would be too small for the second."""
        left = tmp_path / ".unpacking-VOC2007"
        left.mkdir()
        monkeypatch.setattr(downloading, "require_room", lambda folder, size: left.rmdir())
        with pytest.raises(FrcnnError, match="No such file"):
            have(server, tmp_path)

    def test_a_disk_too_small_is_a_line_before_anything_is_fetched(self, server, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(total=10**12, free=200_000))
        with pytest.raises(FrcnnError, match=r"must be free on this disk, and only 200\.0 kB are"):
            have(server, tmp_path / "new")
        assert server.asked == []
        assert not (tmp_path / "new").exists()


STOP = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from frcnn.data import download as downloading
from frcnn.data.archives import PUBLISHED, Archive, Part, Published

@contextmanager
def dies(description):
    def advance(done, total):
        if description == {at!r} and done > {after!r}:
            os.kill(os.getpid(), signal.SIGKILL)
    yield advance

PUBLISHED["voc2007"] = {published!r}
downloading.progress_bar = dies
downloading.download("voc2007", Path({folder!r}), [{mirror!r}])
"""


class TestKilled:
    """By a signal that no process can answer, at a moment that is chosen; then the same call once more."""

    def kill(self, server: Server, folder: Path, at: str, after: int = 0) -> None:
        values = {"at": at, "after": after, "published": SMALL["voc2007"]}
        program = STOP.format(**values, folder=str(folder), mirror=server.address)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not (folder / "VOCdevkit").exists()
        server.asked.clear()

    def test_while_it_fetches(self, server: Server, tmp_path: Path) -> None:
        server.cuts = [5000]
        self.kill(server, tmp_path, "fetching trainval.tar")
        assert (tmp_path / "trainval.tar.part").stat().st_size == 5000
        have(server, tmp_path)
        assert server.asked == [("trainval.tar", "bytes=5000-"), ("test.tar", None)]
        assert_whole(tmp_path)

    def test_while_it_unpacks(self, server: Server, tmp_path: Path) -> None:
        """In the middle of the second archive."""
        self.kill(server, tmp_path, "unpacking test.tar", 3000)
        left = contents(tmp_path / ".unpacking-VOC2007")
        assert TRAINVAL.items() < left.items()
        assert left.keys() < FILES.keys()
        (tmp_path / ".unpacking-VOC2007" / "VOCdevkit" / "VOC2007" / "torn").write_bytes(b"of an older try")
        have(server, tmp_path)
        assert server.asked == []
        assert_whole(tmp_path)


def test_a_disk_that_fills_up_is_a_line_and_what_came_is_kept(server: Server, tmp_path: Path) -> None:
    """A bound on the size of a file stands for the disk: the system refuses to write on in the same way."""
    values = {"at": "", "after": 0, "published": SMALL["voc2007"], "folder": str(tmp_path), "mirror": server.address}
    program = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))\n{STOP.format(**values)}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    line = f"{tmp_path / 'trainval.tar'} cannot be written (File too large)"
    assert done.stderr.endswith(f"DownloadError: {server.address}/trainval.tar: {line}\n")
    assert (tmp_path / "trainval.tar.part").read_bytes() == SERVED["trainval.tar"][:8000]
    have(server, tmp_path)
    assert ("trainval.tar", "bytes=8000-") in server.asked
    assert_whole(tmp_path)


@pytest.mark.parametrize("at", ["fetching test.tar", "unpacking trainval.tar"])
def test_ctrl_c_says_that_the_same_command_goes_on(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    @contextmanager
    def interrupted(description: str) -> Iterator[object]:
        def advance(done: int, total: int | None) -> None:
            if description == at:
                raise KeyboardInterrupt

        yield advance

    with monkeypatch.context() as patch:
        patch.setattr(downloading, "progress_bar", interrupted)
        with pytest.raises(KeyboardInterrupt, match=f"stays in {tmp_path}, and the same command goes on from there"):
            have(server, tmp_path)
    assert "trainval.tar" in contents(tmp_path)
    assert not (tmp_path / ".unpacking-VOC2007").exists()
    assert not (tmp_path / "VOCdevkit").exists()
    server.asked.clear()
    have(server, tmp_path)
    assert "trainval.tar" not in [name for name, _ in server.asked]
    assert_whole(tmp_path)


def test_two_processes_at_once_do_the_work_once(server: Server, tmp_path: Path) -> None:
    server.delay = 0.2
    program = STOP.format(at="", after=0, published=SMALL["voc2007"], folder=str(tmp_path), mirror=server.address)
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    assert [name for name, _ in server.asked] == list(ARCHIVES)
    assert_whole(tmp_path)
