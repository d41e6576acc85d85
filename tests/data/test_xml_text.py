"""XML in the encodings that people have."""

import re

import pytest

from frcnn.data.xml_text import parse_content, read_content
from frcnn.errors import DataError

TEXT = '<?xml version="1.0" encoding="{}"?>\n<annotation><object>\n<name>{}</name></object></annotation>'


def name_in(path) -> str:
    return parse_content(path, read_content(path)).findtext("object/name", "")


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("EUC-KR", "고양이"),
        ("cp949", "똠방각하"),
        ("ks_c_5601-1987", "강아지"),
        ("Shift_JIS", "ねこ"),
        ("gb18030", "猫"),
        ("Big5", "貓"),
        ("windows-1252", "Kätzchen"),
        ("utf-8", "고양이"),
    ],
)
def test_an_encoding_that_is_named(tmp_path, encoding, name):
    path = tmp_path / "a.xml"
    path.write_bytes(TEXT.format(encoding, name).encode(encoding))
    assert name_in(path) == name


def test_what_is_not_in_the_encoding_that_it_names(tmp_path):
    path = tmp_path / "a.xml"
    path.write_bytes(TEXT.format("euc-kr", "\u00ff").encode("latin-1"))
    with pytest.raises(DataError, match=re.escape(f"{path}: names the encoding euc-kr, but is no text in it: write")):
        read_content(path)


@pytest.mark.parametrize(
    ("encoding", "name", "guess"),
    [
        ("cp949", "고양이", " (in cp949 it would say '고양이')"),
        ("cp1252", "Kätzchen", " (in cp1252 it would say 'ä')"),
        ("gb18030", "森林", " (in gb18030 it would say '森林')"),
    ],
)
@pytest.mark.parametrize("declared", [True, False])
def test_another_encoding_that_is_not_named(tmp_path, encoding, name, guess, declared):
    """Whether UTF-8 is named or nothing."""
    path = tmp_path / "a.xml"
    text = TEXT.format("UTF-8", name)
    path.write_bytes((text if declared else text.partition("\n")[2]).encode(encoding))
    with pytest.raises(DataError) as caught:
        name_in(path)
    line = 3 if declared else 2
    assert str(caught.value) == (
        f"{path}, line {line}: is no text in UTF-8{guess}: save it so, or name its encoding in the first line"
    )


def test_what_is_broken_in_utf8_is_broken(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<annotation>고양이", encoding="utf-8")
    with pytest.raises(DataError, match="is no whole XML"):
        name_in(path)


def test_entities_are_seen_in_every_encoding(tmp_path):
    path = tmp_path / "a.xml"
    path.write_bytes(
        '<?xml version="1.0" encoding="johab"?><!DOCTYPE a [<!ENTITY b "개">]><annotation/>'.encode("johab")
    )
    with pytest.raises(DataError, match="declares XML entities"):
        read_content(path)
