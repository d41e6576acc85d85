"""The drawn scenes: what they hold, and that the boxes are where the objects are."""

import math

import numpy as np
import pytest
from numpy.random import default_rng

from frcnn.data.scenes import DIFFICULT_BELOW, LARGEST_OVERLAP, SHAPES, SIZES, draw_ground, draw_scene


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(default_rng([7, i])) for i in range(60)]


@pytest.fixture
def things(scenes):
    return [thing for _, things in scenes for thing in things]


def covered(name: str, proportion: float = 0.5) -> np.ndarray:
    """A shape on a fine grid over [-1, 1]."""
    points = (np.arange(400) + 0.5) / 200 - 1
    v, u = np.meshgrid(points, points, indexing="ij")
    return SHAPES[name](u, v, proportion)


class TestShapes:
    @pytest.mark.parametrize(
        ("name", "area"),
        [
            ("disc", math.pi),
            ("ring", math.pi * (1 - 0.575**2)),
            ("box", 2.0),
            ("cross", 4 * 0.94 * 2 * 0.29 - 4 * 0.29**2),
            ("triangle", 3 * math.sqrt(3) / 4),
            ("star", 10 * 0.5 * 0.41 * math.sin(math.pi / 5)),
        ],
    )
    def test_areas_by_hand(self, name, area):
        assert covered(name).mean() * 4 == pytest.approx(area, rel=0.01)

    @pytest.mark.parametrize("name", SHAPES)
    @pytest.mark.parametrize("proportion", [0.0, 1.0])
    def test_each_stays_in_its_circle_and_nearly_fills_it(self, name, proportion):
        """By law: the sizes that are drawn are those of the circle."""
        rows, columns = np.nonzero(covered(name, proportion))
        radii = np.hypot((rows + 0.5) / 200 - 1, (columns + 0.5) / 200 - 1)
        assert 0.95 < radii.max() <= 1.001
        assert max(np.ptp(rows), np.ptp(columns)) / 400 > 0.7

    @pytest.mark.parametrize("name", ["star", "triangle", "box", "cross"])
    def test_no_two_are_the_same_up_to_a_turn(self, name):
        others = [covered(other).mean() for other in SHAPES if other != name]
        assert min(abs(covered(name).mean() - other) for other in others) > 0.01


class TestScenes:
    def test_the_same_seed_draws_the_same(self):
        """By law."""
        (first, things), (second, others) = (draw_scene(default_rng(5)) for _ in range(2))
        assert things == others
        assert first.tobytes() == second.tobytes()
        assert draw_scene(default_rng(6))[0].tobytes() != first.tobytes()

    def test_every_class_size_and_number_of_objects(self, scenes, things):
        assert {thing.name for thing in things} == set(SHAPES)
        assert len(SHAPES) >= 5
        assert {len(found) for _, found in scenes} >= {0, 1, 2, 3, 4}
        sides = [max(x2 - x1, y2 - y1) for _, (x1, y1, x2, y2), _, _ in things]
        assert min(sides) < 24
        assert max(sides) > 120
        assert max(sides) <= math.ceil(SIZES[1])

    def test_pictures_differ_in_size(self, scenes):
        sizes = {image.size for image, _ in scenes}
        assert len(sizes) > 40
        assert all(190 <= min(size) <= max(size) <= 320 for size in sizes)
        assert {width > height for width, height in sizes} == {True, False}

    def test_boxes_lie_in_the_picture_and_can_be_told_apart(self, scenes):
        for image, found in scenes:
            for x1, y1, x2, y2 in (thing.box for thing in found):
                assert 0 <= x1 < x2 <= image.width
                assert 0 <= y1 < y2 <= image.height
        assert LARGEST_OVERLAP < 0.5

    def test_some_are_hidden_and_some_cut_off(self, things):
        assert any(thing.difficult for thing in things)
        assert sum(thing.difficult for thing in things) < 0.1 * len(things)
        assert any(thing.truncated for thing in things)
        sides = [max(x2 - x1, y2 - y1) for _, (x1, y1, x2, y2), difficult, _ in things if not difficult]
        assert min(sides) >= 16
        assert DIFFICULT_BELOW <= 0.5

    def test_the_object_is_in_its_box(self):
        """By oracle: the background alone, drawn again from the same seed, differs most where the object is."""
        for seed in range(40):
            rng = default_rng(seed)
            image, found = draw_scene(rng)
            if len(found) != 1:
                continue
            again = default_rng(seed)
            again.integers(250, 321), again.integers(190, 250), again.random()
            ground = draw_ground(again, image.height, image.width) * 255
            (x1, y1, x2, y2) = found[0].box
            change = abs(np.asarray(image) - ground).sum(axis=2)
            inside = change[y1:y2, x1:x2].mean()
            change[y1:y2, x1:x2] = np.nan
            assert inside > 1.5 * np.nanmean(change), f"seed {seed}"
