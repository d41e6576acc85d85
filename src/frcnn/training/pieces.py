"""From a batch to what one process computes at once: the same when a step is taken and when it is looked at again."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from frcnn.config import InputConfig
from frcnn.data.loading import Batch
from frcnn.model.detector import FasterRCNN
from frcnn.model.preprocess import preprocess
from frcnn.ops.boxes import smaller_side
from frcnn.ops.losses import Normaliser
from frcnn.training.objectives import NamedLosses, Piece
from frcnn.training.processes import normaliser_over_all
from frcnn.training.run import Training
from frcnn.training.synced_batch_norm import set_share

LEAST_PROPOSAL = 1.0  # pixels of a picture as it is loaded


def piece_of(run: Training, batch: Batch) -> Piece:
    """What this process computes at once. What is drawn is of seed, step and picture: of no process, and no order."""
    set_share(run.model, float(batch.part.weight > 0))
    return make_piece(
        batch,
        run.model,
        run.config.model.input,
        seeds_of(batch, run.config.train.seed, run.progress.step),
        normaliser_over_all(run.fabric, counts=batch.part.weight > 0),
        proposals_for(run, batch),
    )


def make_piece(
    batch: Batch,
    model: FasterRCNN,
    rule: InputConfig,
    seeds: Sequence[int],
    normaliser: Normaliser,
    proposals: Sequence[Tensor] | None,
) -> Piece:
    """A batch where the model is, in its type of number; by `rule` where no other was drawn for it."""
    torch.manual_seed(seeds[0])  # dropout
    weight = next(model.parameters())
    images = [image.to(weight.dtype) for image in batch.images_on(weight.device)]
    return Piece(
        preprocess(images, batch.part.rule or rule, batch.part.canvas),
        [target.to(weight.device) for target in batch.targets],
        [torch.Generator().manual_seed(of_picture) for of_picture in seeds],
        normaliser,
        proposals,
    )


def by_its_share(losses: NamedLosses, batch: Batch) -> NamedLosses:
    """What a piece adds to the losses of its step."""
    return {name: loss * batch.part.weight for name, loss in losses.items()}


def added_up(losses: Sequence[NamedLosses]) -> Tensor:
    """The losses of a step, in the order of their names, from what its pieces add."""
    return torch.stack([torch.stack(list(of_piece.values())) for of_piece in losses]).sum(dim=0)


def proposals_for(run: Training, batch: Batch) -> list[Tensor] | None:
    """The written proposals of a batch's pictures, in the pixels of its images; None where the stage reads none."""
    if run.proposals is None:
        return None
    seen = [
        order.view.boxes(run.proposals.of(order.number), run.train.examples[order.number].size)
        for order in batch.part.orders
    ]
    return [boxes[smaller_side(boxes) >= LEAST_PROPOSAL] for boxes in seen]  # a window may leave nothing of some


def seeds_of(batch: Batch, seed: int, step: int) -> list[int]:
    """One for every picture of a batch that is taken after `step` others."""
    return [seed_of_picture(seed, step, order.number) for order in batch.part.orders]


def seed_of_picture(seed: int, step: int, picture: int) -> int:
    """A seed of its own for every picture of every step, so that a resumed training draws what it would have drawn."""
    digest = hashlib.blake2b(f"{seed} {step} {picture}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % 2**63
