"""Which evaluation is the best one: an order by hand."""

import pytest

from frcnn.training.best import Score, take_if_best
from frcnn.training.checkpoint import Progress


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([(0.2, 5.0), (0.3, 9.0)], [True, True]),  # mAP decides ...
        ([(0.3, 9.0), (0.2, 5.0)], [True, False]),
        ([(0.0, 3.0), (0.0, 2.0), (0.0, 2.5)], [True, True, False]),  # ... and between equal ones the loss
        ([(0.3, 2.0), (0.3, 2.0)], [True, False]),
        ([(None, 1.0), (None, 2.0)], [True, True]),  # no object to find: the last one
    ],
)
def test_a_later_one_is_best_if_it_is_better(scores: list[tuple[float | None, float]], best: list[bool]) -> None:
    progress = Progress()
    assert [take_if_best(Score(*score), progress) for score in scores] == best


def test_what_is_in_vain_is_counted_from_the_best_one_on() -> None:
    progress, counts = Progress(), []
    for found in (0.2, 0.1, 0.2, 0.4, 0.3):
        take_if_best(Score(found, loss=1.0), progress)
        counts.append(progress.in_vain)
    assert counts == [0, 1, 2, 0, 1]
    assert (progress.best_map, progress.best_loss) == (0.4, 1.0)
