import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from localhost import Server, serving

from frcnn import fetching
from frcnn.errors import FrcnnError
from frcnn.fetching import DownloadError, fetch_file

NAME = "net.pth"
CONTENT = bytes(range(256)) * 4096  # 1 MiB
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()[:8]
SIZE = len(CONTENT)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetching, "PAUSE", 0.001)
    with serving({NAME: CONTENT}) as running:
        yield running


def have(server: Server, folder: Path, checksum: str = CHECKSUM, name: str = NAME, **more: object) -> Path:
    """The call that most tests make: the file from this one server."""
    return fetch_file(folder / name, [f"{server.address}/models/{name}"], checksum, **more)


def assert_alone(path: Path) -> None:
    """Nothing but the file itself is left in the folder."""
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_a_whole_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = have(server, tmp_path / "new" / "folder", progress=lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "new" / "folder" / NAME
    assert_alone(path)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert have(server, path.parent) == path
    assert server.ranges == [None]


def test_a_transfer_cut_in_the_middle_is_continued(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 200_000]
    assert_alone(have(server, tmp_path))
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_continues_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    server.cuts = [1000] * fetching.ATTEMPTS
    with pytest.raises(DownloadError, match="ended after"):
        have(server, tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    assert_alone(have(server, tmp_path))
    assert server.ranges[-1] == f"bytes={1000 * fetching.ATTEMPTS}-"


def test_a_server_that_ignores_ranges_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    server.takes_ranges, server.cuts = False, [300_000]
    assert_alone(have(server, tmp_path))


@pytest.mark.parametrize("size", [None, len(CONTENT)])
@pytest.mark.parametrize("said", ["", f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}", f"bytes 1000-/{len(CONTENT)}"])
def test_a_server_that_calls_all_of_it_a_part_is_believed_by_what_it_sends(
    server: Server, tmp_path: Path, size: int | None, said: str
) -> None:
    server.partial_range = said
    path = tmp_path / NAME
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:1000])
    fetch_file(path, [f"{server.address}/{NAME}"], CHECKSUM, size)
    assert_alone(path)
    is_told = size is not None or said.startswith("bytes 0-")  # else the wrong checksum tells
    assert len(server.asked) == (1 if is_told else 2)


def test_a_whole_part_needs_no_further_byte(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert_alone(have(server, tmp_path))


@pytest.mark.parametrize("left", [b"of an older file", CONTENT + b"and more", bytes(len(CONTENT))])
def test_a_part_of_something_else_is_begun_again(server: Server, tmp_path: Path, left: bytes) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(left)
    assert_alone(have(server, tmp_path))


def test_a_wrong_file_in_the_folder_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"something else")
    assert_alone(have(server, tmp_path))


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="wrong checksum") as caught:
        have(server, tmp_path, "00000000")
    assert not list(tmp_path.iterdir())
    assert_one_line(caught.value, f"{server.address}/models/{NAME}", str(tmp_path / NAME))


@pytest.mark.parametrize("length", ["\xb2", "9" * 400, "9" * 5000])
def test_a_length_that_is_no_number_of_bytes_is_none(server: Server, tmp_path: Path, length: str) -> None:
    server.length = length
    assert_alone(have(server, tmp_path))


def test_an_absent_file_is_asked_for_once(server: Server, tmp_path: Path) -> None:
    server.statuses = [404] * 9
    with pytest.raises(DownloadError, match="HTTP 404") as caught:
        have(server, tmp_path)
    assert len(server.ranges) == 1
    assert not list(tmp_path.iterdir())
    assert_one_line(caught.value, f"{server.address}/models/{NAME}", str(tmp_path))


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert_alone(have(server, tmp_path))
    server.statuses = [503] * 9
    with pytest.raises(DownloadError, match="HTTP 503"):
        have(server, tmp_path, name="other.pth")
    assert len(server.ranges) == 3 + fetching.ATTEMPTS


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSE", 0.001)
    with pytest.raises(DownloadError, match="refused") as caught:
        fetch_file(tmp_path / NAME, ["http://127.0.0.1:9/net.pth"], CHECKSUM)
    assert_one_line(caught.value, "http://127.0.0.1:9/net.pth", str(tmp_path / "net.pth"))


def test_a_server_that_falls_silent(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT", 0.05)
    monkeypatch.setattr(fetching, "ATTEMPTS", 2)
    server.delay = 0.3
    with pytest.raises(DownloadError, match="timed out"):
        have(server, tmp_path)


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be written") as caught:
        have(server, tmp_path / "file")
    assert_one_line(caught.value, str(tmp_path / "file"))


def test_two_processes_at_once_fetch_it_once(server: Server, tmp_path: Path) -> None:
    server.delay = 0.5
    program = f"""
import sys
from pathlib import Path
from frcnn.fetching import fetch_file
print("ready", flush=True)
sys.stdin.readline()
fetch_file(Path({str(tmp_path / NAME)!r}), [{f"{server.address}/{NAME}"!r}], {CHECKSUM!r})
"""
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in running:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=60)
    assert [process.returncode for process in running] == [0, 0]
    assert len(server.ranges) == 1
    assert_alone(tmp_path / NAME)


