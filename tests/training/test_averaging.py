"""The average of the weights: its rule by hand, and a run that evaluates and keeps it."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import last, last_bytes, lines, rooms_that_differ, run, stopped_and_resumed
from torch import Tensor, nn
from torch.testing import assert_close

from frcnn.data.loading import Batch
from frcnn.evaluation.run import Evaluation
from frcnn.model.detector import FasterRCNN
from frcnn.training import loop
from frcnn.training.averaging import AverageModel
from frcnn.training.run import Training
from frcnn.weights.build import build

DECAY = 0.375
AVERAGED = f"train.ema_decay={DECAY}"


@pytest.fixture
def model() -> FasterRCNN:
    torch.manual_seed(0)
    model = build("tiny", ["cat"])
    nn.init.constant_(model.head.classes.bias, 10.0)
    return model


def norm_of(model: FasterRCNN) -> nn.BatchNorm2d:
    return next(layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d))


def test_it_follows_faster_while_it_is_young(model: FasterRCNN) -> None:
    """The first steps keep 1/10, 2/11, 3/12 and so on of what was, until the decay is less."""
    average = AverageModel(model, 0.28)
    nn.init.zeros_(model.head.classes.bias)
    expected = torch.tensor([10.0, 10.0])
    for step, kept in enumerate([1 / 10, 2 / 11, 3 / 12, 0.28, 0.28]):
        average.update(model, step)
        expected *= kept
        assert_close(average.model.head.classes.bias.data, expected)


def test_means_are_averaged_and_counts_copied(model: FasterRCNN) -> None:
    average = AverageModel(model, 0.75)
    nn.init.constant_(norm_of(model).running_mean, 5.0)
    nn.init.constant_(norm_of(model).num_batches_tracked, 7)
    average.update(model, 1000)
    mean, count = norm_of(average.model).running_mean, norm_of(average.model).num_batches_tracked
    assert mean.unique().tolist() == [0.25 * 5]  # it began at 0
    assert (count.item(), count.dtype) == (7, torch.int64)


def test_the_model_is_left_as_it_is(model: FasterRCNN) -> None:
    """Neither shares its tensors with the other, and the average learns nothing itself."""
    average, before = AverageModel(model, 0.5), copy.deepcopy(model.state_dict())
    average.update(model, 3)
    for tensor in (*average.model.parameters(), *average.model.buffers()):
        tensor += 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.requires_grad for value in model.parameters())
    assert not any(value.requires_grad for value in average.model.parameters())


def watched(patch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Tensor]]]:
    """The weights before the first and after every step, and those that are evaluated."""
    seen: dict[str, list[dict[str, Tensor]]] = {"steps": [], "evaluated": []}
    take, evaluate = loop.train_step, loop.evaluate_model

    def train_step(training: Training, batches: list[Batch]) -> loop.Step:
        if not seen["steps"]:
            seen["steps"].append(copy.deepcopy(training.model.state_dict()))
        step = take(training, batches)
        seen["steps"].append(copy.deepcopy(training.model.state_dict()))
        return step

    def evaluate_model(model: FasterRCNN, *arguments, **options) -> Evaluation:
        seen["evaluated"].append(copy.deepcopy(model.state_dict()))
        return evaluate(model, *arguments, **options)

    patch.setattr(loop, "train_step", train_step)
    patch.setattr(loop, "evaluate_model", evaluate_model)
    return seen


def averages(steps: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    """After each step, by hand."""
    found = [steps[0]]
    for number, weights in enumerate(steps[1:]):
        kept = min(DECAY, (1 + number) / (10 + number))
        means = {name: value.lerp(weights[name], 1 - kept) if value.is_floating_point() else weights[name]
                 for name, value in found[-1].items()}  # fmt: skip
        found.append(means)
    return found


class TestInARun:
    """train.ema_decay."""

    def test_the_average_is_evaluated_and_kept(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = watched(monkeypatch)
        run(voc_set, tmp_path / "run", AVERAGED, "train.epochs=2")
        wanted = averages(seen["steps"])
        assert len(wanted) == 5
        for evaluated, step in zip(seen["evaluated"], (2, 4), strict=True):
            assert evaluated.keys() == wanted[step].keys()
            assert all(torch.equal(value, wanted[step][name]) for name, value in evaluated.items())
        kept = last(tmp_path / "run")
        assert all(torch.equal(value, wanted[-1][name]) for name, value in kept.items())
        assert not torch.equal(kept["head.classes.weight"], seen["steps"][-1]["head.classes.weight"])

    @pytest.mark.parametrize("before", [1, pytest.param(2, marks=pytest.mark.slow)])
    def test_a_stopped_run_goes_on_with_its_average(self, voc_set: Path, tmp_path: Path, before: int) -> None:
        run(voc_set, tmp_path / "whole", AVERAGED, "train.epochs=2")
        stopped_and_resumed(voc_set, tmp_path / "parts", before, AVERAGED, "train.epochs=2")
        assert last_bytes(tmp_path / "parts") == last_bytes(tmp_path / "whole")
        for event in ("step", "evaluation"):
            of_whole, of_parts = (lines(tmp_path / name, event) for name in ("whole", "parts"))
            told = [{key: line.get(key) for key in ("step", "total", "losses")} for line in of_whole]
            assert told == [{key: line.get(key) for key in ("step", "total", "losses")} for line in of_parts]

    def test_each_of_alternating_training_s_steps_hands_it_on(
        self, voc_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What no longer trains stays the average, bit for bit; the next step begins with it, and another average."""
        begun: list[dict[str, Tensor]] = []
        ended: list[dict[str, Tensor]] = []
        steps, real = watched(monkeypatch)["steps"], loop.train_stage

        proposing: list[dict[str, Tensor]] = []
        write = loop.write_proposals

        def write_proposals(path: Path, model: FasterRCNN, *arguments: Any, **options: Any) -> None:
            proposing.append(copy.deepcopy(model.state_dict()))
            write(path, model, *arguments, **options)

        def train_stage(training: Training, display: loop.Display) -> None:
            begun.append(copy.deepcopy(training.model.state_dict()))
            assert all(value.grad is None for value in training.model.parameters())  # it would count in the norm
            real(training, display)
            ended.append(copy.deepcopy(training.best_guess.state_dict()))

        monkeypatch.setattr(loop, "train_stage", train_stage)
        monkeypatch.setattr(loop, "write_proposals", write_proposals)
        run(voc_set, tmp_path / "run", AVERAGED, "train.schedule=alternating", "train.steps=2")
        assert [rooms_that_differ(one, ended[stage]) for one, stage in zip(proposing, (0, 2), strict=True)] == [
            set()
        ] * 2
        assert rooms_that_differ(begun[1], ended[0]) == {"backbone"}  # which starts anew
        assert rooms_that_differ(begun[2], ended[1]) == rooms_that_differ(begun[3], ended[2]) == set()
        assert rooms_that_differ(ended[1], ended[2]) == {"rpn"}
        assert rooms_that_differ(ended[2], ended[3]) == {"head"}
        assert rooms_that_differ(ended[3], last(tmp_path / "run")) == set()
        for number, (begin, end) in enumerate(zip(begun, ended, strict=True)):  # young again
            of_stage = [begin, *steps[1 + 2 * number :][:2]]
            assert rooms_that_differ(averages(of_stage)[-1], end) == set()
