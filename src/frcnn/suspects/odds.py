"""How much more likely is what we see, if the annotation is wrong than as annotations are? A logistic regression.

Evidence of annotations as they are, and of the same with a mistake put into each, is told apart; what the regression
says of an annotation is then the ratio of both densities. Each class has an offset of its own, which few examples
hardly move: where a model is bad at a class, that explains much (Northcutt et al. 2021, "Confident Learning").
N pieces of evidence, F features, W weights: the intercept, the features, the classes.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

STEPS = 30  # of Newton's method, which needs some six
PRIOR_WEIGHT = 4.0  # a weight lies within half of what is usual, unless some dozens of examples say otherwise


class Evidence(NamedTuple):
    """Numbers that may speak for a mistake, the class that they are compared within, and what they were taken from."""

    features: Float[np.ndarray, "N F"]
    class_ids: Int[np.ndarray, " N"]
    found: Int[np.ndarray, " N"]  # the detection that speaks; NOTHING where none does
    objects: Int[np.ndarray, " N"]  # the object that is spoken of; NOTHING where none is annotated


def log_odds(
    observed: Evidence, imagined: Evidence, mistakes: float, usual: tuple[float, ...], num_classes: int
) -> Float[np.ndarray, " N"]:
    """The log of the odds that each observed annotation is wrong, where so many `mistakes` are expected among all.

    `imagined` is the evidence that mistakes would give. `usual` are intercept and weights of the features from other
    data sets, which hold as long as there is little evidence.
    """
    if not len(observed.features):
        return np.zeros(0)
    weights = np.concatenate((usual, np.zeros(num_classes)))
    if len(imagined.features):
        weights = _fitted(observed, imagined, weights)
    return _linear(observed, weights) + np.log(mistakes / len(observed.features))


def probability(log_odds: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """In [0, 1]."""
    return 1 / (1 + np.exp(-log_odds.clip(-500, 500)))  # exp overflows at 710


def _fitted(observed: Evidence, imagined: Evidence, usual: Float[np.ndarray, " W"]) -> Float[np.ndarray, " W"]:
    """Newton's method on the penalised likelihood, which has one maximum; a step that leads down is halved."""
    both = Evidence(*(np.concatenate(pair) for pair in zip(observed, imagined, strict=True)))
    is_imagined = np.arange(len(both.features)) >= len(observed.features)
    offset = float(np.log(len(imagined.features) / len(observed.features)))
    weights, value = usual, _likelihood(both, is_imagined, offset, usual, usual)
    for _ in range(STEPS):
        step = _newton_step(both, is_imagined, offset, weights, usual)
        while (new := _likelihood(both, is_imagined, offset, weights + step, usual)) < value and np.abs(step).max() > 0:
            step = step / 2
        weights, value = weights + step, new
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _linear(evidence: Evidence, weights: Float[np.ndarray, " W"]) -> Float[np.ndarray, " N"]:
    count = evidence.features.shape[1]
    return weights[0] + evidence.features @ weights[1 : 1 + count] + weights[1 + count :][evidence.class_ids]


def _likelihood(
    evidence: Evidence,
    is_imagined: Bool[np.ndarray, " N"],
    offset: float,
    weights: Float[np.ndarray, " W"],
    usual: Float[np.ndarray, " W"],
) -> float:
    linear = _linear(evidence, weights) + offset
    of_data = np.logaddexp(0, np.where(is_imagined, -linear, linear)).sum()
    return float(-of_data - PRIOR_WEIGHT / 2 * ((weights - usual) ** 2).sum())


def _newton_step(
    evidence: Evidence,
    is_imagined: Bool[np.ndarray, " N"],
    offset: float,
    weights: Float[np.ndarray, " W"],
    usual: Float[np.ndarray, " W"],
) -> Float[np.ndarray, " W"]:
    """One column of ones for each class would not fit into memory: sums by class take their place."""
    columns = np.column_stack((np.ones(len(evidence.features)), evidence.features))
    count, num_classes = columns.shape[1], len(weights) - columns.shape[1]
    chance = probability(_linear(evidence, weights) + offset)
    residual, curvature = is_imagined - chance, chance * (1 - chance)
    of_classes = np.bincount(evidence.class_ids, residual, num_classes)
    gradient = np.concatenate((columns.T @ residual, of_classes)) - PRIOR_WEIGHT * (weights - usual)
    hessian = PRIOR_WEIGHT * np.eye(len(weights))
    hessian[:count, :count] += columns.T @ (columns * curvature[:, None])
    crossed = np.array([np.bincount(evidence.class_ids, curvature * column, num_classes) for column in columns.T])
    hessian[:count, count:] += crossed
    hessian[count:, :count] += crossed.T
    hessian[count:, count:] += np.diag(crossed[0])  # the first column is ones
    return np.linalg.solve(hessian, gradient)
