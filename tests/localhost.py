"""A server of files on this machine that can be made to fail as real ones do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Server:
    """What it does, and what was asked of it."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)  # by name, whatever the folder in the address
    takes_ranges: bool = True
    partial_range: str | None = None  # where set, all is sent as what was asked for, under this Content-Range
    says_length: bool = True
    length: str | None = None  # what it says in place of the true one
    cuts: list[int] = field(default_factory=list)  # the n-th answer ends after so many bytes
    statuses: list[int] = field(default_factory=list)  # the n-th answer is this error
    delay: float = 0.0
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # the name and the Range header of each request

    @property
    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.asked]


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    """Serve until the end of the block."""
    state = Server(files=files)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            name, asked = unquote(urlsplit(self.path).path).rpartition("/")[2], self.headers.get("Range")
            state.asked.append((name, asked))
            threading.Event().wait(state.delay)
            if state.statuses or name not in state.files:
                self.send_error(state.statuses.pop(0) if state.statuses else 404)
                return
            content = state.files[name]
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.takes_ranges else 0
            if start and start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            rest = content[start:] if state.partial_range is None else content
            self.send_response(206 if start else 200)
            if start and state.partial_range:
                self.send_header("Content-Range", state.partial_range)
            if state.says_length:
                self.send_header("Content-Length", str(len(rest)) if state.length is None else state.length)
            self.end_headers()
            with suppress(ConnectionError):  # who asked may have heard enough
                self.wfile.write(rest[: state.cuts.pop(0)] if state.cuts else rest)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.address = f"http://127.0.0.1:{running.server_port}"
        try:
            yield state
        finally:
            running.shutdown()
            thread.join()
