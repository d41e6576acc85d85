"""Exact joint training against joint training, weight by weight: one term more, and by finite differences just that.

Sec. 3.2: the head's losses also depend on where the proposals are. Which are proposed, which are trained on, the level
that each reads and what each should say stay constants.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from frcnn.config import load_preset, override_sections
from frcnn.model.detector import FasterRCNN
from frcnn.model.head import chances_of, head_losses, normalise_deltas, pyramid_level, sample_proposals
from frcnn.model.preprocess import preprocess
from frcnn.model.rpn import choose, proposed_boxes
from frcnn.model.zoo import build_from_config
from frcnn.ops.coding import encode
from frcnn.ops.roi_align import pyramid_roi_align
from frcnn.structures import ImageBatch, Target

SMALL = 1e-6  # a step, of weights of about .01: pixels move by 1e-4 at most, and no kink of ReLU or RoIAlign is met
SIZES = ((96, 128), (112, 100))
SEEDS = (3, 4)


class Constants(NamedTuple):
    """Of one picture: what no weight of the RPN's deltas changes."""

    chosen: Tensor  # anchors whose boxes are proposed
    sampled: Tensor  # rows of the proposals, and of the objects behind them
    levels: Tensor
    class_ids: Tensor
    wanted: Tensor  # deltas
    objects: Tensor
    matched: Tensor  # the sampled positives' objects


@pytest.fixture(scope="module")
def model() -> FasterRCNN:
    torch.manual_seed(0)
    sections = {"head": {"samples_per_image": 12, "canonical_size": 48.0}, "rpn": {"after_nms_train": 60}}
    config = override_sections(load_preset("tiny").model, {**sections, "input": {"short_side": 96, "long_side": 128}})
    model = build_from_config(config, ("cat", "dog"))
    generator = torch.Generator().manual_seed(1)
    for layer, spread in ((model.head.classes, 0.5), (model.head.deltas, 0.2), (model.rpn.objectness, 0.5)):
        nn.init.normal_(layer.weight, std=spread, generator=generator)
    return model.eval().double()


@pytest.fixture(scope="module")
def batch(model: FasterRCNN) -> ImageBatch:
    generator = torch.Generator().manual_seed(5)
    return preprocess([torch.rand(3, *size, generator=generator).double() for size in SIZES], model.config.input)


@pytest.fixture(scope="module")
def targets(model: FasterRCNN, batch: ImageBatch) -> list[Target]:
    """Two objects in each picture, near boxes that are proposed: some regions must have something to say of places."""
    _, proposals = proposed(model, batch)
    found = []
    for number, boxes in enumerate(proposals):
        y, x = batch.scales(number)
        near = boxes[[4, 11]] * torch.tensor([0.97, 0.98, 0.97, 1.0]) / torch.tensor([x, y, x, y])
        found.append(Target(near.float(), torch.tensor([number, 1])))
    return found


@torch.no_grad()
def proposed(model: FasterRCNN, batch: ImageBatch) -> tuple[list[Tensor], list[Tensor]]:
    pyramid = model.backbone(batch.pixels)
    anchors, output = model._anchors(pyramid, batch), model.rpn(pyramid)
    chosen = choose(anchors, output, batch, model.config.rpn, training=True)
    return chosen, proposed_boxes(anchors, output, batch, chosen, movable=False)


@torch.no_grad()
def constants(model: FasterRCNN, batch: ImageBatch, targets: Sequence[Target]) -> list[Constants]:
    chosen, proposals = proposed(model, batch)
    pyramid = model.backbone(batch.pixels)
    num_anchors = len(model._anchors(pyramid, batch))
    levels = model.backbone.strides[: model.backbone.roi_levels]
    found = []
    for number, target in enumerate(model._in_network_pixels(targets, batch)):
        generator = torch.Generator().manual_seed(SEEDS[number])
        chances = chances_of(chosen[number], num_anchors, len(target.boxes), generator)
        samples = sample_proposals(proposals[number], target, model.config.head, background=2, chances=chances)
        candidates = torch.cat((proposals[number], target.boxes))
        sampled = (samples.boxes[:, None] == candidates).all(dim=2).long().argmax(dim=1)
        assert torch.equal(candidates[sampled], samples.boxes)
        level = pyramid_level(samples.boxes, levels, model.config.head.canonical_size)
        positive = samples.boxes[samples.class_ids < 2]
        matched = (positive[:, None] - target.boxes).abs().sum(dim=2).argmin(dim=1)
        assert torch.equal(
            samples.deltas[: len(positive)],
            normalise_deltas(encode(positive, target.boxes[matched]), model.config.head),
        )
        found.append(
            Constants(chosen[number], sampled, level, samples.class_ids, samples.deltas, target.boxes, matched)
        )
    return found


