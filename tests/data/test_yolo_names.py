"""The names of YOLO's classes: what counts them, and what is refused with its file and place."""

from pathlib import Path

import pytest

from frcnn.data.yolo_names import described_names, listed_names
from frcnn.errors import DataError

ONE_EACH = "give each number a name of its own"


def refused(folder: Path, text: str) -> str:
    (folder / "classes.txt").write_bytes(text.encode())
    with pytest.raises(DataError) as caught:
        listed_names(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder / 'classes.txt'}, ")


def test_a_line_is_a_name(tmp_path: Path) -> None:
    assert listed_names(tmp_path) == ()
    (tmp_path / "classes.txt").write_bytes("\ufeffdog\r\n 고양이 \r\ntraffic light\r\n\r\n \n".encode())
    assert listed_names(tmp_path) == ("dog", "고양이", "traffic light")


@pytest.mark.parametrize("text", ["dog\ncat\ndog\n", "dog\ncat\n dog \n"])
def test_a_name_twice_would_give_the_others_other_numbers(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text) == f"line 3: the name is there twice ('dog'): {ONE_EACH}"


@pytest.mark.parametrize("text", ["dog\n\ncat\n", "dog\n \t\ncat\n"])
def test_so_would_a_blank_line(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text).startswith("line 2: the name is blank ('")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("dog\nbête\n", encoding=encoding)
    with pytest.raises(DataError) as caught:
        listed_names(tmp_path)
    assert str(caught.value) == f"{path}: is no text in UTF-8: it must name a class a line; save it in UTF-8"


def test_utf_16_without_its_mark(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_bytes("dog\n".encode("utf-16-le"))
    with pytest.raises(DataError, match="line 1: the name holds a character that no file can hold"):
        listed_names(tmp_path)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (["null", ""], "the name of class 1 is blank ('')"),
        (["a", " a"], "the name of class 1 is there twice ('a')"),
        ({"1": "a", "0": "a "}, "the name of class 1 is there twice ('a')"),
        (["a", "\ud800"], "the name of class 1 holds a character that no file can hold ('\\ud800')"),
        ([["a"], ["b"]], "the name of class 0 is no text (['a'])"),
        ({"0": {"a": "b"}}, "the name of class 0 is no text ({'a': 'b'})"),
    ],
)
def test_what_a_yaml_may_not_say(value: object, told: str) -> None:
    with pytest.raises(DataError) as caught:
        described_names(Path("data.yaml"), value)
    assert str(caught.value) == f"data.yaml: {told}: {ONE_EACH}"
