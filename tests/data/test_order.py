"""Which pictures a step takes, how it sees them, and how they are dealt out to pieces and processes."""

from pathlib import Path

import pytest
import torch

from frcnn.config import InputConfig
from frcnn.data.augment import View, Window
from frcnn.data.dataset import Dataset, Example
from frcnn.data.order import Chances, Order, Part, Share, dealt, ordered, rule_of_step, training_order
from frcnn.model.preprocess import network_size, preprocess
from frcnn.structures import Target

SIZES = ((60, 80), (80, 60), (48, 64), (30, 90), (200, 100), (64, 64), (33, 50), (32, 49), (31, 47), (90, 31))
NOTHING = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
DATASET = Dataset(tuple(Example(Path(f"{i}.jpg"), Path(f"{i}.xml"), size, NOTHING) for i, size in enumerate(SIZES)), ())


def rule(short_side: int = 24, long_side: int = 60) -> InputConfig:
    return InputConfig(short_side=short_side, long_side=long_side, mean=(0, 0, 0), std=(1, 1, 1), padding="exact")


def numbers(part: Part) -> list[int]:
    return [order.number for order in part.orders]


def dealt_to_all(
    orders: list[Order], pieces: int, processes: int, seen_by: InputConfig | None = None
) -> list[list[Part]]:
    """For each process its part of each piece."""
    return [dealt(DATASET, orders, seen_by, Share(number, processes), pieces=pieces) for number in range(processes)]


BATCH = [Order(number) for number in (4, 0, 7, 1, 9, 2, 3)]


@pytest.mark.parametrize("count", [1, 5, 7])
@pytest.mark.parametrize("pieces", [1, 2, 3, 9])
@pytest.mark.parametrize("processes", [1, 2, 5])
class TestDealt:
    """By law: whatever the pieces and the processes."""

    def test_every_picture_once_and_none_of_a_stand_in_counts(self, count: int, pieces: int, processes: int) -> None:
        parts = [part for of_process in dealt_to_all(BATCH[:count], pieces, processes) for part in of_process]
        assert sorted(order for part in parts if part.weight > 0 for order in numbers(part)) == sorted(
            order.number for order in BATCH[:count]
        )
        assert all(len(part.orders) == 1 for part in parts if part.weight == 0)
        assert {part.batch_size for part in parts} == {count}

    def test_all_take_part_in_each_piece(self, count: int, pieces: int, processes: int) -> None:
        """Gradients are averaged over the processes: a piece's weight is its share of the batch on each that counts."""
        for piece in zip(*dealt_to_all(BATCH[:count], pieces, processes), strict=True):
            held = [number for part in piece if part.weight > 0 for number in numbers(part)]
            assert {part.weight for part in piece} <= {len(held) / count, 0.0}
            assert max(len(part.orders) for part in piece) - min(len(part.orders) for part in piece) <= 1
            for part in piece:
                assert part.weight > 0 or numbers(part)[0] in held  # a stand-in is one of the piece's own

    def test_weights_add_up_to_one_over_the_pieces(self, count: int, pieces: int, processes: int) -> None:
        first, *_ = dealt_to_all(BATCH[:count], pieces, processes)
        assert 1 <= len(first) <= pieces
        assert sum(part.weight for part in first) == pytest.approx(1)

    def test_a_piece_is_seen_at_one_size_by_all(self, count: int, pieces: int, processes: int) -> None:
        """The largest sides of its pictures; or nobody's affair without a rule."""
        alone = dealt_to_all(BATCH[:count], pieces, 1, rule())[0]
        together = dealt_to_all(BATCH[:count], pieces, processes, rule())
        for whole, *of_processes in zip(alone, *together, strict=True):
            assert {part.canvas for part in of_processes} == {whole.canvas}
            assert {part.rule for part in of_processes} == {rule()}
            seen = [network_size(SIZES[number], rule()) for number in numbers(whole)]
            assert whole.canvas == (max(height for height, _ in seen), max(width for _, width in seen))
        assert {part.canvas for part in dealt_to_all(BATCH[:count], pieces, processes)[0]} == {(0, 0)}


