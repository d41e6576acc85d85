"""The long lists of a large JSON file, an item at a time: a file of gigabytes needs no more memory than its items."""

import json
from collections.abc import Collection, Container, Iterator
from pathlib import Path
from typing import IO, Any

from frcnn.errors import DataError

CHUNK = 1 << 22  # characters read at a time
LARGEST_ITEM = 1 << 28  # characters: what is not whole after so many never will be

_SPACE = " \t\n\r"
_decode = json.JSONDecoder().raw_decode  # a value, and where it ends


def stream_lists(path: Path, names: Container[str]) -> Iterator[tuple[str, Any]]:
    """(name, item) for each item of those lists of the file's object that have one of the `names`, in its order.

    What else the object holds is passed over. Raises DataError, naming file and line, where it is no JSON object.
    """
    yield from ((name, item) for name, item, _ in stream_lines(path, names))


def stream_lines(path: Path, names: Container[str], needed: Collection[str] = ()) -> Iterator[tuple[str, Any, int]]:
    """What `stream_lists` gives, with the line in which each item begins; DataError where a `needed` list is missing.

    An empty list is there: only the end of the file tells that one is not.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            reader = _Reader(path, file)
            yield from reader.items(names)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}): mend it, or take it out") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8 ({error.reason}): write it anew") from error
    except RecursionError as error:
        raise DataError(f"{path}: is nested too deeply for an annotation file") from error
    for name in needed:
        if name not in reader.lists:
            raise DataError(f"{path}: has no list {name!r}, which a data set needs: add it, or name another file")


class _Reader:
    """A window on the text, which moves on."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self.path, self.file = path, file
        self.text, self.at = "", 0
        self.lines, self.counted = 1, 0  # the line of a place in the window: no character is counted twice
        self.chunk, self.ended = CHUNK, False
        self.lists: set[str] = set()  # those that were met, whether or not they were asked for

    def items(self, names: Container[str]) -> Iterator[tuple[str, Any, int]]:
        self.expect("{")
        if self.next_sign() == "}":
            return
        while True:
            name = self.value()
            if not isinstance(name, str):
                raise self.error("a name was expected")
            self.expect(":")
            if self.next_sign() == "[":  # one that is not asked for may be as long
                self.lists.add(name)
                yield from ((name, item, line) for item, line in self.list_items() if name in names)
            else:
                self.value()
            if self.next_sign() == "}":
                return
            self.expect(",")

    def list_items(self) -> Iterator[tuple[Any, int]]:
        self.expect("[")
        if self.next_sign() == "]":
            self.at += 1
            return
        while True:
            line = self.line()
            yield self.value(), line
            if self.next_sign() == "]":
                self.at += 1
                return
            self.expect(",")

    def value(self) -> Any:
        """The next value, whole."""
        self.next_sign()
        while True:
            try:
                value, end = _decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if self.ended or len(self.text) - self.at >= LARGEST_ITEM:
                    raise self.error(error.msg, error.pos) from error
            except ValueError as error:
                raise self.error("a number of thousands of digits") from error
            else:
                if self.ended or len(self.text) - end >= len("e+1"):  # else a number may go on
                    self.at, self.chunk = end, CHUNK
                    return value
            self.read_on()

    def line(self) -> int:
        """That in which the next value begins."""
        self.next_sign()
        self.count_lines()
        return self.lines

    def count_lines(self) -> None:
        """Up to where the window has been read."""
        self.lines += self.text.count("\n", self.counted, self.at)
        self.counted = self.at

    def expect(self, sign: str) -> None:
        if self.next_sign() != sign:
            raise self.error(f"{sign!r} was expected")
        self.at += 1

    def next_sign(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if self.ended:
                return ""
            self.read_on()

    def read_on(self) -> None:
        """Move the window: drop what was read, add twice as much as the last time, since decoding begins anew."""
        more = self.file.read(self.chunk)
        self.chunk *= 2
        self.count_lines()
        self.text, self.at, self.counted, self.ended = self.text[self.at :] + more, 0, 0, not more

    def error(self, what: str, at: int | None = None) -> DataError:
        line = self.lines + self.text.count("\n", self.counted, self.at if at is None else at)
        return DataError(f"{self.path}, line {line}: is no whole JSON ({what}): mend it, or write it anew")
