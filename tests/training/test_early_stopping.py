"""train.patience: a training that no longer gets better ends, and stays ended."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_runs import last, lines, run, stopped_and_resumed
from torch import Tensor

from frcnn.data.dataset import Dataset
from frcnn.training import loop
from frcnn.training.best import Score
from frcnn.training.run import Training

SCORES = (0.2, 0.1, 0.5, 0.4, 0.5, 0.9)  # of the epochs; the fifth is as good as the best, not better
PATIENT = ("train.patience=2", "train.epochs=6")


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """The weights after each epoch; what is held out gives the scores above."""
    seen: list[dict[str, Tensor]] = []

    def evaluate_held_out(training: Training, _: Dataset, __: loop.Display) -> Score:
        seen.append({name: value.clone() for name, value in training.model.state_dict().items()})
        return Score(SCORES[training.progress.step // training.steps_per_epoch - 1], loss=1.0)

    monkeypatch.setattr(loop, "evaluate_held_out", evaluate_held_out)
    return seen


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_it_ends_after_so_many_epochs_in_vain(
    voc_set: Path, tmp_path: Path, evaluated: list[dict[str, Tensor]]
) -> None:
    """Epochs 1 to 3 bring something better, if not each of them; 4 and 5 do not."""
    said = run(voc_set, tmp_path / "run", *PATIENT)
    assert len(evaluated) == 5
    assert len(lines(tmp_path / "run", "step")) == 10
    assert_same(load_file(tmp_path / "run" / "best.safetensors"), evaluated[2])
    assert_same(last(tmp_path / "run"), evaluated[4])
    assert "Ended early: no better validation AP in 2 epochs (train.patience)." in said
    assert said.count("Ended early") == 1
    assert "Done" in said


def test_what_has_ended_stays_ended(voc_set: Path, tmp_path: Path, evaluated: list[dict[str, Tensor]]) -> None:
    run(voc_set, tmp_path / "run", *PATIENT)
    files = [tmp_path / "run" / f"{name}.safetensors" for name in ("best", "last")]
    before = [path.read_bytes() for path in files]
    files[1].unlink()
    assert "after step 10" in run(voc_set, tmp_path / "run", resume=True)
    assert [path.read_bytes() for path in files] == before
    assert len(evaluated) == 5
    assert len(lines(tmp_path / "run", "step")) == 10


@pytest.mark.parametrize("before", [pytest.param(8, marks=pytest.mark.slow), 9])
@pytest.mark.usefixtures("evaluated")
def test_a_stopped_run_remembers_what_was_in_vain(voc_set: Path, tmp_path: Path, before: int) -> None:
    """At an epoch's beginning and within it."""
    run(voc_set, tmp_path / "whole", *PATIENT)
    assert "Ended early" in stopped_and_resumed(voc_set, tmp_path / "parts", before, *PATIENT)
    for name in ("best", "last"):
        one, other = (tmp_path / run_ / f"{name}.safetensors" for run_ in ("whole", "parts"))
        assert one.read_bytes() == other.read_bytes()


def test_without_patience_it_goes_to_its_end(voc_set: Path, tmp_path: Path, evaluated: list[dict[str, Tensor]]) -> None:
    assert "Ended early" not in run(voc_set, tmp_path / "run", "train.epochs=6")
    assert len(evaluated) == 6
    assert_same(load_file(tmp_path / "run" / "best.safetensors"), evaluated[5])