def test_threads_that_meet_a_failure_leave_the_lock_free(server: Server, tmp_path: Path) -> None:
    server.delay, server.statuses = 0.02, [404, 404]
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            outcomes.append(have(server, tmp_path).name)
        except DownloadError:
            outcomes.append("failed")

    threads = [threading.Thread(target=attempt) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert outcomes.count("failed") == 2
    assert len(server.ranges) == 3
    assert_alone(tmp_path / NAME)


class TestSeveralServers:
    """One after the other, with one part for all of them."""

    @pytest.fixture
    def second(self) -> Iterator[Server]:
        with serving({NAME: CONTENT}) as running:
            yield running

    def have(self, servers: list[Server], folder: Path, size: int | None = None) -> Path:
        return fetch_file(folder / NAME, [f"{server.address}/{NAME}" for server in servers], CHECKSUM, size)

    def test_the_second_is_left_alone_where_the_first_has_the_file(self, server, second, tmp_path) -> None:
        assert_alone(self.have([server, second], tmp_path))
        assert second.asked == []

    def test_the_second_has_what_the_first_has_not(self, server, second, tmp_path) -> None:
        server.files.clear()
        assert_alone(self.have([server, second], tmp_path))
        assert (server.ranges, second.ranges) == ([None], [None])

    def test_the_second_continues_what_the_first_began(self, server, second, tmp_path) -> None:
        server.cuts = [300_000, *[0] * fetching.ATTEMPTS]
        assert_alone(self.have([server, second], tmp_path))
        assert second.ranges == ["bytes=300000-"]

    def test_the_second_begins_again_where_the_first_sent_something_else(self, server, second, tmp_path) -> None:
        server.files[NAME] = bytes(SIZE)
        server.cuts = [300_000, *[0] * fetching.ATTEMPTS]
        assert_alone(self.have([server, second], tmp_path))
        assert second.ranges == ["bytes=300000-", None]

    def test_a_wrong_file_on_the_first_is_not_the_end(self, server, second, tmp_path) -> None:
        server.files[NAME] = bytes(SIZE)
        assert_alone(self.have([server, second], tmp_path))

    def test_one_with_another_size_costs_nothing_of_what_came(self, server, second, tmp_path) -> None:
        """Such as a page, said to be found, that asks to pay for the network."""
        (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:300_000])
        server.files[NAME], server.takes_ranges = b"<html>Welcome!</html>", False
        assert_alone(self.have([server, second], tmp_path, SIZE))
        assert (server.ranges, second.ranges) == (["bytes=300000-"], ["bytes=300000-"])

    def test_one_with_a_shorter_file_costs_nothing_of_what_came(self, server, second, tmp_path) -> None:
        (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:300_000])
        server.files[NAME] = CONTENT[:200_000]
        assert_alone(self.have([server, second], tmp_path, SIZE))
        assert (server.ranges, second.ranges) == (["bytes=300000-"], ["bytes=300000-"])

    def test_all_reasons_stand_in_one_line(self, server, second, tmp_path) -> None:
        server.statuses, second.statuses = [404], [403]
        with pytest.raises(DownloadError) as caught:
            self.have([server, second], tmp_path)
        reasons = (f"{server.address}/{NAME} (HTTP 404", f"nor from {second.address.removeprefix('http://')} (HTTP 403")
        assert_one_line(caught.value, *reasons, str(tmp_path / NAME))
        assert not list(tmp_path.iterdir())


class TestAKnownSize:
    """What is known beforehand spares requests, and bytes."""

    def test_a_whole_part_needs_no_request(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
        assert_alone(have(server, tmp_path, size=SIZE))
        assert server.asked == []

    @pytest.mark.parametrize("left", [b"of another file", bytes(SIZE), CONTENT + b"and more"])
    def test_a_part_of_something_else_is_begun_again(self, server: Server, tmp_path: Path, left: bytes) -> None:
        (tmp_path / f"{NAME}.part").write_bytes(left)
        assert_alone(have(server, tmp_path, size=SIZE))

    def test_a_file_of_another_size_is_replaced(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / NAME).write_bytes(CONTENT[:-1])
        assert_alone(have(server, tmp_path, "", size=SIZE))

    def test_a_server_that_does_not_say_how_much_it_sends(self, server: Server, tmp_path: Path) -> None:
        server.says_length, server.cuts = False, [300_000]
        seen: list[tuple[int, int | None]] = []
        assert_alone(have(server, tmp_path, size=SIZE, progress=lambda done, total: seen.append((done, total))))
        assert server.ranges == [None, "bytes=300000-"]
        assert seen[-1] == (SIZE, SIZE)

    def test_a_server_that_never_ends_is_left(self, server: Server, tmp_path: Path) -> None:
        server.says_length, server.files[NAME] = False, CONTENT * 20
        with pytest.raises(DownloadError, match=f"the server sent more than the file's {fetching.CHUNK // 2} bytes"):
            have(server, tmp_path, size=fetching.CHUNK // 2)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= fetching.CHUNK


def test_a_connection_that_brings_much_may_break_often(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MUCH", 100_000)
    server.cuts = [100_000] * 2 * fetching.ATTEMPTS
    assert_alone(have(server, tmp_path))


def test_one_that_begins_anew_each_time_may_not(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MUCH", 100_000)
    server.takes_ranges, server.cuts = False, [50_000, 150_000] * 50
    with pytest.raises(DownloadError, match="ended after"):
        have(server, tmp_path)
    assert len(server.asked) == fetching.ATTEMPTS + 1  # the second brought more than there ever was


@pytest.mark.parametrize(("there", "wanted"), [(0, SIZE), (300_000, SIZE - 300_000)])
def test_a_disk_without_room_is_a_line_before_anything_is_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: int, wanted: int
) -> None:
    part = tmp_path / f"{NAME}.part"
    part.write_bytes(CONTENT[:there])
    free = [wanted - 1]
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(total=10**12, free=free[0]))
    with pytest.raises(FrcnnError, match="must be free on this disk") as caught:
        have(server, tmp_path)
    assert_one_line(caught.value, str(tmp_path))
    assert part.stat().st_size == there
    free[0] += 1
    assert_alone(have(server, tmp_path))


def assert_one_line(error: Exception, *parts: str) -> None:
    message = str(error)
    assert "\n" not in message
    for part in parts:
        assert part in message
