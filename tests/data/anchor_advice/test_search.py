"""Anchors that are sought for objects of known shapes."""

from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from frcnn.config import ModelConfig, load_preset, override_sections
from frcnn.data.anchor_advice.kmeans import Shapes
from frcnn.data.anchor_advice.search import MANY, Measured, Problem, best_anchors
from frcnn.data.learnt_objects import SeenObjects
from frcnn.model.best_overlaps import best_overlaps
from frcnn.model.level_grid import LevelGrid, level_grids

TINY = load_preset("tiny").model  # sizes 24, 48, 96, 192 on levels of strides 8, 16, 32 and 64
REPEATED = override_sections(load_preset("mobilenet_v3_large_320_fpn").model, {"anchors": {"sizes": [(64, 256)] * 3}})
PICTURE = (400, 400)


@cache
def levels_of(config: ModelConfig) -> list[LevelGrid]:
    return level_grids(config)


def objects(*sides: tuple[float, float], count: int = 20, class_ids: Tensor | None = None) -> SeenObjects:
    """So many boxes of each (width, height), anywhere in a picture."""
    lengths = torch.tensor(sides).repeat(count, 1)
    chance = torch.rand(len(lengths), 2, generator=torch.Generator().manual_seed(0))
    start = chance * (torch.tensor(PICTURE) - lengths)
    ids = torch.zeros(len(lengths), dtype=torch.long) if class_ids is None else class_ids
    return SeenObjects(torch.cat((start, start + lengths), dim=1), torch.tensor([PICTURE]).expand(len(ids), 2), ids)


def any_objects(seed: int, count: int = 60) -> SeenObjects:
    """Of sides between 20 and 220 px."""
    sides = 20 + 200 * torch.rand(count, 2, generator=torch.Generator().manual_seed(seed))
    return objects(*((width, height) for width, height in sides.tolist()), count=1)


def problem_of(*views: SeenObjects, config: ModelConfig = TINY) -> Problem:
    return Problem(views, config, levels_of(config))


def sizes_of(found: Measured) -> list[float]:
    return [size for of_level in found.anchors.sizes for size in of_level]


class TestMeasured:
    def test_like_a_whole_configuration(self):
        """By oracle; all but the weights, which are those of one class."""
        seen = any_objects(seed=1)
        found = problem_of(seen).measured(TINY.anchors)
        overlaps = best_overlaps(seen.boxes, seen.sizes, levels_of(TINY), TINY)
        shares = [float((overlaps >= bound).double().mean()) for bound in (0.3, 0.5, 0.7)]
        assert_close(found.reached, torch.tensor([shares, shares], dtype=torch.float64))
        assert_close(found.worth, float(overlaps.mean()) + shares[1] + shares[2])
        assert found.lost == 0

    def test_two_views(self):
        """Shares of the first, and the mean of both, however many objects each has."""
        one, other = any_objects(seed=1), any_objects(seed=2, count=30)
        (first, _), (second, _) = (problem_of(view).measured(TINY.anchors).reached for view in (one, other))
        found = problem_of(one, other).measured(TINY.anchors).reached
        assert_close(found, torch.stack((first, (first + second) / 2)))

    def test_what_is_lost(self):
        problem = problem_of(any_objects(seed=1))
        kept = problem.to_keep + torch.tensor([[0.25, 0, 0], [0, -0.5, 0.125]])
        harder = Problem(problem.views, TINY, problem.levels, kept)
        assert_close(harder.measured(TINY.anchors).lost, 0.375)

    def test_classes_count_alike_but_rare_ones_less(self):
        ids = torch.tensor([0] * 3 * MANY + [1] * 2 * MANY + [2])
        weights = problem_of(objects((30, 30), count=len(ids), class_ids=ids)).weights
        assert_close(weights.sum(), torch.tensor(1.0))
        of_class = torch.stack([weights[ids == number].sum() for number in range(3)])
        assert_close(of_class / of_class[0], torch.tensor([1, 1, 1 / MANY]))


