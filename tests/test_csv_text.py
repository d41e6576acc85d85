"""CSV files: what a spreadsheet makes of a cell."""

import pytest

from frcnn.csv_text import as_csv


def test_by_hand() -> None:
    text = as_csv(("class", "ap", "found"), [("cat", -0.5, None), ("eel, electric", 1, True)])
    assert text == 'class,ap,found\ncat,-0.5,\n"eel, electric",1,True\n'
    assert as_csv(("class",), []) == "class\n"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_words_are_no_formulas(name: str) -> None:
    assert as_csv(("class", "ap"), [(name, -1)]).replace('"', "") == f"class,ap\n'{name},-1\n"
    assert "'" not in as_csv(("class",), [(f"x{name}",)])
