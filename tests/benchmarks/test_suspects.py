"""The study of suspects: what it plants, and what counts as found."""

from pathlib import Path
from types import ModuleType

import pytest
from scripts import load_script

from frcnn.data.voc import read_annotation
from frcnn.structures import Detection
from frcnn.suspects.places import Place
from frcnn.suspects.suspect import Annotated, Suspect

NAMES = ("cat", "dog", "eel")


@pytest.fixture(scope="module")
def study() -> ModuleType:
    return load_script("suspects")


def add_sizes(root: Path) -> None:
    for path in (root / "Annotations").iterdir():
        head = "<annotation><size><width>64</width><height>48</height></size>"
        path.write_text(path.read_text().replace("<annotation>", head))


def spoilt(study: ModuleType, make_voc, name: str, seed: int) -> tuple[dict, list]:
    """Four pictures of three objects, the last of each difficult; one mistake of each kind."""
    objects = [("cat", (4, 7, 21, 24)), ("dog", (31, 10, 48, 30)), ("eel", (2, 3, 40, 41), True)]
    root = make_voc(dict.fromkeys("abcd", objects), {"test": "abc", "train": "d"}, name=name)
    add_sizes(root)
    planted = study.plant(root, "test", NAMES, 1, seed)
    return {name: read_annotation(root / "Annotations" / f"{name}.xml").objects for name in "abcd"}, planted


@pytest.mark.parametrize("seed", range(6))
def test_one_of_each_kind_is_planted_where_it_says(study, make_voc, seed):
    after, planted = spoilt(study, make_voc, f"set{seed}", seed)
    assert [one.kind for one in planted] == ["missing", "class", "box"]
    assert sum(map(len, after.values())) == 11
    assert [item.name for item in after["d"]] == ["cat", "dog", "eel"]  # of another split
    assert all(objects[-1].name == "eel" and objects[-1].corners == (2, 3, 40, 41) for objects in after.values())
    _, renamed, moved = planted
    item = after[renamed.picture][renamed.number - 1]
    truth = {(3.0, 6.0, 21.0, 24.0): "cat", (30.0, 9.0, 48.0, 30.0): "dog"}
    assert item.name != truth[renamed.box]
    x1, y1, x2, y2 = moved.box
    xmin, ymin, xmax, ymax = after[moved.picture][moved.number - 1].corners
    shifts = {round(abs(xmin - 1 - x1), 1), round(abs(xmax - x2), 1)}
    assert shifts <= {6.0, 3.0}  # a third of 18; no further than the border
    assert round(abs(ymax - y2), 1) == round((y2 - y1) / 3, 1) or ymin == 1
    assert (xmin, ymin) >= (1, 1)


def test_the_same_seed_plants_the_same(study, make_voc):
    assert spoilt(study, make_voc, "one", 3) == spoilt(study, make_voc, "two", 3)
    assert spoilt(study, make_voc, "three", 4) != spoilt(study, make_voc, "four", 3)


def row(rank: int, kind: str, picture: str, number: int | None, box: tuple[float, float, float, float]) -> Suspect:
    annotated = None if number is None else Annotated(number - 1, Place(number, None, None), "cat", box)
    return Suspect(rank, 0.5, kind, Path(f"{picture}.jpg"), 0, Path(), annotated, Detection(list(box), 0.9, "cat"))


def test_what_counts_as_found(study):
    box = (10.0, 10.0, 30.0, 30.0)
    rows = [
        row(1, "box", "a", 2, box),
        row(2, "missing", "a", None, (10.0, 16.0, 30.0, 36.0)),  # IoU of 14 / 26
        row(3, "missing", "a", None, (10.0, 18.0, 30.0, 38.0)),  # IoU of 12 / 28
    ]

    def found(kind: str, picture: str, number: int, where: tuple[float, ...] = box) -> int | None:
        about = study.first_about(study.Planted(kind, picture, number, where), rows)
        return None if about is None else about.rank

    assert found("class", "a", 2) == 1
    assert found("class", "a", 1) is None
    assert found("class", "b", 2) is None
    assert found("missing", "a", 0) == 2
    assert found("missing", "a", 0, (10.0, 24.0, 30.0, 44.0)) == 3
    assert found("missing", "b", 0) is None
