"""The page: all that was found, and nothing that breaks it."""

import re
import string
from importlib import resources
from pathlib import Path

import pytest
from data_sets import name_of, write_annotation, write_voc, write_yolo
from plants import LIST_PLANTS, VOC_PLANTS, YOLO_PLANTS, plant_label
from small_reports import Page

from frcnn.data.checking import page as page_module
from frcnn.data.checking.check import check_dataset
from frcnn.data.checking.page import NAMES, range_names, render, words, write_page
from frcnn.data.checking.summary import Bars
from frcnn.errors import UsageError
from frcnn.texts import LANGUAGES

FOLDER = resources.files("frcnn.data.checking")
SOURCES = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir() if file.name.endswith(".py")}
PAGE = SOURCES["page.py"] + (FOLDER / "page.html.jinja").read_text(encoding="utf-8")
A_KIND = (
    r'(?:error|warning)\(\s*"([a-z0-9 ]+)"',
    r'"(?:error|warning)", "([a-z0-9 ]+)"',
    r'as_finding\(refusal, "([a-z ]+)"',
    r'UNREADABLE_SET = "([a-z ]+)"',
    r'    (?:[A-Z_]+): \("([a-z ]+)", f?"',
    r'"[a-z_]+": "(unknown [a-z]+)"',
)
KINDS = {kind for source in SOURCES.values() for pattern in A_KIND for kind in re.findall(pattern, source)}
KINDS -= {"warning", "warnings"}


def test_every_kind_that_is_planted_is_known() -> None:
    """So that the patterns above find those that are planted nowhere as well."""
    planted = {"no area", "swapped corners", "outside", "not a number", "unknown class", "unknown picture", "pixels"}
    assert planted | {"unreadable data set", "unreadable annotation", "two classes", "exif rotation"} <= KINDS


def test_ranges() -> None:
    assert range_names(Bars((1, 2, 5), (0, 0, 0, 0))) == ["0", "1", "2-4", "5+"]
    assert range_names(Bars((400, 500), (0, 0, 0), begin=300)) == ["300-399", "400-499", "500+"]


def test_both_languages_say_the_same() -> None:
    english, korean = (words(language).words for language in LANGUAGES)
    assert list(english) == list(korean)
    places = [{k: {p[1] for p in string.Formatter().parse(t)} for k, t in w.items()} for w in (english, korean)]
    assert places[0] == places[1]
    assert all(re.search("[가-힣]", text) for key, text in korean.items())


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_missing_or_left_over(language: str) -> None:
    kinds = {f"{section}.{kind.replace(' ', '_')}" for kind in KINDS for section in ("kind", "meaning")}
    made = {f"tile.{name}" for name in ("errors", "warnings", "pictures", "objects", "classes")}
    made |= {"severity.error", "severity.warning"}
    assert words(language).words.keys() == kinds | made | set(re.findall(r'say\("([a-z]+\.[a-z_]+)"', PAGE))


def test_a_language_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="'de': the page is written in en or ko"):
        words("de")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("write", "plants"), [(write_voc, VOC_PLANTS | LIST_PLANTS), (write_yolo, YOLO_PLANTS)])
def test_all_faults_on_one_page(tmp_path: Path, language: str, write, plants) -> None:
    root = write(tmp_path / "set")
    for number, plant in enumerate(plants.values()):
        plant(root, name_of(2 + number))
    report, say = check_dataset([root]), words(language)
    seen = Page(render(report, say))
    assert seen.all("html") == [{"lang": language}]
    told = " ".join(seen.words)
    for finding in report.findings:
        key = finding.kind.replace(" ", "_")
        assert finding.message in told
        assert say(f"kind.{key}") in told
        assert say(f"meaning.{key}") in told
    pictured = {finding.message for finding in report.findings if finding.drawing is not None}
    assert len(seen.all("img")) == len(pictured) >= 3
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in seen.all("img"))


def test_both_readings_of_a_box_are_drawn(tmp_path: Path) -> None:
    """Of 128 by 96 pixels: (centre .6 .6, sides .9 .95), or from (.6, .6) to (.9, .95)."""
    root = write_yolo(tmp_path / "set")
    plant_label("error", "outside", "0 0.6 0.6 0.9 0.95")(root, name_of(7))
    (finding,) = check_dataset([root]).errors
    assert finding.drawing is not None
    assert finding.drawing.box == pytest.approx((19.2, 12, 134.4, 103.2))
    assert finding.drawing.other == pytest.approx((76.8, 57.6, 115.2, 91.2))
    assert finding.drawing.other_name == "left, top, right, bottom"


@pytest.mark.parametrize("plant", ["not a number", "smaller picture", "unseen rotation"])
def test_no_box_is_drawn_where_nobody_knows_its_place(tmp_path: Path, plant: str) -> None:
    root = write_voc(tmp_path / "set")
    VOC_PLANTS[plant](root, name_of(7))
    VOC_PLANTS["outside"](root, name_of(7)) if plant != "not a number" else None
    assert all(finding.drawing is None for finding in check_dataset([root]).findings)


def test_pictures_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "PICTURES", 5)
    monkeypatch.setattr(page_module, "PICTURES_OF_A_KIND", 3)
    root = write_voc(tmp_path / "set")
    for number in range(4):
        VOC_PLANTS["outside"](root, name_of(2 + number))
        VOC_PLANTS["no area"](root, name_of(12 + number))
    report = check_dataset([root])
    seen = Page(render(report, words("en")))
    assert len(seen.all("img")) == 5
    told = " ".join(seen.words)
    assert all(finding.message in told for finding in report.findings)


def test_all_names_are_there_to_be_unfolded(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0], "val": [1]})
    every = [(f"kind {letter}", (10, 10 + i, 60, 60 + i)) for i, letter in enumerate("abcdefghijklmn")]
    write_annotation(root, name_of(0), every)
    write_annotation(root, name_of(1), [])
    text = " ".join(Page(render(check_dataset([root]), words("en"))).words)
    assert "All 14 names" in text
    assert ", ".join(name for name, _ in every) in text
    assert len(every) <= NAMES


def test_a_page(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set")
    fault = VOC_PLANTS["no area"](root, name_of(7))
    path = write_page(check_dataset([root]), tmp_path / "new/out")
    assert path == tmp_path / "new/out/check.html"
    text = path.read_text()
    assert f"{fault.file}, line {fault.line}" in text
    assert text.count("<svg") == 3
    assert "circle" in text
    assert "://" not in text


def test_names_are_escaped(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "set", {"train": [0, 1]})
    path = root / "Annotations/p00.xml"
    path.write_text(path.read_text().replace("circle", "&lt;script&gt;"))
    text = write_page(check_dataset([root]), tmp_path / "out").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
