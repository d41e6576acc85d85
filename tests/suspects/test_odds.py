"""The regression: against torch's solver on the written-out problem, and where there is little to learn from."""

import math

import numpy as np
import pytest
import torch

from frcnn.suspects.odds import PRIOR_WEIGHT, Evidence, log_odds, probability

USUAL = (0.4, -0.7, 1.1)
CLASSES = 3


def evidence(features: np.ndarray, class_ids: np.ndarray) -> Evidence:
    rows = np.arange(len(features))
    return Evidence(features.reshape(-1, 2).astype(np.float64), class_ids.astype(np.int64), rows, rows)


def drawn(chance: np.random.Generator, number: int, mean: float) -> Evidence:
    return evidence(chance.normal(mean, 1.0, (number, 2)), chance.integers(CLASSES, size=number))


NOTHING = evidence(np.zeros((0, 2)), np.zeros(0))


def by_torch(observed: Evidence, imagined: Evidence, mistakes: float) -> np.ndarray:
    """The same maximum, with a column of ones a class and a general solver."""
    tables = [torch.from_numpy(np.concatenate(pair)) for pair in zip(observed[:2], imagined[:2], strict=True)]
    one_hot = torch.nn.functional.one_hot(tables[1], CLASSES).double()
    columns = torch.cat((torch.ones(len(one_hot), 1).double(), tables[0], one_hot), dim=1)
    wanted = (torch.arange(len(columns)) >= len(observed.features)).double()
    offset = math.log(len(imagined.features) / len(observed.features))
    usual = torch.tensor([*USUAL, *[0.0] * CLASSES]).double()
    weights = usual.clone().requires_grad_()
    solver = torch.optim.LBFGS([weights], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-14)

    def loss() -> torch.Tensor:
        solver.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(
            columns @ weights + offset, wanted, reduction="sum"
        )
        value = value + PRIOR_WEIGHT / 2 * ((weights - usual) ** 2).sum()
        value.backward()
        return value

    solver.step(loss)
    linear = (columns @ weights).detach().numpy()[: len(observed.features)]
    return linear + math.log(mistakes / len(observed.features))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_is_the_maximum(seed):
    chance = np.random.default_rng(seed)
    observed, imagined = drawn(chance, 150, 0.0), drawn(chance, 60, 0.8)
    found = log_odds(observed, imagined, 3.0, USUAL, CLASSES)
    np.testing.assert_allclose(found, by_torch(observed, imagined, 3.0), atol=1e-6)  # LBFGS ends about there


def test_it_is_the_ratio_of_the_densities():
    """Of two normal distributions one apart: exp(x - 1/2)."""
    chance = np.random.default_rng(3)
    first = np.column_stack((chance.normal(0, 1, 40_000), np.zeros(40_000)))
    second = np.column_stack((chance.normal(1, 1, 20_000), np.zeros(20_000)))
    observed, imagined = evidence(first, np.zeros(40_000)), evidence(second, np.zeros(20_000))
    odds = log_odds(observed, imagined, 2000.0, (0.0, 0.0, 0.0), 1)
    expected = first[:, 0] - 0.5 + math.log(2000 / 40_000)
    np.testing.assert_allclose(odds, expected, atol=0.1)  # some four standard errors, at the ends


def test_without_examples_what_is_usual_holds():
    one = evidence(np.array([[2.0, 0.5]]), np.array([1]))
    expected = 0.4 - 0.7 * 2 + 1.1 * 0.5 + math.log(0.02)
    np.testing.assert_allclose(log_odds(one, NOTHING, 0.02, USUAL, CLASSES), [expected])
    assert len(log_odds(NOTHING, NOTHING, 0.02, USUAL, CLASSES)) == 0
    assert len(log_odds(NOTHING, one, 0.02, USUAL, CLASSES)) == 0


def test_a_class_in_which_it_is_common_is_less_suspicious():
    """Both classes have a row of the same features: in one most observed rows look so, in the other few."""
    features = np.array([[3.0, 0.0]] * 55 + [[0.0, 0.0]] * 45)
    class_ids = np.array([0] * 50 + [1] * 5 + [1] * 45)
    imagined = evidence(np.array([[3.0, 0.0]] * 100), np.array([0, 1] * 50))
    odds = log_odds(evidence(features, class_ids), imagined, 2.0, (0.0, 0.0, 0.0), 2)
    assert odds[50] > odds[0] + 0.5


def test_what_is_perfectly_apart_stays_finite():
    observed = evidence(np.full((50, 2), -6.0), np.zeros(50))
    imagined = evidence(np.full((50, 2), 6.0), np.zeros(50))
    assert np.isfinite(log_odds(observed, imagined, 0.02, USUAL, CLASSES)).all()


def test_probabilities():
    np.testing.assert_allclose(probability(np.array([0.0, math.log(3), -1e9, 1e9])), [0.5, 0.75, 0, 1], atol=1e-15)