def test_dealt_by_hand() -> None:
    """Seven pictures in two pieces, of four and of three, to four processes: the last has none of the second."""
    parts = dealt_to_all(BATCH, 2, 4)
    assert [[numbers(part) for part in of_process] for of_process in parts] == [
        [[4], [9]], [[0], [2]], [[7], [3]], [[1], [9]],
    ]  # fmt: skip
    assert [[part.weight for part in of_process] for of_process in parts] == [[4 / 7, 3 / 7]] * 3 + [[4 / 7, 0]]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_no_picture_is_larger_than_the_size_of_its_piece(processes: int) -> None:
    """Sides are rounded up where pictures are reduced: the network sees 32 x 49 at 8 x 12, and a quarter at 8 x 13."""
    assert network_size((32, 49), rule(8)) == (8, 12)
    a_quarter, half_a_window = View(reduction=4), View(reduction=2, window=Window(1, 3, 30, 48))
    loaded = {
        Order(7, a_quarter): (8, 13),
        Order(6, a_quarter): (9, 13),
        Order(7, half_a_window): (15, 23),
        Order(8): (31, 47),
    }
    for part in (part for of_process in dealt_to_all(list(loaded), 1, processes, rule(8)) for part in of_process):
        batch = preprocess([torch.zeros(3, *loaded[order]) for order in part.orders], rule(8), part.canvas)
        assert batch.pixels.shape[2:] == part.canvas == (8, 13)


class TestOrdered:
    """How a picture is seen in an epoch."""

    @pytest.mark.parametrize("reduce_to", [None, rule()])
    def test_seed_epoch_and_picture_decide_and_nothing_else(self, reduce_to: InputConfig | None) -> None:
        chances = Chances(flip=0.5, crop=0.5, light=0.5)
        seen = {
            (number, seed, epoch): ordered(DATASET, number, seed, epoch, chances, reduce_to)
            for number in range(10) for seed in range(4) for epoch in range(4)
        }  # fmt: skip
        again = {place: ordered(DATASET, *place, chances, reduce_to) for place in reversed(seen)}
        assert again == seen
        for place in range(2):
            assert len({str(seen[number, place, 1].view) for number in range(10)}) > 5
        for number in range(10):
            assert len({str(seen[number, seed, epoch].view) for seed in range(4) for epoch in range(4)}) > 5

    def test_flips_are_those_of_training_without_windows(self) -> None:
        """Whatever else is drawn: what one setting draws does not hang on another."""
        for number in range(10):
            plain = ordered(DATASET, number, 3, 5, Chances(flip=0.5), None).view
            assert ordered(DATASET, number, 3, 5, Chances(0.5, 1.0, 1.0), None).view.flipped == plain.flipped


class TestRuleOfStep:
    """data.scales: multi-scale training."""

    SCALES = (12, 24, 48, 60)

    def test_seed_epoch_and_step_decide(self) -> None:
        drawn = {
            (seed, epoch, step): rule_of_step(rule(), self.SCALES, seed, epoch, step)
            for seed in range(5) for epoch in range(5) for step in range(20)
        }  # fmt: skip
        assert drawn == {place: rule_of_step(rule(), self.SCALES, *place) for place in reversed(drawn)}
        for fixed in (lambda i: (i, 0, 0), lambda i: (0, i, 0), lambda i: (0, 0, i)):
            assert len({drawn[fixed(i)].short_side for i in range(5)}) > 1
        counts = [sum(one.short_side == scale for one in drawn.values()) for scale in self.SCALES]
        assert sum(counts) == 500
        assert min(counts) > 90  # 125 expected, standard deviation about 10

    @pytest.mark.parametrize(("short_side", "long_side"), [(12, 30), (24, 60), (48, 120), (7, 18), (60, 150)])
    def test_the_bound_on_the_long_side_is_in_proportion(self, short_side: int, long_side: int) -> None:
        drawn = rule_of_step(rule(), [short_side], 0, 0, 0)
        assert drawn is not None
        assert (drawn.short_side, drawn.long_side) == (short_side, long_side)
        assert drawn == rule().model_copy(update={"short_side": short_side, "long_side": long_side})

    def test_without_scales_or_without_a_rule_nothing_is_drawn(self) -> None:
        assert rule_of_step(rule(), (), 1, 2, 3) == rule()
        assert rule_of_step(None, self.SCALES, 1, 2, 3) is None


def test_the_order_is_of_seed_and_epoch_alone() -> None:
    """Two numbers, not their sum or their digits."""
    orders = {
        (seed, epoch): str(training_order(DATASET, 3, seed, epoch, group_by_aspect=True))
        for seed in (1, 2, 11, 12) for epoch in (1, 2, 11, 12)
    }  # fmt: skip
    assert len(set(orders.values())) == 16


def test_sides_are_padded_to_a_multiple() -> None:
    """(60, 80) is seen at 24 x 32: a multiple of 16 already on one axis."""
    (part,) = dealt(DATASET, [Order(0)], rule(), Share(), pieces=1, multiple=16)
    assert part.canvas == (32, 32)
