"""The page: whole, escaped, nothing from outside, in both languages."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from judged import BOX, FAR, detections, target
from PIL import Image
from small_reports import Page

from frcnn.data.dataset import Dataset
from frcnn.data.examples import Example
from frcnn.errors import DataError
from frcnn.suspects import page as page_module
from frcnn.suspects.evidence import NOTHING
from frcnn.suspects.findings import Suspects
from frcnn.suspects.page import page
from frcnn.suspects.ranking import Suspicion
from frcnn.suspects.suspect import suspects_of
from frcnn.suspects.words import words

EN = words("en")
EVIL = "<script>alert(1)</script>"
NAMES = ("고양이", EVIL, "eel")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    folder = tmp_path / 'a "b" & <i>c'
    folder.mkdir()
    Image.new("RGB", (80, 80), (90, 120, 60)).save(folder / "<b>0.png")
    one = target((BOX, 0, False), (FAR, 2, False))
    return Dataset((Example(folder / "<b>0.png", folder / "<b>0.xml", (80, 80), one),), NAMES)


@pytest.fixture
def findings(dataset: Dataset) -> Suspects:
    """One of three kinds."""
    suspicions = [
        Suspicion(0.625, "class", 0, 0, 0),
        Suspicion(0.5, "missing", 0, 1, NOTHING),
        Suspicion(0.25, "spurious", 0, NOTHING, 1),
    ]
    found = [detections((BOX, 0.9, 1), ((30.0, 5.0, 60.0, 30.0), 0.8, 2), names=NAMES)]
    rows = suspects_of(suspicions, found, dataset)
    return Suspects(rows, "runs/<b>/last.safetensors", (Path("<i>set"),), "test", 0, 1, 2)


def test_a_card_for_each_with_its_picture(findings, dataset):
    seen = Page(page(findings, dataset, EN))
    assert [figure["data-kind"] for figure in seen.all("figure")] == ["class", "missing", "spurious"]
    assert [button["data-kind"] for button in seen.all("button")] == ["", "missing", "class", "spurious"]
    for image in seen.all("img"):
        data = base64.b64decode((image["src"] or "").removeprefix("data:image/jpeg;base64,"))
        picture = Image.open(io.BytesIO(data))
        assert (str(picture.width), str(picture.height)) == (image["width"], image["height"])
    assert f"Is this a {EVIL} rather than a 고양이?" in seen.words
    assert "all 3" in seen.words
    assert "suspicion 62 %" in seen.words  # of .625: to even


def test_nothing_comes_from_outside(findings, dataset):
    text = page(findings, dataset, EN)
    assert not re.findall(r"https?://|url\(|@import", text)
    seen = Page(text)
    assert not seen.all("link")
    assert all("src" not in script for script in seen.all("script"))
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in seen.all("img"))
    assert str(dataset.examples[0].picture.parent) not in text


def test_names_are_escaped(findings, dataset):
    seen = Page(page(findings, dataset, EN))
    assert len(seen.all("script")) == 1
    assert {tag for tag, _ in seen.tags}.isdisjoint({"i" * 2, "u"})
    assert not [attributes for tag, attributes in seen.tags if tag == "b" and attributes]
    assert "<i>set" in "".join(seen.words)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_both_languages(findings, dataset, language):
    say = words(language)
    seen = Page(page(findings, dataset, say))
    assert seen.all("html") == [{"lang": language}]
    told = " ".join(seen.words)
    for key in ("page.annotated", "page.proposed", "page.others", "kind.missing", "kind.class", "kind.spurious"):
        assert say(key) in told
    assert findings.suspects[0].remedy_in_words(say) in told
    assert say("page.caution") in told
    assert f"{say('place.number', number=2)}" in told


def test_the_object_itself_is_none_of_the_others(findings, dataset, monkeypatch):
    shown = []
    monkeypatch.setattr(page_module, "crop", lambda picture, one, others: shown.append(others) or picture)
    page(findings, dataset, EN)
    assert shown == [[list(FAR)], [list(BOX), list(FAR)], [list(BOX)]]


def test_the_picture_is_named_where_its_annotation_is_called_otherwise(findings, dataset):
    (first, *_) = findings.suspects
    words_of = {
        annotation: " ".join(
            Page(page(replace(findings, suspects=(replace(first, annotation=annotation),)), dataset, EN)).words
        )
        for annotation in (Path("x/<b>0.xml"), Path("x/all.json"))
    }
    assert ["0.png" in told for told in words_of.values()] == [False, True]
    assert "x/all.json · <b>0.png · object 1" in words_of[Path("x/all.json")]


def test_a_picture_that_is_gone_is_named(findings, dataset):
    dataset.examples[0].picture.unlink()
    with pytest.raises(DataError, match=re.escape("<b>0.png")):
        page(findings, dataset, EN)


def test_of_nothing_suspicious_it_says_so(findings, dataset):
    nothing = Suspects((), findings.model, findings.data, None, 5, 1, 2)
    seen = Page(page(nothing, dataset, EN))
    assert EN("page.none") in seen.words
    assert EN("page.cross_validated", folds=5) in seen.words
    assert not seen.all("img")
    assert not seen.all("nav")
