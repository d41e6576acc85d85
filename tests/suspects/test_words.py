"""The words: the same keys in both languages, none missing, none left over."""

import re
import string
from importlib import resources
from typing import get_args

import pytest

from frcnn.errors import UsageError
from frcnn.suspects.ranking import RULES
from frcnn.suspects.suspect import Remedy
from frcnn.suspects.words import with_article, words
from frcnn.texts import LANGUAGES

SOURCES = "".join(
    file.read_text(encoding="utf-8")
    for file in resources.files("frcnn.suspects").iterdir()
    if file.name.endswith((".py", ".jinja"))
)
LITERAL = set(re.findall(r'say\(\s*"([a-z]+\.[a-z_]+)"', SOURCES))
MADE = {
    *(f"kind.{kind}" for kind in RULES),
    *(f"remedy.{remedy}" for remedy in get_args(Remedy)),
    *(f"place.{name}" for name in ("number", "line", "identity")),
    *(f"console.{name}" for name in ("kind", "where", "remedy")),
    *(f"page.{name}" for name in ("annotated", "proposed", "others")),
}


def fields(text: str) -> set[str]:
    """What is put into it; an article is English's own."""
    return {name.removeprefix("a_") for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same():
    first, *others = (words(language).words for language in LANGUAGES)
    for other in others:
        assert list(other) == list(first)
        assert {key: fields(text) for key, text in other.items()} == {key: fields(text) for key, text in first.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_missing_or_left_over(language):
    texts = words(language).words
    assert all(text.strip() == text and text for text in texts.values())
    assert texts.keys() == LITERAL | MADE


def test_korean_is_korean():
    assert all(re.search("[가-힣]", text) for text in words("ko").words.values())


def test_a_language_that_is_not_there():
    with pytest.raises(UsageError, match="'de': the page is written in en or ko"):
        words("de")


@pytest.mark.parametrize(("name", "said"), [("dog", "a dog"), ("eel", "an eel"), ("Owl", "an Owl"), ("", "a ")])
def test_articles(name, said):
    assert with_article(name) == said
