"""What is seen, and what would be: each kind by hand."""

import math

import numpy as np
import pytest
from judged import BOX, FAR, NAMES, detections, target

from frcnn.structures import Detections, Target
from frcnn.suspects.evidence import (
    LEAST_SCORE,
    NOTHING,
    Scene,
    confidence,
    look,
    of_box,
    of_class,
    of_missing,
    of_spurious,
)

CAT, DOG, EEL = range(3)
LOW = math.log(LEAST_SCORE / (1 - LEAST_SCORE))


ROUNDED = 1e-6  # scores are kept in float32


def odds(score: float) -> float:
    return math.log(score / (1 - score))


def scene(*pictures: tuple[Detections, Target]) -> Scene:
    found, targets = zip(*pictures, strict=True)
    return look(found, targets, np.array([[100, 100]] * len(found), np.int32), len(NAMES))


def test_confidence_is_what_the_score_says():
    np.testing.assert_allclose(confidence(np.array([0.5, 0.75, 0.0, 1.0])), [0, math.log(3), LOW, math.log(999)])


class TestMissing:
    """Places where something was detected and nothing is annotated."""

    def test_one_a_place(self):
        """The surest of all classes; a place that touches an object is none."""
        near = (14.0, 10.0, 24.0, 20.0)  # IoU of .43 with BOX
        seen = scene(
            (detections((FAR, 0.6, DOG), (FAR, 0.7, CAT), (near, 0.9, DOG)), target((BOX, CAT, False))),
            (detections((FAR, 0.4, EEL)), target()),
        )
        observed = of_missing(seen).observed
        assert sorted(observed.found.tolist()) == [1, 3]
        assert (observed.objects == NOTHING).all()
        rows = dict(zip(observed.found.tolist(), observed.features.tolist(), strict=True))
        assert rows[1] == pytest.approx([odds(0.7), 0])
        assert rows[3] == pytest.approx([odds(0.4), 0])

    @pytest.mark.parametrize("box", [(15.0, 15.0, 25.0, 25.0), (20.0, 20.0, 24.0, 24.0)])
    def test_beside_or_inside_a_difficult_object_nothing_is_missing(self, box):
        """The first touches it (IoU of .14 on boxes of 100), the second lies within it."""
        difficult = (20.0, 20.0, 40.0, 40.0) if box[0] == 20 else BOX
        found = detections((box, 0.9, CAT))
        assert of_missing(scene((found, target((difficult, DOG, False))))).observed.found.tolist() == [0]
        assert len(of_missing(scene((found, target((difficult, DOG, True))))).observed.found) == 0

    def test_a_part_of_an_object_of_the_same_class_is_told_apart(self):
        part = (10.0, 10.0, 14.0, 15.0)  # a fifth of BOX, and all of it inside
        found = detections((part, 0.8, CAT))
        assert of_missing(scene((found, target((BOX, CAT, False))))).observed.features[0, 1] == pytest.approx(1)
        assert of_missing(scene((found, target((BOX, DOG, False))))).observed.features[0, 1] == 0

    def test_imagined_is_each_object_that_was_detected(self):
        """By its surest detection; not the difficult one, and not the one that nothing lies on."""
        seen = scene(
            (detections((BOX, 0.6, CAT), (BOX, 0.7, DOG)), target((BOX, CAT, False), (FAR, CAT, False))),
            (detections((BOX, 0.5, CAT)), target((BOX, CAT, True))),
        )
        imagined = of_missing(seen).imagined
        assert (imagined.found.tolist(), imagined.objects.tolist()) == ([1], [0])
        assert imagined.features[0].tolist() == pytest.approx([odds(0.7), 0])

    def test_imagined_leaves_out_what_another_object_would_hide(self):
        """Two annotations of one place: without one of them, the detection would still lie on the other."""
        seen = scene((detections((BOX, 0.6, CAT)), target((BOX, CAT, False), (BOX, CAT, False))))
        assert len(of_missing(seen).imagined.found) == 0


class TestClass:
    """Another class on an object."""

    def test_both_scores(self):
        seen = scene(
            (detections((BOX, 0.9, DOG), (BOX, 0.8, EEL), (BOX, 0.2, CAT)), target((BOX, CAT, False))),
            (detections((FAR, 0.9, DOG)), target((BOX, CAT, False))),
        )
        observed = of_class(seen).observed
        assert observed.found.tolist() == [0, NOTHING]
        np.testing.assert_allclose(observed.features, [[odds(0.9), odds(0.2)], [LOW, LOW]], ROUNDED)

    def test_what_another_object_explains_says_nothing(self):
        """A rider in the box of the horse."""
        found = detections((BOX, 0.9, DOG))
        both = target((BOX, CAT, False), (BOX, DOG, False))
        assert of_class(scene((found, both))).observed.found.tolist() == [NOTHING, NOTHING]

    def test_imagined_is_each_object_under_another_name(self):
        """The first is called by the next class, the second by the one after."""
        seen = scene(
            (detections((BOX, 0.9, CAT), (BOX, 0.3, DOG)), target((BOX, CAT, False))),
            (detections((BOX, 0.8, CAT), (BOX, 0.4, EEL)), target((BOX, CAT, False))),
        )
        imagined = of_class(seen).imagined
        assert imagined.class_ids.tolist() == [DOG, EEL]
        np.testing.assert_allclose(imagined.features, [[odds(0.9), odds(0.3)], [odds(0.8), odds(0.4)]], ROUNDED)

    def test_difficult_objects_are_not_looked_at(self):
        cases = of_class(scene((detections((BOX, 0.9, DOG)), target((BOX, CAT, True), (FAR, CAT, False)))))
        assert cases.observed.objects.tolist() == cases.imagined.objects.tolist() == [1]


