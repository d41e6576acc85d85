"""Is a score of .8 right eight times in ten? The share of right detections by score (Guo et al. 2017, Sec. 2)."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from frcnn.evaluation.average_precision import NOT_COUNTED, TRUE_POSITIVE, Judgement
from frcnn.evaluation.flat import Flat

BINS = 10


@dataclass(frozen=True)
class CalibrationBin:
    """The detections of one range of scores; the shares are None where there are none."""

    lowest: float
    highest: float  # not included, but in the last bin
    detections: int
    mean_score: float | None
    right: float | None  # the share of them


@dataclass(frozen=True)
class Calibration:
    """All classes together, right by VOC's rules at IoU .5; a detection on an ignored object counts nowhere."""

    bins: tuple[CalibrationBin, ...]
    expected_error: float | None  # how far share and score lie apart, over the detections; None without any

    def as_dict(self) -> dict[str, Any]:
        """By the names of the fields, ready for JSON."""
        return {"bins": [asdict(part) for part in self.bins], "expected_error": self.expected_error}


def calibration(flat: Flat, judgement: Judgement, bins: int = BINS) -> Calibration:
    """In bins of equal width from 0 to 1; scores outside belong to the outer ones, and what is no number to none."""
    counts = (judgement.verdict != NOT_COUNTED) & np.isfinite(flat.scores)
    scores, right = flat.scores[counts], judgement.verdict[counts] == TRUE_POSITIVE
    index = np.floor(scores * bins).clip(0, bins - 1).astype(np.int64)
    number = np.bincount(index, minlength=bins)
    divisor = np.maximum(number, 1)
    mean_score = np.bincount(index, weights=scores, minlength=bins) / divisor
    share = np.bincount(index, weights=right, minlength=bins) / divisor
    error = float(number @ np.abs(share - mean_score) / len(scores)) if len(scores) else None
    rows = zip(number.tolist(), mean_score.tolist(), share.tolist(), strict=True)
    return Calibration(
        tuple(
            CalibrationBin(i / bins, (i + 1) / bins, count, *((score, of_right) if count else (None, None)))
            for i, (count, score, of_right) in enumerate(rows)
        ),
        error,
    )
