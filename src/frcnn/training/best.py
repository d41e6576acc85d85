"""Which of a training's evaluations is the best one."""

from typing import NamedTuple

from frcnn.training.checkpoint import Progress


class Score(NamedTuple):
    """How good a model is on what was held out."""

    voc07_map: float | None  # None: there is no object to find
    loss: float


def take_if_best(score: Score, progress: Progress) -> bool:
    """Note in `progress` whether `score` is the best so far, and return it.

    A higher mAP is better, or an equal one with a lower loss: while nothing is found yet, the loss alone tells. With
    no object to find, the last one counts as best.
    """
    if score.voc07_map is None:
        is_best = True
    elif is_best := (score.voc07_map, -score.loss) > (progress.best_map, -progress.best_loss):
        progress.best_map, progress.best_loss = score.voc07_map, score.loss
    progress.in_vain = 0 if is_best else progress.in_vain + 1
    return is_best