class TestShapes:
    def test_there_and_back(self):
        problem = problem_of(any_objects(seed=1))
        shapes = problem.shapes(TINY.anchors)
        assert shapes.sizes.tolist() == [24, 48, 96, 192]
        assert problem.strides.tolist() == [8, 16, 32, 64]
        assert problem.anchors(shapes) == TINY.anchors

    def test_levels_that_have_the_same_sizes(self):
        problem = problem_of(any_objects(seed=1), config=REPEATED)
        shapes = problem.shapes(REPEATED.anchors)
        assert shapes.sizes.tolist() == [64, 256]
        assert problem.strides.tolist() == [32, 32]
        assert problem.anchors(shapes) == REPEATED.anchors

    def test_numbers_that_people_read(self):
        shapes = Shapes(torch.tensor([20.4, 48.6, 96, 192]), torch.tensor([0.0012345, 1.26, 12.34]))
        found = problem_of(any_objects(seed=1)).anchors(shapes)
        assert found is not None
        assert (found.sizes, found.ratios) == (((20,), (49,), (96,), (192,)), (0.0012, 1.3, 12))

    @pytest.mark.parametrize(
        ("sizes", "ratios"),
        [
            ([7, 48, 96, 192], [0.5, 1, 2]),  # below the stride
            ([48, 48, 96, 192], [0.5, 1, 2]),
            ([24, 48, 192, 96], [0.5, 1, 2]),
            ([24, 48, 96, 192], [0.5, 1, 1.04]),
        ],
    )
    def test_what_would_be_of_no_use(self, sizes, ratios):
        shapes = Shapes(torch.tensor(sizes, dtype=torch.float32), torch.tensor(ratios, dtype=torch.float32))
        assert problem_of(any_objects(seed=1)).anchors(shapes) is None


class TestBest:
    def test_objects_between_two_sizes(self):
        """An octave apart, of which they are in the middle: IoU .5 at best, and hardly ever .7."""
        problem = problem_of(objects((34, 34), (136, 136)))
        found = best_anchors(problem)
        assert problem.to_keep[0, 2] < 0.1
        assert found.reached[0, 2] > 0.9
        assert found.reached[0, 1] == 1

    def test_ratios_that_are_missing(self):
        """Lines of 1 : 8, both ways."""
        problem = problem_of(objects((24, 192), (192, 24)))
        found = best_anchors(problem)
        assert problem.to_keep[0, 1] < 0.3
        assert found.reached[0, 1] > 0.9

    def test_nothing_beats_what_fits(self):
        """The objects are the anchors themselves, in their places: those of size 24 about (4 + 8 n, 4 + 8 n)."""
        centres = torch.arange(4, 12)[:, None] * 8.0 + torch.tensor([4.0, 4])
        boxes = torch.cat((centres - 12, centres + 12), dim=1)
        seen = SeenObjects(boxes, torch.tensor([PICTURE]).expand(8, 2), torch.zeros(8, dtype=torch.long))
        problem = problem_of(seen)
        assert problem.to_keep.tolist() == [[1, 1, 1]] * 2
        assert best_anchors(problem).anchors == TINY.anchors

    @pytest.mark.parametrize("seed", range(2))
    def test_nothing_is_lost_and_the_form_is_kept(self, seed):
        """For two views: a law, whatever the objects."""
        problem = problem_of(any_objects(seed), any_objects(seed + 10, count=20))
        found = best_anchors(problem)
        assert (found.reached >= problem.to_keep).all()
        assert found.worth >= problem.measured(TINY.anchors).worth
        assert [len(of_level) for of_level in found.anchors.sizes] == [1, 1, 1, 1]
        assert len(found.anchors.ratios) == 3
        assert all(low < high for low, high in pairwise(sizes_of(found)))
        assert all(size >= stride for size, stride in zip(sizes_of(found), problem.strides.tolist(), strict=True))

    def test_levels_that_have_the_same_sizes_keep_them(self):
        found = best_anchors(problem_of(objects((70, 90), (200, 150)), config=REPEATED))
        assert len(found.anchors.sizes) == 3
        assert len(set(found.anchors.sizes)) == 1
        assert found.anchors.sizes != REPEATED.anchors.sizes

    def test_the_same_again(self):
        one, other = (best_anchors(problem_of(objects((34, 50), (110, 140), count=5))) for _ in range(2))
        assert one.anchors == other.anchors

    @pytest.mark.parametrize("side", [3.0, 50.0, 400.0])
    def test_one_object(self, side):
        """Far below the stride, in the middle, and as large as the picture."""
        found = best_anchors(problem_of(objects((side, side), count=1)))
        assert found.reached.isfinite().all()
        assert found.worth >= problem_of(objects((side, side), count=1)).measured(TINY.anchors).worth
