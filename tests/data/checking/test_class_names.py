"""Misspelt names, by hand: better none than a right one."""

import pytest

from frcnn.data.checking.class_names import find_misspelt, is_one_edit


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("person", "persn", True),
        ("person", "perrson", True),
        ("person", "parson", True),
        ("person", "perosn", True),
        ("person", "persons", True),
        ("bus", "buses", True),
        ("person", "persona grata", False),
        ("person", "pesrno", False),
        ("person", "person", False),
        ("ab", "ba", True),
        ("", "a", True),
        ("", "ab", False),
    ],
)
def test_one_edit(first: str, second: str, expected: bool) -> None:
    assert is_one_edit(first, second) is expected
    assert is_one_edit(second, first) is expected


def test_rare_ones_near_frequent_ones() -> None:
    counts = {"person": 900, "persn": 2, "persons": 1, "bicycle": 300, "bicylce": 1, "cat": 500, "car": 1, "dog": 3}
    assert find_misspelt(counts, declared=False) == {"persn": "person", "persons": "person", "bicylce": "bicycle"}


@pytest.mark.parametrize("declared", [True, False])
def test_case_and_spaces_make_no_other_class(declared: bool) -> None:
    counts = {"traffic light": 20, "Traffic_Light": 30, "trafficlight": 1, "van": 4, "Van": 4}
    assert find_misspelt(counts, declared=declared) == {
        "traffic light": "Traffic_Light",
        "trafficlight": "Traffic_Light",
        "van": "Van",
    }


def test_what_was_chosen_from_a_list_is_not_misspelt() -> None:
    assert find_misspelt({"horse": 500, "house": 2}, declared=True) == {}


def test_names_that_are_all_frequent_or_all_rare_are_right() -> None:
    assert find_misspelt({"horse": 500, "house": 200}, declared=False) == {}
    assert find_misspelt({"horse": 5, "house": 1}, declared=False) == {}
    assert find_misspelt({}, declared=False) == {}
