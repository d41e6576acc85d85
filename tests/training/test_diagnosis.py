"""What is said where a training's numbers are no numbers, and what the facts advise."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from frcnn.config import TrainConfig, load_preset, override
from frcnn.training.diagnosis import Failure, Weights, advice, calmer, describe_failure, is_finite, weights_of

FINITE = {"rpn_box": 0.25, "head_box": 1e30}
BOXES, CLASSES = {"rpn_box": 0.25, "head_box": math.nan}, {"head_class": math.inf, "head_box": math.nan}
CALM = Failure(17, BOXES, math.nan, 0.00123456, (3.0, 5.5, 4.0), Weights(None, 2.5), is_first=False)


def settings(*overrides: str) -> TrainConfig:
    return override(load_preset("tiny"), [f"train.{each}" for each in overrides]).train


@pytest.mark.parametrize(
    ("losses", "norm", "expected"),
    [
        (FINITE, 1e30, True),
        (FINITE, math.inf, False),
        (FINITE, math.nan, False),
        (FINITE | {"rpn_box": math.nan}, 1.0, False),
        (FINITE | {"head_box": -math.inf}, 1.0, False),
    ],
)
def test_all_must_be_numbers(losses: dict[str, float], norm: float, expected: bool) -> None:
    assert is_finite(losses, norm) == expected


def test_the_weights_that_a_step_met() -> None:
    """By name; what batch norm has counted is no weight."""
    model = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        model[0].weight[1, 0] = -70.0
    torch.nn.init.constant_(model[1].running_mean, math.nan)
    assert weights_of(model) == Weights(None, 70.0)
    torch.nn.init.constant_(model[1].bias, math.inf)
    assert weights_of(model).broken == "1.bias"


@pytest.mark.parametrize(
    ("losses", "norm", "what"),
    [
        (BOXES, math.nan, "the loss is not finite (rpn_box 0.25, head_box nan; gradient norm nan, "),
        (
            {"rpn_box": 0.25, "head_box": 12345.678},
            math.inf,
            "the gradient is not finite (rpn_box 0.25, head_box 1.235e+04; gradient norm inf, ",
        ),
    ],
)
def test_one_line_says_what_where_and_what_to_do(losses: dict[str, float], norm: float, what: str) -> None:
    failure = CALM._replace(losses=losses, gradient_norm=norm)
    said = describe_failure(failure, settings(), [Path("VOC/a.jpg"), Path("VOC/b.jpg")], Path("runs/x/failure"))
    assert said.startswith(f"step 17: {what}of the steps before 3, 5.5, 4) at rate 0.001235 on VOC/a.jpg, VOC/b.jpg: ")
    assert said.endswith(f": {advice(failure, settings())} (the batch and the weights are kept in runs/x/failure)")
    assert "--resume" not in said  # it would fail there again
    assert "\n" not in said


def test_nothing_is_said_of_norms_that_nobody_knows() -> None:
    said = describe_failure(CALM._replace(norms_before=()), settings(), [Path("a.jpg")], Path("failure"))
    assert "; gradient norm nan) at rate" in said


class TestAdvice:
    """It follows from what was so before the step."""

    RATE = "start anew with train.lr below 0.002"

    def test_sound_weights_and_calm_gradients_leave_the_pictures(self) -> None:
        boxes = advice(CALM, settings())
        assert boxes == f"look at these pictures' boxes; if nothing is wrong with them, {self.RATE}"
        for losses in (CLASSES, FINITE):  # of what classes or gradients lack, boxes are not alone to blame
            assert advice(CALM._replace(losses=losses), settings()).startswith("look at these pictures and their boxes")

    def test_before_the_first_step_no_rate_is_to_blame(self) -> None:
        said = advice(CALM._replace(is_first=True, norms_before=()), settings())
        assert said == "look at these pictures' boxes: no step has moved the weights yet"

    def test_broken_weights_are_of_the_step_before(self) -> None:
        said = advice(CALM._replace(weights=Weights("rpn.deltas.bias", math.nan)), settings())
        assert said == (
            "the weights were not finite any more after step 16 (rpn.deltas.bias), whatever these pictures are: "
            + self.RATE
        )

    @pytest.mark.parametrize(
        ("failure", "reason"),
        [
            (CALM._replace(weights=Weights(None, 1e30)), "the steps before have driven weights to 1e+30"),
            (CALM._replace(norms_before=(3.0, 5.0, 31.0)), "the gradient has grown in the steps before"),
        ],
    )
    def test_what_ran_away_wants_a_lower_rate(self, failure: Failure, reason: str) -> None:
        assert advice(failure, settings()) == f"{reason}: {self.RATE}"

    def test_only_what_is_not_set_is_advised(self) -> None:
        assert calmer(settings("lr=0.5", "clip_gradient=0")) == (
            "start anew with train.lr below 0.5 or train.clip_gradient=10"
        )
        assert calmer(settings("lr=0.5", "clip_gradient=3")) == "start anew with train.lr below 0.5"
