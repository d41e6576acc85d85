"""The words of pages, one table for each language."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal, get_args

from frcnn.errors import UsageError

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@dataclass(frozen=True)
class Texts:
    """What a page says, by "section.key"."""

    language: str
    words: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, with the values in their places. Raises KeyError for a key that is not there."""
        return self.words[key].format(**values)


def texts_of(package: str, language: str) -> Texts:
    """The table that lies in a package's texts/. Raises UsageError where there is none of the language."""
    if language not in LANGUAGES:
        raise UsageError(f"language {language!r}: the page is written in {' or '.join(LANGUAGES)}")
    file = resources.files(package) / "texts" / f"{language}.toml"
    sections = tomllib.loads(file.read_text(encoding="utf-8"))
    return Texts(language, {f"{name}.{key}": text for name, keys in sections.items() for key, text in keys.items()})