class TestBox:
    """The right class in another place."""

    def test_how_sure_and_how_far_off(self):
        half = (10.0, 10.0, 20.0, 15.0)  # half of BOX
        third = (10.0, 15.0, 20.0, 25.0)  # IoU of 1/3
        seen = scene((detections((third, 0.9, CAT)), target((BOX, CAT, False))), (detections(), target()))
        sure = odds(0.9) - LOW
        np.testing.assert_allclose(of_box(seen).observed.features, [[sure, sure * math.log(2)]], ROUNDED)
        seen = scene((detections((half, 0.9, CAT), (third, 0.9, DOG)), target((BOX, CAT, False))))
        np.testing.assert_allclose(of_box(seen).observed.features, [[sure, 0]], ROUNDED, 1e-12)  # log 1

    def test_the_detection_of_a_neighbour_is_not_meant(self):
        """It lies on the neighbour; or overlaps it nearly as much."""
        neighbour = (14.0, 10.0, 24.0, 20.0)
        both = target((BOX, CAT, False), (neighbour, CAT, False))
        on_neighbour = scene((detections((neighbour, 0.9, CAT)), both))
        assert of_box(on_neighbour).observed.found.tolist() == [NOTHING, 0]
        between = (12.0, 5.0, 22.0, 11.0)
        assert of_box(scene((detections((between, 0.9, CAT)), both))).observed.found.tolist() == [NOTHING, NOTHING]

    def test_imagined_boxes_are_moved(self):
        """The first object by .2 of its size to the right: IoU of 8 / 12."""
        imagined = of_box(scene((detections((BOX, 0.9, CAT)), target((BOX, CAT, False))))).imagined
        sure = odds(0.9) - LOW
        np.testing.assert_allclose(imagined.features, [[sure, sure * math.log(1 / 2)]], ROUNDED)

    def test_without_a_detection_there_is_no_evidence(self):
        observed = of_box(scene((detections((FAR, 0.9, CAT)), target((BOX, CAT, False))))).observed
        assert observed.features.tolist() == [[0, 0]]
        assert observed.found.tolist() == [NOTHING]


class TestSpurious:
    """Nothing near an object."""

    def test_the_best_score_near_and_the_size(self):
        seen = scene(
            (detections((BOX, 0.3, DOG), (FAR, 0.9, CAT)), target((BOX, CAT, False))),
            (detections(), target((FAR, EEL, False), (BOX, EEL, True))),
        )
        observed = of_spurious(seen).observed
        assert observed.objects.tolist() == [0, 1]
        np.testing.assert_allclose(observed.features, [[odds(0.3), math.log(0.01)], [LOW, math.log(0.01)]], ROUNDED)

    def test_imagined_objects_are_those_of_another_picture(self):
        """Scaled to it; where they would lie on an object of its own they say nothing."""
        found = detections(((20.0, 10.0, 40.0, 20.0), 0.3, DOG))
        pictures = [(detections(), target((BOX, CAT, False))), (found, target((FAR, DOG, False)))]
        targets, seen = [t for _, t in pictures], [d for d, _ in pictures]
        sizes = np.array([[100, 100], [100, 200]], np.int32)  # the second is twice as wide
        imagined = of_spurious(look(seen, targets, sizes, len(NAMES))).imagined
        assert imagined.objects.tolist() == [0, 1]
        np.testing.assert_allclose(imagined.features, [[odds(0.3), math.log(0.01)], [LOW, math.log(0.005)]], ROUNDED)
        same_place = scene((detections(), target((BOX, CAT, False))), (detections(), target((BOX, DOG, False))))
        assert len(of_spurious(same_place).imagined.objects) == 0


@pytest.mark.parametrize("kind", [of_missing, of_class, of_box, of_spurious])
def test_nothing_at_all(kind):
    for seen in (scene((detections(), target())), scene((detections((BOX, 0.9, CAT)), target()))):
        cases = kind(seen)
        assert cases.imagined.features.shape[1] == cases.observed.features.shape[1] == 2
        assert len(cases.imagined.features) == 0
