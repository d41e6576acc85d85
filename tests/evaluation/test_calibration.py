"""Calibration: by hand, and by what must hold for scores that tell the truth."""

import math

import numpy as np
import pytest
from judged import BOX, FAR, detections, target

from frcnn.evaluation.average_precision import Judgement, judge
from frcnn.evaluation.calibration import Calibration, CalibrationBin, calibration
from frcnn.evaluation.flat import flatten, overlapping_pairs
from frcnn.structures import Detections, Target

THIRD = (80.0, 80.0, 90.0, 90.0)


def calibrated(found: Detections, truth: Target, bins: int) -> Calibration:
    flat = flatten([found], [truth], 3)
    return calibration(flat, judge(flat, overlapping_pairs(flat, 0.5)), bins)


def test_two_bins_by_hand() -> None:
    """Below one half: .25 and .375, one of them right. Above: .75, .875 and 1, two of them right."""
    found = detections((BOX, 0.75, 0), (BOX, 0.875, 0), (FAR, 1.0, 0), (THIRD, 0.25, 0), (THIRD, 0.375, 1))
    truth = target((BOX, 0, False), (FAR, 0, False), (THIRD, 0, False))
    result = calibrated(found, truth, 2)
    assert result.bins == (CalibrationBin(0.0, 0.5, 2, 0.3125, 0.5), CalibrationBin(0.5, 1.0, 3, 0.875, 2 / 3))
    assert result.expected_error == pytest.approx((2 * (0.5 - 0.3125) + 3 * (0.875 - 2 / 3)) / 5)


def test_a_score_between_two_bins_belongs_to_the_upper_one_and_one_to_the_last() -> None:
    found = detections((BOX, 0.5, 0), (FAR, 1.0, 0))
    assert [part.detections for part in calibrated(found, target((BOX, 0, False)), 4).bins] == [0, 0, 1, 1]


def test_an_empty_bin_has_no_shares() -> None:
    result = calibrated(detections((BOX, 0.75, 0)), target((BOX, 0, False)), 2)
    assert result.bins[0] == CalibrationBin(0.0, 0.5, 0, None, None)
    assert result.as_dict()["bins"][0]["mean_score"] is None
    assert result.expected_error == 0.25


def test_detections_on_ignored_objects_count_nowhere() -> None:
    result = calibrated(detections((BOX, 0.75, 0), (FAR, 0.75, 0)), target((BOX, 0, False), (FAR, 0, True)), 2)
    assert result.bins[1].detections == 1
    assert result.bins[1].right == 1


def test_scores_outside_belong_to_the_outer_bins_and_no_number_to_none() -> None:
    scores = (-1.0, 2.0, math.nan, math.inf)
    found = detections(*((FAR, score, 0) for score in scores))
    assert [part.detections for part in calibrated(found, target((BOX, 0, False)), 3).bins] == [1, 0, 1]


def test_nothing_found_has_no_error() -> None:
    assert calibrated(detections(), target((BOX, 0, False)), 2).expected_error is None


def test_scores_that_tell_the_truth_have_next_to_no_error_and_boasting_ones_have() -> None:
    """Of 100,000 with the chance that their score says, a bin's share is off by at most about .01."""
    chance = np.random.default_rng(0)
    scores = chance.random(100_000)
    right = (chance.random(len(scores)) < scores).astype(np.int64)
    flat = flatten([], [], 3)._replace(scores=scores)
    judgement = Judgement(right, np.full(len(scores), -1))
    honest = calibration(flat, judgement).expected_error
    boasting = calibration(flat._replace(scores=np.sqrt(scores)), judgement).expected_error
    assert honest is not None
    assert boasting is not None
    assert honest < 0.01
    assert boasting == pytest.approx(1 / 6, abs=0.01)  # the mean of sqrt(s) - s is 2/3 - 1/2
