"""Many names and numbers in one line, whatever stands in them."""

import reprlib
from collections.abc import Sequence

SHOWN = 3
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) != "\n"}
EXCERPT = 60  # letters of a value in a message: what stands in a file may be of any length


def some_names(names: Sequence[str]) -> str:
    """The first few."""
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")


def printable(text: str) -> str:
    """In one line, and fit for any console and file: names may hold ends of lines, and bytes that are no text."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def visible(text: str) -> str:
    """As it is, but for what a terminal would obey, which is written out: \\x1b. Ends of lines stay."""
    return text.translate(CONTROLS)


def excerpt(value: object) -> str:
    """A value as Python writes it, without what is long or deep in it."""
    short = reprlib.Repr()
    short.maxlevel, short.maxlist, short.maxdict, short.maxstring = 1, SHOWN, SHOWN, EXCERPT
    return short.repr(value)


def counted(number: int, thing: str, things: str = "") -> str:
    """1 box, 2 boxes."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def pixels(size: tuple[int, int]) -> str:
    """A size of (height, width) as people say it: width first."""
    return f"{size[1]}x{size[0]}"
