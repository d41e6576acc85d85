"""The words: the same keys in every language, none missing, none left over."""

import re
import string
from importlib import resources

import pytest

from frcnn.errors import UsageError
from frcnn.evaluation.reporting.texts import texts
from frcnn.texts import LANGUAGES

SOURCES = "".join(
    file.read_text(encoding="utf-8")
    for folder in ("", "page")
    for file in (resources.files("frcnn.evaluation.reporting") / folder).iterdir()
    if file.name.endswith((".py", ".jinja"))
)
LITERAL = set(re.findall(r"""["']([a-z]+\.[a-z0-9_]+)["']""", SOURCES))
MADE = set(re.findall(r'f"([a-z]+\.)\{', SOURCES))  # the beginnings of keys that are put together


def places(text: str) -> set[str | None]:
    """The names that a text leaves to be filled in."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_all_languages_have_the_same_keys_and_places() -> None:
    first, *others = (texts(language).words for language in LANGUAGES)
    for other in others:
        assert list(other) == list(first)
        assert {key: places(text) for key, text in other.items()} == {key: places(text) for key, text in first.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_missing_or_left_over(language) -> None:
    words = texts(language).words
    sections = {key.partition(".")[0] for key in words}
    assert all(text.strip() == text and text for text in words.values())
    assert {key for key in LITERAL if key.partition(".")[0] in sections} - words.keys() == set()
    assert {key for key in words if key not in LITERAL and f"{key.partition('.')[0]}." not in MADE} == set()


def test_korean_is_korean() -> None:
    """But for names and figures that are the same everywhere."""
    same = {key for key, text in texts("ko").words.items() if not re.search("[가-힣]", text)}
    assert {key.partition(".")[0] for key in same} <= {"coco", "column", "picture", "tile"}
    assert {key for key in same if key.startswith("column.")} == {
        "column.voc07_ap", "column.voc_ap", "column.ap", "column.ap50", "column.iou",
    }  # fmt: skip


def test_values_stand_in_their_places() -> None:
    assert texts("en")("duration.minutes", minutes=3, seconds=7) == "3 min 7 s"
    assert texts("ko")("duration.minutes", minutes=3, seconds=7) == "3분 7초"
    with pytest.raises(KeyError):
        texts("en")("duration.weeks")


def test_a_language_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="'de': the page is written in en or ko"):
        texts("de")
