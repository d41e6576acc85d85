"""Fast R-CNN: what is in each proposal, and where exactly? (Fast R-CNN, Sec. 2; Faster R-CNN, Sec. 3.2)

    proposals -> pool_regions -> head -> (logits, deltas) -> detect -> detections
    sample_proposals ----^                                -> head_losses   (training)

Legend: R regions, S sampled regions, K classes, K1 = K + 1 (the last is the background), P x P bins.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from frcnn.config import HeadConfig
from frcnn.model.rpn import spare_ignored_regions
from frcnn.ops.boxes import at_least_float32, box_area, clip, smaller_side
from frcnn.ops.coding import decode, encode
from frcnn.ops.losses import Normaliser, at_least_one, smooth_l1_sum
from frcnn.ops.matching import match_boxes, sample
from frcnn.ops.nms import batched_nms
from frcnn.ops.roi_align import pool_level_by_level, pyramid_roi_align
from frcnn.ops.roi_pool import roi_pool
from frcnn.structures import Target

CANONICAL_STRIDE = 16  # where a box of the canonical size, ImageNet's 224 px, is read (FPN, Eq. 1)


class Samples(NamedTuple):
    """The regions of one picture to train on; positives come first."""

    boxes: Float[Tensor, "S 4"]
    class_ids: Int[Tensor, " S"]  # K is the background
    deltas: Float[Tensor, "S 4"]  # normalised; 0 for background


class RegionHead(nn.Module):
    """Hidden layers over the pooled features, then class logits and one set of deltas a class."""

    def __init__(self, hidden: nn.Module, width: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.hidden = hidden
        self.classes = nn.Linear(width, num_classes + 1)
        self.deltas = nn.Linear(width, num_classes * 4)
        nn.init.normal_(self.classes.weight, std=0.01)
        nn.init.normal_(self.deltas.weight, std=0.001)
        for layer in (self.classes, self.deltas):
            nn.init.zeros_(layer.bias)

    def forward(self, regions: Float[Tensor, "R C P P"]) -> tuple[Float[Tensor, "R K1"], Float[Tensor, "R K 4"]]:
        """Class logits (background last) and normalised deltas, in float32."""
        features = self.hidden(regions)
        deltas = self.deltas(features).unflatten(1, (self.num_classes, 4))
        return at_least_float32(self.classes(features)), at_least_float32(deltas)


def two_fully_connected(channels: int, config: HeadConfig) -> nn.Sequential:
    """fc6 and fc7, each with ReLU and, where the paper has it, dropout."""
    layers: list[nn.Module] = [nn.Flatten()]
    width = channels * config.pool_size**2
    for inputs in (width, config.hidden):
        layers += [_he_normal(nn.Linear(inputs, config.hidden)), nn.ReLU(inplace=True)]
        if config.dropout > 0:
            layers.append(nn.Dropout(config.dropout))
    return nn.Sequential(*layers)


def convolutions_and_fully_connected(channels: int, config: HeadConfig) -> nn.Sequential:
    """3x3 convolutions with live batch norm, then one fully connected layer (torchvision's second R50-FPN)."""
    layers: list[nn.Module] = []
    for _ in range(config.convolutions):
        convolution = _he_normal(nn.Conv2d(channels, channels, 3, padding=1, bias=False))
        layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
    fully_connected = _he_normal(nn.Linear(channels * config.pool_size**2, config.hidden))
    return nn.Sequential(*layers, nn.Flatten(), fully_connected, nn.ReLU(inplace=True))


def stage_and_average(stage: nn.Module) -> nn.Sequential:
    """ResNet's last stage on every region, then the mean over its bins (ResNet, Appendix A)."""
    return nn.Sequential(stage, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _he_normal(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def pool_regions(
    pyramid: Sequence[Float[Tensor, "N C _ _"]],
    strides: Sequence[int],
    boxes: Sequence[Float[Tensor, "_ 4"]],
    config: HeadConfig,
) -> Float[Tensor, "R C P P"]:
    """The features of every box, each read from the pyramid level of its size; in the boxes' order."""
    levels = [pyramid_level(of_picture.detach(), strides, config.canonical_size) for of_picture in boxes]
    if config.pooling == "roi_align":
        return pyramid_roi_align(
            pyramid, boxes, levels, config.pool_size, strides, samples=config.samples, aligned=config.aligned
        )
    return pool_level_by_level(
        lambda features, of_level, stride: roi_pool(features, of_level, config.pool_size, stride),
        pyramid,
        boxes,
        levels,
        strides,
    )


def pyramid_level(
    boxes: Float[Tensor, "R 4"], strides: Sequence[int], canonical_size: float = 224.0
) -> Int[Tensor, " R"]:
    """Which level reads each box: stride 16 for `canonical_size`, one down per halving, clamped (FPN, Eq. 1).

    224 px suits pictures of 800; smaller ones want it smaller, or all their objects are read from the finest level.
    """
    canonical = math.log2(CANONICAL_STRIDE)
    side = box_area(boxes).clamp(min=0).sqrt()
    level = torch.floor(canonical + torch.log2(side / canonical_size) + 1e-6)
    lowest, highest = math.log2(strides[0]), math.log2(strides[-1])
    return (level.nan_to_num(lowest).clamp(lowest, highest) - lowest).long()  # a box with a NaN must be somewhere


def sample_proposals(
    proposals: Float[Tensor, "R 4"],
    target: Target,
    config: HeadConfig,
    *,
    background: int,
    generator: torch.Generator | None = None,
    chances: Float[Tensor, " S"] | None = None,
) -> Samples:
    """Boxes to train on, their classes, and the deltas they should predict.

    The ground truth joins the proposals: early in training the RPN finds nothing good enough. Which are trained on, and
    what they should say, are constants; where the boxes are keeps its gradient, if it has one. `chances`, one for each
    proposal and then for each object (`chances_of`), take the place of the generator.
    """
    objects = target.learnt()
    boxes = torch.cat((proposals, objects.boxes)) if config.add_ground_truth else proposals
    candidates = boxes.detach()
    matches = match_boxes(
        objects.boxes,
        candidates,
        positive_above=config.foreground_above,
        negative_below=config.background_below,
        negative_from=config.background_above,
        rescue=False,
    )
    verdict = spare_ignored_regions(matches.verdict, candidates, target)
    positive, negative = sample(
        verdict,
        size=config.samples_per_image,
        positive_fraction=config.foreground_fraction,
        generator=generator,
        chances=None if chances is None else chances[: len(verdict)],
    )
    chosen = torch.cat((positive, negative))
    class_ids = torch.full_like(chosen, background)
    class_ids[: len(positive)] = objects.class_ids[matches.gt_index[positive]]
    deltas = candidates.new_zeros(len(chosen), 4)
    matched = objects.boxes[matches.gt_index[positive]]
    deltas[: len(positive)] = normalise_deltas(encode(candidates[positive], matched), config)
    return Samples(boxes[chosen], class_ids, deltas)


def chances_of(
    anchors: Int[Tensor, " P"], num_anchors: int, num_objects: int, generator: torch.Generator | None
) -> Float[Tensor, " S"]:
    """A random number for each proposal, of which is known from which anchor it came, and for each object.

    It hangs on the anchor, not on the proposal's place among the others: where rounding makes one proposal more or
    less, as on another number of processes, the others are drawn as before.
    """
    device = anchors.device if generator is None else generator.device
    drawn = torch.rand(num_anchors + num_objects, generator=generator, device=device, dtype=torch.float64)
    of_proposals, of_objects = drawn.to(anchors.device).split([num_anchors, num_objects])
    return torch.cat((of_proposals[anchors], of_objects))


def normalise_deltas(deltas: Float[Tensor, "R 4"], config: HeadConfig) -> Float[Tensor, "R 4"]:
    """Brings the second stage's deltas to about mean 0 and variance 1 (Fast R-CNN, Sec. 2.3)."""
    return (deltas - deltas.new_tensor(config.delta_mean)) / deltas.new_tensor(config.delta_std)


def denormalise_deltas(deltas: Float[Tensor, "R 4"], config: HeadConfig) -> Float[Tensor, "R 4"]:
    """Inverse of `normalise_deltas`."""
    return deltas * deltas.new_tensor(config.delta_std) + deltas.new_tensor(config.delta_mean)


def head_losses(
    logits: Float[Tensor, "S K1"],
    deltas: Float[Tensor, "S K 4"],
    class_ids: Int[Tensor, " S"],
    wanted: Float[Tensor, "S 4"],
    box_beta: float,
    normaliser: Normaliser = at_least_one,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy over all samples; box loss over the true class of positive samples only.

    `normaliser`: what the sums are divided by.
    """
    positive = (class_ids < deltas.shape[1]).nonzero().squeeze(1)
    classification = F.cross_entropy(logits, class_ids, reduction="sum")
    box = smooth_l1_sum(deltas[positive, class_ids[positive]], wanted[positive], box_beta)
    num_sampled = normaliser(len(class_ids))
    return classification / num_sampled, box / num_sampled


def detect(
    logits: Float[Tensor, "R K1"],
    deltas: Float[Tensor, "R K 4"],
    proposals: Float[Tensor, "R 4"],
    image_size: tuple[int, int],
    config: HeadConfig,
) -> tuple[Float[Tensor, "D 4"], Float[Tensor, " D"], Int[Tensor, " D"]]:
    """Boxes, scores and class ids of the pairs (proposal, class) at or above the threshold, NMS within each class."""
    scores = logits.softmax(dim=1)[:, :-1]  # drop the background column
    region, class_id = (scores >= config.score_threshold).nonzero(as_tuple=True)
    score = scores[region, class_id]
    chosen = denormalise_deltas(deltas[region, class_id], config)
    boxes = clip(decode(proposals[region], chosen), image_size)
    large = smaller_side(boxes) >= config.min_size
    boxes, score, class_id = boxes[large], score[large], class_id[large]
    keep = batched_nms(boxes, score, class_id, config.nms_threshold, max_keep=config.max_detections)
    return boxes[keep], score[keep], class_id[keep]
