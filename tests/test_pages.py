"""Pages from templates: escaped, complete, and of any names."""

import pytest
from jinja2 import TemplateNotFound, UndefinedError

from frcnn.pages import render_page

REPORT = ("frcnn.evaluation.reporting", "page")
SUSPECTS = ("frcnn.suspects", ".")
GIVEN = {"title": "x", "lines": [], "cards": [], "kinds": [], "annotated": "red", "proposed": "blue"}


class Say:
    language = "en"

    def __call__(self, key: str, **_: object) -> str:
        return key


def test_markup_is_escaped_and_included_files_are_whole() -> None:
    page = render_page("page.html.jinja", SUSPECTS, REPORT, **(GIVEN | {"title": "<b>&"}), say=Say())
    assert "<h1>&lt;b&gt;&amp;</h1>" in page
    assert "--ground" in page  # of the other folder's style sheet


def test_bytes_that_are_no_text_do_not_break_a_page() -> None:
    page = render_page("page.html.jinja", SUSPECTS, REPORT, **(GIVEN | {"title": "a\udcff.jpg"}), say=Say())
    assert "<h1>a?.jpg</h1>" in page
    assert page.encode("utf-8")


def test_what_is_not_there_fails_at_once() -> None:
    with pytest.raises(TemplateNotFound):
        render_page("no.html.jinja", SUSPECTS)
    with pytest.raises(UndefinedError, match="title"):
        render_page("page.html.jinja", SUSPECTS, REPORT, say=Say())
