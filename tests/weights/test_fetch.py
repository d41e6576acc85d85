import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from frcnn.weights import fetch as fetching
from frcnn.weights.fetch import DownloadError, checksum_in_name, fetch

CONTENT = bytes(range(256)) * 4096  # 1 MiB
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()[:8]


@dataclass
class Server:
    """What the server on localhost does, and what was asked of it."""

    url: str = ""
    content: bytes = CONTENT
    takes_ranges: bool = True
    cuts: list[int] = field(default_factory=list)  # the n-th answer ends after so many bytes
    statuses: list[int] = field(default_factory=list)  # the n-th answer is this error
    delay: float = 0.0
    ranges: list[str | None] = field(default_factory=list)  # the Range header of each request


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetching, "PAUSE", 0.001)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.ranges.append(asked)
            threading.Event().wait(state.delay)
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.takes_ranges else 0
            if start and start >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.end_headers()
                return
            rest = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: state.cuts.pop(0)] if state.cuts else rest)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{running.server_port}/models/net-{CHECKSUM}.pth"
        yield state
        running.shutdown()
        thread.join()


def assert_alone(path: Path) -> None:
    """Nothing but the file itself is left in the folder."""
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_a_whole_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(server.url, CHECKSUM, tmp_path / "new" / "folder", lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "new" / "folder" / f"net-{CHECKSUM}.pth"
    assert_alone(path)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(server.url, CHECKSUM, path.parent) == path
    assert server.ranges == [None]


def test_the_default_folder_is_torch_hubs(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert fetch(server.url).parent == tmp_path / "checkpoints"


def test_a_transfer_cut_in_the_middle_is_continued(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 200_000]
    assert_alone(fetch(server.url, CHECKSUM, tmp_path))
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_continues_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    server.cuts = [1000] * fetching.ATTEMPTS
    with pytest.raises(DownloadError, match="ended after"):
        fetch(server.url, CHECKSUM, tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    assert_alone(fetch(server.url, CHECKSUM, tmp_path))
    assert server.ranges[-1] == f"bytes={1000 * fetching.ATTEMPTS}-"


def test_a_server_that_ignores_ranges_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    server.takes_ranges, server.cuts = False, [300_000]
    assert_alone(fetch(server.url, CHECKSUM, tmp_path))


def test_a_whole_part_needs_no_further_byte(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"net-{CHECKSUM}.pth.part").write_bytes(CONTENT)
    assert_alone(fetch(server.url, CHECKSUM, tmp_path))


@pytest.mark.parametrize("left", [b"of an older file", CONTENT + b"and more", bytes(len(CONTENT))])
def test_a_part_of_something_else_is_begun_again(server: Server, tmp_path: Path, left: bytes) -> None:
    (tmp_path / f"net-{CHECKSUM}.pth.part").write_bytes(left)
    assert_alone(fetch(server.url, CHECKSUM, tmp_path))


def test_a_wrong_file_in_the_folder_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"net-{CHECKSUM}.pth").write_bytes(b"something else")
    assert_alone(fetch(server.url, CHECKSUM, tmp_path))


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="wrong checksum") as caught:
        fetch(server.url, "00000000", tmp_path)
    assert not list(tmp_path.iterdir())
    assert_one_line(caught.value, server.url, str(tmp_path / f"net-{CHECKSUM}.pth"))


def test_an_absent_file_is_asked_for_once(server: Server, tmp_path: Path) -> None:
    server.statuses = [404] * 9
    with pytest.raises(DownloadError, match="HTTP 404") as caught:
        fetch(server.url, CHECKSUM, tmp_path)
    assert len(server.ranges) == 1
    assert not list(tmp_path.iterdir())
    assert_one_line(caught.value, server.url, str(tmp_path))


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert_alone(fetch(server.url, CHECKSUM, tmp_path))
    server.statuses = [503] * 9
    with pytest.raises(DownloadError, match="HTTP 503"):
        fetch(server.url.replace("net", "other"), CHECKSUM, tmp_path)
    assert len(server.ranges) == 3 + fetching.ATTEMPTS


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSE", 0.001)
    with pytest.raises(DownloadError, match="refused") as caught:
        fetch("http://127.0.0.1:9/net.pth", CHECKSUM, tmp_path)
    assert_one_line(caught.value, "http://127.0.0.1:9/net.pth", str(tmp_path / "net.pth"))


def test_a_server_that_falls_silent(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT", 0.05)
    monkeypatch.setattr(fetching, "ATTEMPTS", 2)
    server.delay = 0.3
    with pytest.raises(DownloadError, match="timed out"):
        fetch(server.url, CHECKSUM, tmp_path)


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be written") as caught:
        fetch(server.url, CHECKSUM, tmp_path / "file")
    assert_one_line(caught.value, str(tmp_path / "file"))


def test_two_processes_at_once_fetch_it_once(server: Server, tmp_path: Path) -> None:
    server.delay = 0.5
    program = f"""
import sys
from pathlib import Path
from frcnn.weights.fetch import fetch
print("ready", flush=True)
sys.stdin.readline()
fetch({server.url!r}, {CHECKSUM!r}, Path({str(tmp_path)!r}))
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
    assert_alone(tmp_path / f"net-{CHECKSUM}.pth")


def test_threads_that_meet_a_failure_leave_the_lock_free(server: Server, tmp_path: Path) -> None:
    server.delay, server.statuses = 0.02, [404, 404]
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            outcomes.append(fetch(server.url, CHECKSUM, tmp_path).name)
        except DownloadError:
            outcomes.append("failed")

    threads = [threading.Thread(target=attempt) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert outcomes.count("failed") == 2
    assert len(server.ranges) == 3
    assert_alone(tmp_path / f"net-{CHECKSUM}.pth")


@pytest.mark.parametrize(
    ("url", "checksum"),
    [
        ("https://host/models/resnet50-0676ba61.pth", "0676ba61"),
        ("https://host/models/vgg16_features-amdegroot-88682ab5.pth", "88682ab5"),
        ("https://host/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth?x=1", "258fb6c6"),
        ("https://host/models/resnet50.pth", None),
    ],
)
def test_the_checksum_in_a_name(url: str, checksum: str | None) -> None:
    assert checksum_in_name(url) == checksum


def assert_one_line(error: Exception, *parts: str) -> None:
    message = str(error)
    assert "\n" not in message
    for part in parts:
        assert part in message
