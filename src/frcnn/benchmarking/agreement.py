"""How near two networks' detections are: what a comparison of speed is worth nothing without."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from frcnn.ops.boxes import box_iou
from frcnn.structures import Detections

SAME_OBJECT = 0.5  # IoU from which two detections of a class are one


@dataclass(frozen=True)
class Agreement:
    """Detections of one picture matched one to one: as many as there are, and how far the pairs lie apart."""

    found: int
    expected: int
    box: Float[Tensor, " M"]  # largest difference of each pair's corners, in pixels
    score: Float[Tensor, " M"]

    def to_note(self) -> str:
        """One line for people."""
        pairs = f"{self.found} detections, {len(self.box)} matched one to one with its {self.expected}"
        if len(self.box) == 0:
            return pairs
        box = f"boxes apart by {self.box.median():.2g} px (median), {self.box.max():.2g} (largest)"
        return f"{pairs}; {box}; scores by {self.score.median():.2g}, {self.score.max():.2g}"


def agreement(found: Detections, expected: Detections) -> Agreement:
    """Pairs of the same class, the largest IoU first, each detection in one pair at most."""
    overlap = box_iou(found.boxes, expected.boxes)
    overlap[found.class_ids[:, None] != expected.class_ids] = 0
    pairs: list[tuple[int, int]] = []
    while overlap.numel() and float(overlap.max()) >= SAME_OBJECT:
        row, column = divmod(int(overlap.argmax()), overlap.shape[1])
        overlap[row], overlap[:, column] = 0, 0
        pairs.append((row, column))
    left, right = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(dim=1)
    box = (found.boxes[left] - expected.boxes[right]).abs().amax(dim=1)
    return Agreement(len(found), len(expected), box, (found.scores[left] - expected.scores[right]).abs())
