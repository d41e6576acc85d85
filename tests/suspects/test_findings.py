"""The list as a table, as rows and in words."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from frcnn.structures import Detection
from frcnn.suspects.findings import SHOWN, Suspects
from frcnn.suspects.places import Place
from frcnn.suspects.suspect import Annotated, Suspect
from frcnn.suspects.words import words

NAME = 'a, "고양이"\nc'
BOX = [1.0, 2.5, 30.0, 40.25]
EN = words("en")


def suspect(rank: int) -> Suspect:
    annotated = Annotated(2, Place(3, None, 12), NAME, BOX)
    return Suspect(rank, 0.5 / rank, "box", Path("a.jpg"), 0, Path("x/a.xml"), annotated, Detection(BOX, 0.75, NAME))


def found(number: int, folds: int = 0, split: str | None = "test") -> Suspects:
    return Suspects(
        tuple(map(suspect, range(1, number + 1))), "runs/m.safetensors", (Path("d"),), split, folds, 1000, 7
    )


def printed(findings: Suspects) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(findings.to_console(EN))
    return console.file.getvalue()


def test_csv_is_read_back():
    rows = list(csv.DictReader(io.StringIO(found(2).to_csv(EN))))
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert rows[0]["annotated_class"] == rows[0]["proposed_class"] == NAME
    assert (rows[0]["object"], rows[0]["line"], rows[0]["annotation_id"]) == ("3", "12", "")
    assert [rows[0][f"proposed_{corner}"] for corner in ("x1", "y1", "x2", "y2")] == ["1.0", "2.5", "30.0", "40.25"]
    assert (rows[1]["suspicion"], rows[1]["score"]) == ("0.25", "0.75")


def test_names_are_no_formulas():
    odd = replace(suspect(1), picture=Path("=a.jpg"), annotation=Path("@x/a.xml"))
    (row,) = csv.DictReader(io.StringIO(replace(found(0), suspects=(odd,)).to_csv(EN)))
    assert (row["picture"], row["annotation"]) == ("'=a.jpg", "'@x/a.xml")
    assert odd.as_row(EN)["picture"] == "=a.jpg"  # JSON has it as it is


def test_csv_without_rows_has_a_head():
    assert found(0).to_csv(EN).startswith("rank,suspicion,kind,picture,annotation,object,line,")
    assert found(0).to_csv(EN).count("\n") == 1


@pytest.mark.parametrize("language", ["en", "ko"])
def test_json(language):
    say = words(language)
    values = found(1, folds=3, split=None).to_dict(say)
    assert (values["split"], values["folds"], values["pictures"], values["objects"]) == (None, 3, 1000, 7)
    assert values["page"] is None
    assert "3" in values["caution"]
    assert values["suspects"] == [suspect(1).as_row(say)]


def test_the_console_shows_the_first_and_where_all_are():
    words = printed(found(SHOWN + 1))
    assert f"{SHOWN} " in words
    assert f"\n {SHOWN + 1} " not in words
    assert "a.xml:12" in words
    assert "1,000 pictures with 7 objects (test)" in words
    assert "must not have been trained on" in words


def test_nothing_to_show():
    assert "No annotation is suspicious." in printed(found(0))
    assert "all but test" in printed(found(0, folds=2, split=None))
    assert "must not have been trained" not in printed(found(0, folds=2))


def test_all_names_of_classes():
    assert found(0).class_names() == set()
    renamed = replace(suspect(2), proposed=Detection(BOX, 0.5, "eel"))
    assert replace(found(0), suspects=(replace(suspect(1), proposed=None), renamed)).class_names() == {NAME, "eel"}
