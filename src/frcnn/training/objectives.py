"""What a step minimises: all four losses together, those of the RPN, or those of Fast R-CNN (Sec. 3.2)."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from frcnn.model.detector import FasterRCNN
from frcnn.ops.losses import Normaliser
from frcnn.structures import ImageBatch, Target


class Piece:
    """What one process computes at once.

    No dataclass and no tuple: whatever wraps the model must not look inside and round the boxes.
    """

    def __init__(
        self,
        images: ImageBatch,
        targets: Sequence[Target],
        generators: Sequence[torch.Generator],
        normaliser: Normaliser,
        proposals: Sequence[Float[Tensor, "_ 4"]] | None = None,
    ) -> None:
        self.images, self.targets, self.generators = images, targets, generators
        self.normaliser, self.proposals = normaliser, proposals


NamedLosses = dict[str, Tensor]
LossesOf = Callable[[FasterRCNN, Piece], NamedLosses]


class Objective(nn.Module):
    """A model and what is asked of it, as one module: what is wrapped where several processes train together."""

    def __init__(self, model: FasterRCNN, losses_of: LossesOf) -> None:
        super().__init__()
        self.model, self.losses_of = model, losses_of

    def forward(self, piece: Piece) -> NamedLosses:
        """The losses by their names."""
        return self.losses_of(self.model, piece)


def joint(model: FasterRCNN, piece: Piece) -> NamedLosses:
    """All four; the proposals are taken as given (approximate joint training, ii)."""
    return _all_four(model, piece, movable_proposals=False)


def exact(model: FasterRCNN, piece: Piece) -> NamedLosses:
    """All four; the second stage's move the proposals too (non-approximate joint training, iii)."""
    return _all_four(model, piece, movable_proposals=True)


def region_proposal(model: FasterRCNN, piece: Piece) -> NamedLosses:
    """The RPN's two (steps 1 and 3 of alternating training, i)."""
    objectness, box = model.proposal_losses(piece.images, piece.targets, piece.generators, normaliser=piece.normaliser)
    return {"rpn_objectness": objectness, "rpn_box": box}


def fast_rcnn(model: FasterRCNN, piece: Piece) -> NamedLosses:
    """The head's two, on proposals that were written down (steps 2 and 4, i). Raises ValueError without."""
    if piece.proposals is None:
        raise ValueError("Fast R-CNN alone is trained on proposals that were written down, and none were read")
    classes, box = model.region_losses(
        piece.images, piece.targets, piece.proposals, piece.generators, normaliser=piece.normaliser
    )
    return {"head_class": classes, "head_box": box}


def _all_four(model: FasterRCNN, piece: Piece, *, movable_proposals: bool) -> NamedLosses:
    losses = model.losses(
        piece.images,
        piece.targets,
        piece.generators,
        movable_proposals=movable_proposals,
        normaliser=piece.normaliser,
    )
    return losses.parts()
