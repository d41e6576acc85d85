"""From a model and a data set to the page and the table."""

import csv
import io
import os
import re
from pathlib import Path

import pytest
import torch
from rich.console import Console

from frcnn.data.sample import write_sample
from frcnn.errors import DataError, DiskError, FrcnnError, UsageError
from frcnn.evaluation.run import evaluate_model
from frcnn.structures import Detections
from frcnn.suspects import run
from frcnn.suspects.evidence import LEAST_SCORE
from frcnn.suspects.findings import Suspects
from frcnn.suspects.run import DETECTIONS, detections_of, find_suspects
from frcnn.suspects.words import words
from frcnn.weights.build import build
from frcnn.weights.model_file import save_model

NAMES = ("cat", "dog")
BOX = (10.0, 10.0, 50.0, 40.0)
AS_WRITTEN = (11, 11, 50, 40)
PICTURES = "abcdefghijkl"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    save_model(build("tiny", list(NAMES)), path)
    return path


@pytest.fixture
def data(make_voc) -> Path:
    """A cat in each picture, and in c a difficult one."""
    pictures = {name: [("cat", AS_WRITTEN, name == "c")] for name in PICTURES}
    return make_voc(pictures, {"test": PICTURES, "train": ["a"]})


def seen(dogs: str) -> list[Detections]:
    """One sure detection a picture, on its object: dogs in the pictures named, cats in the others."""
    classes = [int(name in dogs) for name in PICTURES]
    return [Detections(torch.tensor([BOX]), torch.tensor([0.98]), torch.tensor([one]), NAMES) for one in classes]


@pytest.fixture
def sees(monkeypatch):
    """A model that has seen a dog in b and c."""
    monkeypatch.setattr(run, "detections_of", lambda *_, **__: seen("bc"))


def test_page_and_table(model, data, tmp_path, sees):
    found = find_suspects(model, data, out=tmp_path / "new" / "out")
    assert (found.pictures, found.objects, found.split, found.folds) == (12, 11, "test", 0)
    first = found.suspects[0]
    assert (first.kind, first.picture.stem) == ("class", "b")
    assert (first.annotated.class_name, first.proposed.class_name) == ("cat", "dog")
    assert "c" not in {suspect.picture.stem for suspect in found.suspects}
    assert found.page == tmp_path / "new" / "out" / "suspects.html"
    assert "Is this a dog rather than a cat?" in found.page.read_text()
    rows = list(csv.DictReader(io.StringIO((tmp_path / "new" / "out" / "suspects.csv").read_text())))
    assert rows[0]["annotation"] == str(data / "Annotations" / "b.xml")
    assert len(rows) == len(found.suspects)
    for whose in ("annotated", "proposed"):  # the one as its XML has it, the other so that it can be put there
        assert tuple(float(rows[0][f"{whose}_{corner}"]) for corner in ("x1", "y1", "x2", "y2")) == AS_WRITTEN


def test_no_more_rows_than_asked_for_and_nothing_written(model, data, sees, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "detections_of", lambda *_, **__: seen("bcd"))
    assert len(find_suspects(model, data, out=None).suspects) == 2
    found = find_suspects(model, [data], "test", out=None, top=1)
    assert [suspect.rank for suspect in found.suspects] == [1]
    assert found.page is None
    assert not (tmp_path / "runs").exists()


def test_the_language_of_the_files(model, data, tmp_path, sees):
    find_suspects(model, data, out=tmp_path / "out", language="ko")
    assert '<html lang="ko">' in (tmp_path / "out" / "suspects.html").read_text()
    assert "가깝지" in (tmp_path / "out" / "suspects.csv").read_text()


