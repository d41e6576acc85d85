"""Words in their places, in the languages that there are."""

import pytest

from frcnn.errors import UsageError
from frcnn.texts import Texts, texts_of


def test_values_stand_in_their_places() -> None:
    say = Texts("en", {"page.more": "and {number} more"})
    assert say("page.more", number=3) == "and 3 more"
    with pytest.raises(KeyError):
        say("page.less")


def test_the_table_of_a_package() -> None:
    assert [texts_of("frcnn.suspects", language).language for language in ("en", "ko")] == ["en", "ko"]
    with pytest.raises(UsageError, match="'de': the page is written in en or ko"):
        texts_of("frcnn.suspects", "de")
