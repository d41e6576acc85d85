"""The text of VOC's XML files, in whatever encoding, and without what an annotation does not need."""

import codecs
import re
import xml.etree.ElementTree as ElementTree
from contextlib import suppress
from pathlib import Path

from frcnn.errors import DataError

LARGEST_FILE = 16 * 2**20  # bytes; an honest annotation has some thousand
DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,99}?encoding\s*=\s*["']([\w.:-]{1,40})["']""")
# What the parser refuses, since a character may take several bytes; in Python's spelling.
MULTIBYTE = frozenset(
    {"big5", "big5hkscs", "cp932", "cp949", "cp950", "euc_jis_2004", "euc_jisx0213", "euc_jp", "euc_kr", "gb18030"}
    | {"gb2312", "gbk", "johab", "shift_jis", "shift_jis_2004", "shift_jisx0213"}
)
LETTERS = re.compile(rb"[\x80-\xff]+")  # runs of what is not ASCII
SHOWN = 40  # bytes of them: a run may be as long as the file


def read_content(path: Path) -> bytes:
    """The bytes of an XML file that is fit to be parsed. Raises DataError."""
    try:
        too_large = path.stat().st_size > LARGEST_FILE
        content = b"" if too_large else path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}): mend it, or take it out") from error
    if too_large:
        raise DataError(f"{path}: is too large for an annotation: take it out")
    content = _in_utf8(path, content)
    if b"<!ENTITY" in content.replace(b"\0", b""):  # in UTF-16 too: entities can grow without bound
        raise DataError(f"{path}: declares XML entities, which no annotation needs: take its DOCTYPE out")
    return content


def parse_content(path: Path, content: bytes) -> ElementTree.Element:
    """The <annotation> in the content of a file. Raises DataError naming file and line."""
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        line, _ = error.position
        if doubt := _other_encoding(content):
            raise DataError(f"{path}, line {line}: {doubt}") from error
        raise DataError(f"{path}, line {line}: is no whole XML ({error}): mend it, or take it out") from error
    except (LookupError, ValueError) as error:
        raise DataError(f"{path}, line 1: names an unknown encoding ({error}): write it in UTF-8") from error
    if root.tag.lower() != "annotation":
        raise DataError(f"{path}: is no VOC annotation: it begins with <{root.tag}> instead of <annotation>")
    return root


def _in_utf8(path: Path, content: bytes) -> bytes:
    """The same text, where its first line names an encoding that Python knows and the parser does not."""
    declared = DECLARED.match(content)
    encoding = _codec(declared[1].decode("ascii", "replace")) if declared else ""
    if declared is None or encoding not in MULTIBYTE:
        return content
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        said = declared[1].decode()
        raise DataError(f"{path}: names the encoding {said}, but is no text in it: write it in UTF-8") from error
    return text.replace(declared[1].decode(), "utf-8", 1).encode()


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return ""


def _other_encoding(content: bytes) -> str:
    """What a text is perhaps, that is said to be in UTF-8 and is not; "" where that is no question."""
    declared = DECLARED.match(content)
    if b"\0" in content or (declared and _codec(declared[1].decode("ascii", "replace")) != "utf-8"):
        return ""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        letters = next((run[0] for run in LETTERS.finditer(content) if run.end() > error.start), b"")
        return f"is no text in UTF-8{_guess(letters[:SHOWN])}: save it so, or name its encoding in the first line"
    return ""


def _guess(letters: bytes) -> str:
    """How some letters would read in an encoding that is likely: who wrote them sees whether that is right."""
    for encoding in ("cp949", "gb18030") if len(letters) % 2 == 0 else ("cp1252",):  # Korean, Chinese; Western
        with suppress(UnicodeDecodeError):
            return f" (in {encoding} it would say {letters.decode(encoding)!r})"
    return ""