def test_detections_reach_down_and_the_model_stays_as_it_was(data, monkeypatch):
    network = build("tiny", list(NAMES))
    before = network.config
    asked = []

    def watched(model, *arguments, **named):
        asked.append(model.config.head)
        return evaluate_model(model, *arguments, **named)

    monkeypatch.setattr(run, "evaluate_model", watched)
    assert len(detections_of(network, run.load_dataset([data], "test", NAMES))) == 12
    assert (asked[0].score_threshold, asked[0].max_detections) == (LEAST_SCORE, DETECTIONS)
    assert network.config is before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"top": 0}, "--top 0"),
        ({"folds": 1}, "--folds 1"),
        ({"folds": 2, "split": "test"}, "nothing is ever trained on test"),
        ({"folds": 2, "out": None}, "name one with --out"),
        ({"overrides": ["train.lr=1"]}, "add --folds"),
        ({"device": "gpu"}, "gpu"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_read(tmp_path, options, says):
    with pytest.raises(UsageError, match=re.escape(says)):
        find_suspects(tmp_path / "absent.safetensors", tmp_path / "absent", **({"out": tmp_path / "out"} | options))
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        find_suspects("tiny", tmp_path, out=tmp_path / "out")


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    """Told before hours of detecting."""
    monkeypatch.setattr(os, "access", lambda place, _: place != tmp_path)  # nothing is read-only to root
    with pytest.raises(DiskError, match=r"out: cannot be written, as .* is read-only"):
        find_suspects("tiny", tmp_path / "absent", out=tmp_path / "out")


def test_bad_boxes_are_refused_unless_they_may_be_left_out(model, make_voc, tmp_path, monkeypatch):
    pictures = {name: [("cat", AS_WRITTEN)] for name in PICTURES}
    pictures["a"] = [("cat", (30, 5, 9, 40)), ("cat", AS_WRITTEN)]
    root = make_voc(pictures, {"test": PICTURES})
    with pytest.raises(DataError, match=r"a\.xml"):
        find_suspects(model, root, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(run, "detections_of", lambda *_, **__: seen("a"))
    (suspect,) = find_suspects(model, root, out=None, bad_boxes="skip").suspects
    assert suspect.annotated is not None
    assert suspect.annotated.place.number == 2


def test_a_picture_that_cannot_be_read_is_named(model, data, tmp_path):
    (data / "JPEGImages" / "d.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(DataError, match=r"d\.jpg"):
        find_suspects(model, data, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pictures_in_which_nothing_is_found_and_nothing_is_annotated(model, make_voc, tmp_path, monkeypatch):
    root = make_voc({"a": [("cat", AS_WRITTEN)], "b": []}, {"train": "a", "test": "b"})
    nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), NAMES)
    monkeypatch.setattr(run, "detections_of", lambda *_, **__: [nothing])
    found = find_suspects(model, root, out=tmp_path / "out")
    assert (found.pictures, found.objects, found.suspects) == (1, 0, ())
    assert "No annotation is suspicious." in (tmp_path / "out" / "suspects.html").read_text()
    assert (tmp_path / "out" / "suspects.csv").read_text().count("\n") == 1


def test_names_in_any_script_come_back_from_the_table(make_voc, tmp_path, monkeypatch):
    names = ("강아지", "고양이")
    save_model(build("tiny", list(names)), tmp_path / "model.safetensors")
    root = make_voc({name: [("고양이", AS_WRITTEN)] for name in PICTURES}, {"test": PICTURES}, name="자료")
    dogs = [Detections(one.boxes, one.scores, 1 - one.class_ids, names) for one in seen("b")]
    monkeypatch.setattr(run, "detections_of", lambda *_, **__: dogs)
    found = find_suspects(tmp_path / "model.safetensors", root, out=tmp_path / "out", language="ko")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "suspects.csv").read_text(encoding="utf-8"))))
    assert (rows[0]["annotated_class"], rows[0]["proposed_class"]) == ("고양이", "강아지")
    assert rows[0]["remedy"] == "고양이보다 강아지에 가깝지 않습니까?"
    assert [row["suspicion"] for row in rows] == [f"{round(one.suspicion, 4)}" for one in found.suspects]
    assert "자료" in (tmp_path / "out" / "suspects.html").read_text(encoding="utf-8")


def test_names_of_files_that_are_no_text(model, make_voc, tmp_path, monkeypatch):
    odd = os.fsdecode(b"\xff")
    root = make_voc({name: [("cat", AS_WRITTEN)] for name in PICTURES}, {"test": PICTURES}, name=odd)
    monkeypatch.setattr(run, "detections_of", lambda *_, **__: seen("b"))
    found = find_suspects(model, root, out=tmp_path / "out")
    content = (tmp_path / "out" / "suspects.csv").read_bytes()
    assert os.fsencode(found.suspects[0].annotation) in content
    assert "Suspicious annotations: ?" in (tmp_path / "out" / "suspects.html").read_text(encoding="utf-8")
    Console(file=io.TextIOWrapper(io.BytesIO(), encoding="utf-8")).print(found.to_console(words("en")))


def test_the_same_call_writes_the_same(model, data, tmp_path, sees):
    for name in ("one", "two"):
        find_suspects(model, data, out=tmp_path / name)
    for name in ("suspects.csv", "suspects.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_full_disk_is_a_line(model, data, tmp_path, sees, monkeypatch):
    def full(path, _):
        raise FrcnnError(f"{path}: cannot be written (no space)")

    monkeypatch.setattr(run, "write_text", full)
    with pytest.raises(FrcnnError, match=r"suspects\.html: cannot be written"):
        find_suspects(model, data, out=tmp_path / "out")


@pytest.mark.slow
def test_cross_validated_on_sample_data(tmp_path):
    data = write_sample(tmp_path / "sample", 16)
    small = ["model.input.short_side=64", "model.input.long_side=96", "train.steps=2", "train.batch_size=2"]

    def look(split: str | None) -> Suspects:
        return find_suspects(
            "tiny",
            data,
            split,
            tmp_path / "out",
            folds=2,
            overrides=[*small, "data.workers=0"],
            workers=0,
            device="cpu",
            console=Console(file=io.StringIO()),
        )

    found = look(None)
    assert (found.folds, found.split, found.pictures) == (2, None, 14)  # but for the ones to test on
    assert (tmp_path / "out" / "suspects.html").is_file()
    assert len(list((tmp_path / "out").glob("folds-*/*/run/last.safetensors"))) == 2
    assert look("train").pictures == 13
