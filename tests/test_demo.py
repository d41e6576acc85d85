import io
import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

import frcnn.demo
from frcnn.demo import demo
from frcnn.errors import UsageError
from frcnn.training.checkpoint import states

SMALL = {"pictures": 12, "overrides": ["train.steps=2", "train.batch_size=2", "data.workers=0"], "device": "cpu"}


class Telling(io.StringIO):
    """A console whose lines can be looked at."""

    def console(self) -> Console:
        return Console(file=self, width=200)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A small demo that ran to its end, and what it said."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    said = Telling()
    demo(folder, seed=3, console=said.console(), **SMALL)
    return folder, said.getvalue()


def test_it_leaves_a_whole_run(finished):
    folder, _ = finished
    assert {path.name for path in folder.iterdir()} >= {
        "config.toml",
        "data",
        "evaluation",
        "last.safetensors",
        "metrics.jsonl",
        "predictions",
        "report.html",
        "state",
    }
    metrics = json.loads((folder / "evaluation" / "metrics.json").read_text())
    tested = (folder / "data" / "ImageSets" / "Main" / "test.txt").read_text().split()
    assert metrics["images"] == len(tested)


def test_it_draws_pictures_of_the_test_split_alone(finished):
    folder, _ = finished
    tested = (folder / "data" / "ImageSets" / "Main" / "test.txt").read_text().split()
    drawn = sorted(path.stem for path in (folder / "predictions").glob("*.jpg"))
    assert drawn == sorted(tested)[: frcnn.demo.DRAWN]
    Image.open(folder / "predictions" / f"{drawn[0]}.jpg").load()


def test_it_says_the_result_and_where_to_look(finished):
    folder, said = finished
    assert "mAP at IoU .5 on" in said
    assert str(folder / "report.html") in said
    assert f"frcnn predict {folder}" in said


def test_a_second_call_trains_no_more(finished):
    folder, first = finished
    before = (folder / "last.safetensors").stat().st_mtime_ns
    said = Telling()
    demo(folder, seed=3, console=said.console(), **SMALL)
    assert "trained already" in said.getvalue()
    assert (folder / "last.safetensors").stat().st_mtime_ns == before

    def result(text: str) -> str:
        return next(line for line in text.splitlines() if line.startswith("mAP"))

    assert result(said.getvalue()) == result(first)


def test_it_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    real = frcnn.demo.train

    def stopped(*arguments, **options):
        real(*arguments, **options)
        (tmp_path / "run" / "last.safetensors").unlink()  # as if it had been stopped after its last state
        raise KeyboardInterrupt

    monkeypatch.setattr(frcnn.demo, "train", stopped)
    said = Telling()
    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path / "run", console=said.console(), **SMALL)
    assert "goes on from there" in said.getvalue()
    assert states(tmp_path / "run" / "state")

    monkeypatch.setattr(frcnn.demo, "train", real)
    said = Telling()
    demo(tmp_path / "run", console=said.console(), **SMALL)
    assert "Resuming after step 2" in said.getvalue()
    assert (tmp_path / "run" / "report.html").exists()


def test_it_goes_on_where_it_was_stopped_before_training(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(frcnn.demo, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path / "run", console=Telling().console(), **SMALL)
    monkeypatch.undo()
    demo(tmp_path / "run", console=Telling().console(), **SMALL)
    assert (tmp_path / "run" / "report.html").exists()


def test_a_folder_that_holds_something_else_is_left_alone(finished, tmp_path):
    folder, _ = finished
    (tmp_path / "a.txt").write_text("mine")
    for out, seed, says in (
        (tmp_path, 0, "holds something else"),
        (tmp_path / "a.txt", 0, "is a file"),
        (folder, 4, "with seed 3"),
    ):
        with pytest.raises(UsageError, match=says):
            demo(out, seed=seed, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_somebody_s_own_training_is_left_alone(finished, tmp_path):
    """A run of the same preset and seed, but on other data: the sample has no business in it."""
    (tmp_path / "config.toml").write_text((finished[0] / "config.toml").read_text())
    (tmp_path / "last.safetensors").write_text("theirs")
    with pytest.raises(UsageError, match="holds a run that is no demo"):
        demo(tmp_path, seed=3, **SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "last.safetensors"]


@pytest.mark.parametrize("wrong", [{"device": "gpu"}, {"overrides": ["train.lrr=1"]}])
def test_what_is_wrong_is_said_before_anything_is_made(tmp_path, wrong):
    with pytest.raises(UsageError):
        demo(tmp_path / "run", **(SMALL | wrong))
    assert not (tmp_path / "run").exists()
