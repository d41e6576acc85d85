import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection._utils import Matcher

from frcnn.ops.anchors import cell_anchors, grid_anchors
from frcnn.ops.boxes import box_iou, is_inside
from frcnn.ops.matching import IGNORED, NEGATIVE, POSITIVE, match, sample


def rpn_match(overlap: torch.Tensor):
    return match(overlap, positive_above=0.7, negative_below=0.3, rescue=True)


def test_verdicts_by_hand():
    overlap = torch.tensor([[0.8, 0.5, 0.2, 0.0, 0.7], [0.1, 0.6, 0.1, 0.29, 0.3]])
    matches = rpn_match(overlap)
    assert matches.verdict.tolist() == [POSITIVE, POSITIVE, NEGATIVE, NEGATIVE, POSITIVE]
    assert matches.gt_index[[0, 1, 4]].tolist() == [0, 1, 0]  # the second anchor is rescued for object 1


@pytest.mark.parametrize("seed", range(20))
def test_against_torchvision(seed):
    generator = torch.Generator().manual_seed(seed)
    overlap = torch.rand(5, 300, generator=generator) ** 2
    wanted = Matcher(0.7, 0.3, allow_low_quality_matches=True)(overlap.clone())
    matches = rpn_match(overlap)
    assert torch.equal(matches.verdict == POSITIVE, wanted >= 0)
    assert torch.equal(matches.verdict == NEGATIVE, wanted == -1)
    assert torch.equal(matches.gt_index[wanted >= 0], wanted[wanted >= 0])


def test_a_rescued_anchor_regresses_to_its_own_best_object():
    """Row 12: not to the object for whose sake it was rescued."""
    overlap = torch.tensor([[0.6, 0.9], [0.5, 0.2]])  # anchor 0 is the best of object 1, but overlaps object 0 more
    matches = rpn_match(overlap)
    assert matches.verdict.tolist() == [POSITIVE, POSITIVE]
    assert matches.gt_index.tolist() == [0, 0]


def test_all_tied_anchors_are_rescued_and_only_exact_ties():
    """Rows 12 and 14."""
    almost = torch.nextafter(torch.tensor(0.4), torch.tensor(0.0)).item()
    assert rpn_match(torch.tensor([[0.4, 0.4, almost, 0.1]])).verdict.tolist() == [
        POSITIVE,
        POSITIVE,
        IGNORED,
        NEGATIVE,
    ]


def test_an_object_that_overlaps_nothing_rescues_nothing():
    """Row 13: torchvision's matcher, and others, make every anchor positive here."""
    assert (rpn_match(torch.zeros(1, 4)).verdict == NEGATIVE).all()
    assert (Matcher(0.7, 0.3, allow_low_quality_matches=True)(torch.zeros(1, 4)) == 0).all()


def test_a_small_object_in_the_corner_of_a_600x800_picture():
    """Row 13, at full size: no anchor inside the picture reaches the corner, so none may turn positive."""
    anchors = grid_anchors(cell_anchors((128, 256, 512), (0.5, 1.0, 2.0)), (38, 50), stride=16, offset=8.0)
    inside = anchors[is_inside(anchors, (600, 800))]
    for corner in ((0.0, 592.0, 2.0, 600.0), (0.0, 0.0, 8.0, 8.0)):
        overlap = box_iou(torch.tensor([corner]), inside)
        assert overlap.max() == 0
        assert (rpn_match(overlap).verdict == NEGATIVE).all()


def test_background_range():
    """Row 18: [0, .5) by default, [.1, .5) selectable."""
    overlap = torch.tensor([[0.0, 0.05, 0.1, 0.49, 0.5]])
    plain = match(overlap, positive_above=0.5, negative_below=0.5, rescue=False)
    hard = match(overlap, positive_above=0.5, negative_below=0.5, negative_from=0.1, rescue=False)
    assert plain.verdict.tolist() == [NEGATIVE] * 4 + [POSITIVE]
    assert hard.verdict.tolist() == [IGNORED, IGNORED, NEGATIVE, NEGATIVE, POSITIVE]


def test_no_objects_and_no_candidates():
    """Row 30: without objects everything is background."""
    assert rpn_match(torch.zeros(0, 6)).verdict.tolist() == [NEGATIVE] * 6
    assert len(rpn_match(torch.zeros(3, 0)).verdict) == 0


def test_float64_would_change_ties():
    """Row 14: IoU is compared in float32, where these two are equal."""
    objects = torch.tensor([[0.0, 0.0, 30.0, 30.0]])
    a_hair_to_the_right = torch.nextafter(torch.tensor(10.0), torch.tensor(11.0)).item()
    anchors = torch.tensor([[10.0, 0.0, 40.0, 30.0], [a_hair_to_the_right, 0.0, 40.0, 30.0]])
    first, second = box_iou(objects.double(), anchors.double())[0].tolist()
    assert first > second
    verdict = match(box_iou(objects, anchors), positive_above=0.7, negative_below=0.3, rescue=True).verdict
    assert verdict.tolist() == [POSITIVE, POSITIVE]


@pytest.mark.parametrize(
    ("positives", "negatives", "size", "fraction", "expected"),
    [(10, 100, 16, 0.25, (4, 12)), (2, 100, 16, 0.5, (2, 14)), (2, 3, 16, 0.5, (2, 3)), (0, 0, 16, 0.5, (0, 0))],
)
def test_sample_counts(positives, negatives, size, fraction, expected):
    """Row 16: up to half positive, padded with negatives."""
    verdict = torch.tensor([POSITIVE] * positives + [NEGATIVE] * negatives + [IGNORED] * 20)
    positive, negative = sample(verdict, size=size, positive_fraction=fraction)
    assert (len(positive), len(negative)) == expected
    assert (verdict[positive] == POSITIVE).all()
    assert (verdict[negative] == NEGATIVE).all()


def test_sample_is_drawn_from_the_generator_alone():
    verdict = torch.tensor([POSITIVE] * 50 + [NEGATIVE] * 50)
    draws = [
        torch.cat(sample(verdict, size=20, positive_fraction=0.5, generator=torch.Generator().manual_seed(seed)))
        for seed in (3, 3, 4)
    ]
    assert_close(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_sample_is_uniform():
    verdict = torch.full((10,), NEGATIVE)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([sample(verdict, size=3, positive_fraction=0.5, generator=generator)[1] for _ in range(2000)])
    counts = torch.bincount(drawn, minlength=10)
    assert counts.min() > 500  # 600 expected, standard deviation about 20
    assert counts.max() < 700


def test_the_smallest_chances_are_taken():
    """By hand: two of three positives, then the negatives, each in the order of their chances."""
    verdict = torch.tensor([POSITIVE, NEGATIVE, IGNORED, POSITIVE, NEGATIVE, NEGATIVE, POSITIVE])
    chances = torch.tensor([0.3, 0.9, 0.0, 0.2, 0.1, 0.5, 0.8])
    positive, negative = sample(verdict, size=4, positive_fraction=0.5, chances=chances)
    assert (positive.tolist(), negative.tolist()) == ([3, 0], [4, 5])
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    sample(verdict, size=4, positive_fraction=0.5, generator=generator, chances=chances)
    assert torch.equal(generator.get_state(), before)
