"""What may be the name of a class, by hand; and that what may be fits into the files of all formats."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from frcnn.class_names import fault_of_name


@pytest.mark.parametrize("name", ["cat", " cat ", "traffic light", "고양이", "é", "🐈", "3", "null", "a\tb", "cat\n"])
def test_names(name: str) -> None:
    assert fault_of_name(name) == ""
    element = ElementTree.Element("name")
    element.text = name
    assert ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8")).text == name
    assert yaml.load(yaml.safe_dump([name], allow_unicode=True).encode(), yaml.BaseLoader) == [name]
    assert json.loads(json.dumps([name], ensure_ascii=False).encode()) == [name]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("", "is blank"),
        (" \t\n", "is blank"),
        ("\u3000", "is blank"),
        ("\udce9b", "holds a character that no file can hold"),
        ("a\x00", "holds a character that no file can hold"),
        ("a\uffff", "holds a character that no file can hold"),
        ("a\x1cb", "holds a character that no file can hold"),
        *((f"a{end}b", "holds the end of a line") for end in ("\n", "\r", "\r\n", "\x85", "\u2028", "\u2029")),
        (None, "is no text"),
        (3, "is no text"),
        (["a"], "is no text"),
    ],
)
def test_what_is_no_name(value: object, fault: str) -> None:
    assert fault_of_name(value) == fault
