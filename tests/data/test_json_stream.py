"""The long lists of a JSON file, whatever the size of the window."""

import json

import pytest

from frcnn.data import json_stream
from frcnn.data.json_stream import stream_lines, stream_lists
from frcnn.errors import DataError

CONTENT = {
    "info": {"year": 2017, "of": ["a", {"b": [1, 2]}]},
    "images": [{"id": 1, "name": 'brackets ]} in "text"'}, {"id": 2, "name": "\u00e9\u4e2d"}],
    "count": 12345,
    "skipped": [1, [2, 3], {"images": [9]}],
    "empty": [],
    "numbers": [12345, -1.5e3, 678],
    "annotations": [{"id": i, "box": [i, 2.5, 3, 4]} for i in range(7)],
}
NAMES = {"images", "annotations", "numbers", "empty"}


@pytest.mark.parametrize("chunk", [1, 3, 17, 64, 1 << 22])
@pytest.mark.parametrize("indent", [None, 2])
def test_the_items_of_the_lists_that_are_asked_for(tmp_path, monkeypatch, chunk, indent):
    """By oracle: the standard library's reader, which needs the whole file."""
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(CONTENT, indent=indent, ensure_ascii=False), encoding="utf-8")
    found = {}
    for name, item in stream_lists(path, NAMES):
        found.setdefault(name, []).append(item)
    assert found == {name: CONTENT[name] for name in NAMES if CONTENT[name]}


def test_lists_that_are_needed(tmp_path):
    """An empty one is there; what is no list is none."""
    path = tmp_path / "a.json"
    path.write_text('{"images": [], "annotations": [1], "categories": {"a": ["b"]}}')
    assert list(stream_lines(path, {"images"}, ("images", "annotations"))) == []
    for name in ("categories", "a", "b"):
        with pytest.raises(DataError, match=f"a.json: has no list '{name}', which a data set needs: add it"):
            list(stream_lines(path, {"images"}, ("images", name)))


def test_a_byte_order_mark_is_no_content(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"images": [1]}')
    assert list(stream_lists(path, {"images"})) == [("images", 1)]


@pytest.mark.parametrize("chunk", [2, 1 << 22])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"images": [\n{"id": 1},\n{"id": }]}', 3),
        ('{"images": [\n1\n2]}', 3),
        ('{"images": [1,', 1),
        ("[1, 2]", 1),
        ("", 1),
        ("\n\nno json", 3),
        ('{"images": [1]\n"more": 2}', 2),
        ("{\n1: 2}", 2),
        ('{"images": [1,\n' + "9" * 5000 + "]}", 2),
    ],
)
def test_what_is_no_json_names_the_line(tmp_path, monkeypatch, chunk, text, line):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match="is no whole JSON") as caught:
        list(stream_lists(path, {"images"}))
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert "\n" not in str(caught.value)


def test_other_things_that_can_be_wrong(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        list(stream_lists(tmp_path / "absent.json", set()))
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff\xfe"}')
    with pytest.raises(DataError, match="no text in UTF-8"):
        list(stream_lists(tmp_path / "a.json", set()))
    (tmp_path / "b.json").write_text('{"a": ' + "[" * 200_000)
    with pytest.raises(DataError, match=r"b\.json"):
        list(stream_lists(tmp_path / "b.json", set()))


@pytest.mark.parametrize("chunk", [1, 3, 17, 1 << 22])
def test_the_line_in_which_each_item_begins(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text('{"info": {\n},\n"images": [1, {\n"a": 2\n},\n\n3],\n"more": [\n4], "images": [5\n]}')
    assert list(stream_lines(path, {"images"})) == [
        ("images", 1, 3),
        ("images", {"a": 2}, 3),
        ("images", 3, 7),
        ("images", 5, 9),
    ]
