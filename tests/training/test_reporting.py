"""The report at a training's end: there, whole, and never in the way of the training."""

import pytest
from small_reports import Page
from small_runs import lines, run

from frcnn.training import reporting


def test_a_training_leaves_its_report(voc_set, tmp_path):
    """The curves, and the pictures that were held out."""
    said = run(voc_set, tmp_path / "run", "train.epochs=2")
    assert f"Look at {tmp_path / 'run' / 'report.html'}" in said
    page = Page((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    assert {"Report: run", "Validation mAP at IoU .5", "Learning rate", "cat", "dog"} <= set(page.words)
    assert "Faster R-CNN · preset tiny · classes: 2 · split: val" in page.words
    assert page.all("img")
    assert [line["event"] for line in lines(tmp_path / "run")].count("evaluation") == 2  # the report's own is no event


def test_with_nothing_held_out_there_are_curves_alone(voc_set, tmp_path):
    run(voc_set, tmp_path / "run", "data.validation=0", "train.epochs=1")
    page = Page((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    assert {"Not evaluated yet.", "Learning rate"} <= set(page.words)
    assert not page.all("img")


def test_letters_that_its_pictures_lack_are_told_of(make_voc, tmp_path, without_fonts):
    pictures = {name: [("고양이", (1, 1, 40, 40))] for name in "abcd"}
    said = run(make_voc(pictures, {"train": "abc", "val": "d"}), tmp_path / "run", "train.epochs=1")
    assert said.count("no font was found for 고, 양, 이: ") == 1


@pytest.mark.parametrize(("error", "words"), [(RuntimeError("no\nroom"), "no room"), (MemoryError(), "MemoryError")])
def test_a_failure_is_said_in_a_line_and_the_training_is_done(voc_set, tmp_path, monkeypatch, error, words):
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(reporting, "write_report", fails)
    said = run(voc_set, tmp_path / "run", "data.validation=0", "train.epochs=1")
    out = tmp_path / "run"
    assert said.splitlines()[-2:] == [f"{out / 'report.html'}: could not be written: {words}", f"Done: {out}"]
    assert (out / "last.safetensors").is_file()
    assert not (out / "report.html").exists()
