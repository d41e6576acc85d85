"""Sizes and ratios for shapes, by k-means."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from frcnn.data.anchor_advice.kmeans import Shapes, cluster, mean_overlap, shape_overlaps
from frcnn.ops.anchors import cell_anchors
from frcnn.ops.boxes import box_iou

STRIDES = torch.tensor([4.0, 8, 16, 32])


def shapes_of(sizes: list[float], ratios: list[float]) -> Shapes:
    return Shapes(torch.tensor(sizes, dtype=torch.float32), torch.tensor(ratios, dtype=torch.float32))


PYRAMID = shapes_of([16, 32, 64, 128], [0.5, 1, 2])


def alike(sides: Tensor) -> Tensor:
    return torch.ones(len(sides))


def random_sides(seed: int, count: int = 200) -> Tensor:
    """Nearly all of them between 10 and 300 px."""
    return 50 * torch.exp(0.7 * torch.randn(count, 2, generator=torch.Generator().manual_seed(seed)))


def boxes_of(sizes: list[float], ratios: list[float], count: int) -> Tensor:
    """So many objects of each size at each ratio."""
    anchors = cell_anchors(sizes, ratios)
    return (anchors[:, 2:] - anchors[:, :2]).repeat(count, 1)


class TestOverlaps:
    def test_by_hand(self):
        """Of one place where the stride is 0; 2 px apart on each axis where it is 8."""
        sides = torch.tensor([[16.0, 16], [32, 16], [4, 4]])
        shapes = shapes_of([16], [1])
        together = shape_overlaps(sides, torch.tensor([0.0]), shapes)
        assert_close(together[:, 0, 0], torch.tensor([1, 1 / 2, 16 / 256]))
        apart = shape_overlaps(sides, torch.tensor([8.0]), shapes)
        # the small one still lies within; of the wide one 16 of 32 px are shared in x, 14 of 16 in y
        wanted = torch.tensor([196 / (512 - 196), 224 / (768 - 224), 16 / 256])
        assert_close(apart[:, 0, 0], wanted)

    def test_like_boxes_that_are_apart(self):
        """By oracle: boxes about (0, 0), anchors a quarter of their stride from it on both axes."""
        sides, strides = random_sides(seed=5, count=50), torch.tensor([4.0, 8, 32])
        shapes = shapes_of([9, 17, 40], [0.4, 1.3])
        found = shape_overlaps(sides, strides, shapes)
        objects = torch.cat((-sides, sides), dim=1) / 2
        for number, (size, stride) in enumerate(zip(shapes.sizes.tolist(), strides.tolist(), strict=True)):
            anchors = cell_anchors([size], shapes.ratios.tolist()) + stride / 4
            assert_close(found[:, number], box_iou(objects, anchors))

    def test_the_mean_is_weighted(self):
        """One object is met, half of the other one is."""
        sides = torch.tensor([[16.0, 16], [32, 16]])
        for weights, wanted in (([1.0, 1], 0.75), ([3.0, 1], 0.875)):
            found = mean_overlap(sides, torch.tensor(weights), torch.tensor([0.0]), shapes_of([16], [1]))
            assert found == wanted


class TestCluster:
    def test_sizes_times_ratios_are_found(self):
        """Four kinds of objects are two sizes at two ratios, in unequal numbers."""
        sides = torch.cat((boxes_of([20, 90], [0.5, 2], 20), boxes_of([90], [2], 200)))
        found = cluster(sides, alike(sides), STRIDES[:2], shapes_of([16, 64], [0.7, 1.5]))
        assert_close(found.sizes, torch.tensor([20.0, 90]))
        assert_close(found.ratios, torch.tensor([0.5, 2]))

    @pytest.mark.parametrize("seed", range(10))
    def test_the_mean_iou_is_never_worse(self, seed):
        sides, strides = random_sides(seed), STRIDES
        weights = torch.rand(len(sides), generator=torch.Generator().manual_seed(seed)) + 0.1
        found = cluster(sides, weights, strides, PYRAMID)
        assert mean_overlap(sides, weights, strides, found) >= mean_overlap(sides, weights, strides, PYRAMID)
        again = cluster(sides, weights, strides, found)
        assert mean_overlap(sides, weights, strides, again) >= mean_overlap(sides, weights, strides, found)

    @pytest.mark.parametrize("seed", range(3))
    def test_sizes_and_ratios_rise_and_no_size_is_below_its_stride(self, seed):
        sides = random_sides(seed) / 8
        found = cluster(sides, alike(sides), STRIDES, PYRAMID)
        assert (found.sizes.diff() >= 0).all()
        assert (found.ratios.diff() >= 0).all()
        assert (found.sizes >= STRIDES).all()

    def test_what_no_object_is_with_stays(self):
        sides = boxes_of([20], [1], 30)
        found = cluster(sides, alike(sides), STRIDES, PYRAMID)
        assert_close(found.sizes, torch.tensor([20.0, 32, 64, 128]))
        assert_close(found.ratios, torch.tensor([0.5, 1, 2]))

    def test_the_median_is_weighted(self):
        """Three of 30 px against one of 40 px that counts five times."""
        sides = boxes_of([30, 30, 30, 40], [1], 1)
        for weights, wanted in (([1.0, 1, 1, 1], 30.0), ([1.0, 1, 1, 5], 40.0), ([1.0, 1, 1, 2], 30.0)):
            found = cluster(sides, torch.tensor(weights), STRIDES[:1], shapes_of([20], [1]))
            assert_close(found.sizes.tolist(), [wanted], rtol=1e-6, atol=0)  # the square root of an area in float32

    def test_one_object(self):
        """Where anchors are everywhere, one becomes the object."""
        sides, everywhere = torch.tensor([[90.0, 40]]), torch.zeros(4)
        found = cluster(sides, torch.ones(1), everywhere, PYRAMID)
        assert_close(mean_overlap(sides, torch.ones(1), everywhere, found), 1.0)

    def test_objects_without_measure_leave_finite_numbers(self):
        """A pixel, a line, and all of a map of the world."""
        sides = torch.tensor([[1.0, 1], [30_000, 1], [30_000, 20_000]])
        found = cluster(sides, alike(sides), STRIDES, PYRAMID)
        assert torch.cat(found).isfinite().all()
        assert torch.tensor(mean_overlap(sides, alike(sides), STRIDES, found)).isfinite()