def losses_of_places(
    model: FasterRCNN, batch: ImageBatch, fixed: Sequence[Constants], *, wanted_moves: bool = False
) -> Callable[[Tensor], float]:
    """The head's two losses as a function of the weights of the RPN's deltas, through the boxes' coordinates alone."""
    with torch.no_grad():
        pyramid = model.backbone(batch.pixels)
        anchors, before = model._anchors(pyramid, batch), model.rpn.deltas.weight.clone()
    head = model.config.head

    @torch.no_grad()
    def losses(weight: Tensor) -> float:
        model.rpn.deltas.weight.copy_(weight)
        output = model.rpn(pyramid)
        model.rpn.deltas.weight.copy_(before)
        boxes = proposed_boxes(anchors, output, batch, [one.chosen for one in fixed], movable=False)
        read = [torch.cat((of, one.objects))[one.sampled] for of, one in zip(boxes, fixed, strict=True)]
        strides = model.backbone.strides[: model.backbone.roi_levels]
        regions = pyramid_roi_align(
            pyramid[: len(strides)], read, [one.levels for one in fixed], head.pool_size, strides, head.samples
        )
        wanted = [one.wanted.clone() for one in fixed]
        if wanted_moves:
            for of_picture, rows, one in zip(wanted, read, fixed, strict=True):
                count = len(one.matched)
                of_picture[:count] = normalise_deltas(encode(rows[:count], one.objects[one.matched]), head)
        class_ids = torch.cat([one.class_ids for one in fixed])
        return sum(map(float, head_losses(*model.head(regions), class_ids, torch.cat(wanted), head.box_beta)))

    return losses


def gradient(model: FasterRCNN, batch: ImageBatch, targets: list[Target], *, movable: bool) -> Tensor:
    """Of all four losses, at the weights of the RPN's deltas."""
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    losses = model.losses(batch, targets, generators, movable_proposals=movable)
    return torch.autograd.grad(losses.total(), model.rpn.deltas.weight)[0]


def difference(losses: Callable[[Tensor], float], weight: Tensor, direction: Tensor) -> float:
    return (losses(weight + SMALL * direction) - losses(weight - SMALL * direction)) / (2 * SMALL)


def test_exact_differs_from_joint_by_the_boxes_coordinates_alone(
    model: FasterRCNN, batch: ImageBatch, targets: list[Target]
) -> None:
    """For the weights that matter most to each of dx, dy, dw and dh, and along a line through all weights.

    Where the targets moved with the boxes, the term would be another one.
    """
    exact, joint = (gradient(model, batch, targets, movable=movable) for movable in (True, False))
    term, weight = exact - joint, model.rpn.deltas.weight.detach()
    fixed = constants(model, batch, targets)
    assert len(torch.cat([one.levels for one in fixed]).unique()) > 1
    assert all(((one.class_ids < 2) & (one.sampled < len(one.chosen))).any() for one in fixed)  # not objects alone
    losses, otherwise = (losses_of_places(model, batch, fixed, wanted_moves=moves) for moves in (False, True))
    directions = [torch.randn(weight.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)]
    for coordinate in range(4):
        of_coordinate = torch.zeros_like(term)
        of_coordinate[coordinate::4] = term[coordinate::4].abs()
        directions.append(torch.zeros_like(term))
        directions[-1].view(-1)[of_coordinate.argmax()] = 1
    for direction in directions:
        expected = difference(losses, weight, direction)
        assert abs(expected) > 1e-3
        assert float((term * direction).sum()) == pytest.approx(expected, rel=1e-5)  # of second order, and 1e-16 / 1e-6
    along = directions[0]
    assert difference(otherwise, weight, along) != pytest.approx(difference(losses, weight, along), rel=1e-3)


def test_nothing_moves_in_joint_training(model: FasterRCNN, batch: ImageBatch, targets: list[Target]) -> None:
    """The RPN's deltas learn from the RPN's loss alone."""
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    losses = model.losses(batch, targets, generators)
    for loss in (losses.head_class, losses.head_box):
        weight = model.rpn.deltas.weight
        assert torch.autograd.grad(loss, weight, allow_unused=True, retain_graph=True) == (None,)
    of_box = torch.autograd.grad(losses.rpn_box, model.rpn.deltas.weight)[0]
    torch.testing.assert_close(gradient(model, batch, targets, movable=False), of_box, rtol=1e-12, atol=1e-15)
