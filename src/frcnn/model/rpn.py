"""Region proposal network: where might there be an object? (Faster R-CNN, Sec. 3.1)

    features -> RPNHead -> (logits, deltas) -> propose -> proposals
                                            -> rpn_losses   (training)

Legend: N pictures, A anchors a cell, H*W cells, R = sum over levels of H*W*A, G objects.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from frcnn.config import AnchorConfig, RPNConfig
from frcnn.ops.anchors import cell_anchors, grid_anchors
from frcnn.ops.boxes import at_least_float32, clip, covered_share, is_inside, smaller_side
from frcnn.ops.coding import decode, encode
from frcnn.ops.losses import Normaliser, at_least_one, smooth_l1_sum
from frcnn.ops.matching import IGNORED, NEGATIVE, match_boxes, sample
from frcnn.ops.nms import batched_nms
from frcnn.structures import ImageBatch, Target

KEPT_GRIDS = 16  # sizes of input whose anchors are remembered: 4 MB each for a pyramid over 800 x 1088 pixels
IGNORE_REGION_SHARE = 0.5  # a candidate half inside an ignored object is no background


class RPNOutput(NamedTuple):
    """What the network says of every anchor."""

    logits: Float[Tensor, "N R"]  # objectness, before the sigmoid
    deltas: Float[Tensor, "N R 4"]
    level_sizes: list[int]  # how many of the R belong to each pyramid level
    num_cells: int  # H * W, summed over levels: the paper's 2400 anchor locations


class RPNHead(nn.Module):
    """3x3 convolutions shared by all levels, then two 1x1 ones: objectness and deltas.

    "softmax" has two logits an anchor (background, object), as the paper; only their difference counts, so it is
    what `forward` returns: softmax over two logits is the sigmoid of their difference.
    """

    def __init__(self, channels: int, num_anchors: int, config: RPNConfig) -> None:
        super().__init__()
        self.two_logits = config.classifier == "softmax"
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(config.convolutions)
        )
        self.objectness = nn.Conv2d(channels, num_anchors * (2 if self.two_logits else 1), 1)
        self.deltas = nn.Conv2d(channels, num_anchors * 4, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, pyramid: Sequence[Float[Tensor, "N C _ _"]]) -> RPNOutput:
        """Score and deltas of every anchor of every level, in float32, ordered (level, H, W, A)."""
        logits, deltas, cells = [], [], 0
        for features in pyramid:  # (N, C, H, W)
            hidden = features
            for convolution in self.convolutions:
                hidden = F.relu(convolution(hidden))
            logits.append(self._objectness(hidden).permute(0, 2, 3, 1).flatten(1))
            per_box = self.deltas(hidden).unflatten(1, (-1, 4))  # (N, A, 4, H, W)
            deltas.append(per_box.permute(0, 3, 4, 1, 2).flatten(1, 3))
            cells += features.shape[2] * features.shape[3]
        return RPNOutput(
            at_least_float32(torch.cat(logits, 1)),  # top-k, NMS and losses need more than half precision
            at_least_float32(torch.cat(deltas, 1)),
            [level.shape[1] for level in logits],
            cells,
        )

    def _objectness(self, hidden: Float[Tensor, "N C H W"]) -> Float[Tensor, "N A H W"]:
        logits = self.objectness(hidden)
        if not self.two_logits:
            return logits
        background, objects = at_least_float32(logits).chunk(2, dim=1)
        return objects - background


def anchors_of(
    pyramid: Sequence[Float[Tensor, "N C _ _"]],
    input_size: tuple[int, int],
    strides: Sequence[int],
    config: AnchorConfig,
) -> Float[Tensor, "R 4"]:
    """All anchors of a batch, in network pixels, level after level, each ordered (H, W, A). Not to be changed.

    Those of the last few sizes are remembered: pictures of one size share one tensor.
    """
    maps = tuple((features.shape[-2], features.shape[-1]) for features in pyramid)
    nominal = tuple((float(stride), float(stride)) for stride in strides)
    measured = tuple((float(input_size[0] // height), float(input_size[1] // width)) for height, width in maps)
    steps = measured if config.stride == "measured" else nominal
    device = pyramid[0].device
    is_real = type(pyramid[0]) is Tensor  # what is made while a model is exported or traced is no tensor to remember
    anchors = _anchors_of_maps if is_real else _anchors_of_maps.__wrapped__
    return anchors(maps, steps, config.sizes, config.ratios, config.rounding, config.centred, device)


@lru_cache(maxsize=KEPT_GRIDS)
def _anchors_of_maps(
    maps: tuple[tuple[int, int], ...],
    strides: tuple[tuple[float, float], ...],
    sizes: tuple[tuple[float, ...], ...],
    ratios: tuple[float, ...],
    rounding: Literal["none", "torchvision", "py-faster-rcnn"],
    centred: bool,
    device: torch.device,
) -> Float[Tensor, "R 4"]:
    grids = []
    for map_size, stride, of_level in zip(maps, strides, sizes, strict=True):
        offset = (stride[0] / 2, stride[1] / 2) if centred else (0.0, 0.0)
        cells = cell_anchors(of_level, ratios, rounding).to(device)
        grids.append(grid_anchors(cells, map_size, stride, offset))
    return torch.cat(grids)


@torch.no_grad()  # which anchors propose is a constant: top-k, NMS and the size filter have no gradient
def propose(
    anchors: Float[Tensor, "R 4"],
    output: RPNOutput,
    batch: ImageBatch,
    config: RPNConfig,
    *,
    training: bool,
    movable: bool = False,
) -> list[Float[Tensor, "_ 4"]]:
    """Scores and deltas to few good boxes a picture, in network pixels, best first.

    They carry no gradient: joint training takes proposals as given (Sec. 3.2, approximate, ii), unless they are
    `movable` (non-approximate, iii).
    """
    chosen = choose(anchors, output, batch, config, training=training)
    return proposed_boxes(anchors, output, batch, chosen, movable=movable)


@torch.no_grad()
def choose(
    anchors: Float[Tensor, "R 4"],
    output: RPNOutput,
    batch: ImageBatch,
    config: RPNConfig,
    *,
    training: bool,
) -> list[Int[Tensor, " _"]]:
    """Which anchors' boxes are proposed in each picture, best first (Sec. 3.3). Choosing has no gradient."""
    level = _level_of_each_anchor(output.level_sizes, anchors.device)
    before_nms = config.before_nms_train if training else config.before_nms_test
    after_nms = config.after_nms_train if training else config.after_nms_test
    chosen = []
    for number, image_size in enumerate(batch.image_sizes):
        logits = output.logits[number].detach()
        keep = _top_of_each_level(logits, output.level_sizes, before_nms)
        boxes = clip(decode(anchors[keep], output.deltas[number][keep].detach()), image_size)
        min_size = config.min_size * (min(batch.scales(number)) if config.min_size_scaled else 1.0)
        good = (smaller_side(boxes) >= min_size) & (logits[keep].sigmoid() >= config.score_threshold)
        boxes, keep = boxes[good], keep[good]
        chosen.append(keep[batched_nms(boxes, logits[keep], level[keep], config.nms_threshold, max_keep=after_nms)])
    return chosen


def proposed_boxes(
    anchors: Float[Tensor, "R 4"],
    output: RPNOutput,
    batch: ImageBatch,
    chosen: Sequence[Int[Tensor, " _"]],
    *,
    movable: bool,
) -> list[Float[Tensor, "_ 4"]]:
    """The boxes of the chosen anchors, with their gradient if they are `movable`."""
    deltas = output.deltas if movable else output.deltas.detach()
    return [
        clip(decode(anchors[of_picture], deltas[number][of_picture]), batch.image_sizes[number])
        for number, of_picture in enumerate(chosen)
    ]


def _level_of_each_anchor(level_sizes: Sequence[int], device: torch.device) -> Int[Tensor, " R"]:
    return torch.cat([torch.full((size,), level, device=device) for level, size in enumerate(level_sizes)])


def _top_of_each_level(logits: Float[Tensor, " R"], level_sizes: Sequence[int], count: int) -> Int[Tensor, " K"]:
    chosen, start = [], 0
    for level_logits in logits.split(list(level_sizes)):
        chosen.append(start + level_logits.topk(min(count, len(level_logits))).indices)
        start += len(level_logits)
    return torch.cat(chosen)


def rpn_losses(
    anchors: Float[Tensor, "R 4"],
    output: RPNOutput,
    targets: Sequence[Target],
    batch: ImageBatch,
    config: RPNConfig,
    generators: Sequence[torch.Generator | None] | None = None,
    normaliser: Normaliser = at_least_one,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Objectness and box losses over a balanced random sample of anchors (Eq. 1). `targets` in network pixels.

    `generators`: what draws the sample, one for each picture. `normaliser`: what the sums are divided by.
    """
    logits, labels, deltas, wanted = [], [], [], []
    padded_size = (batch.pixels.shape[2], batch.pixels.shape[3])
    drawn_by = generators or [None] * len(targets)
    for number, (target, image_size, generator) in enumerate(zip(targets, batch.image_sizes, drawn_by, strict=True)):
        candidates = trainable_anchors(anchors, image_size, padded_size, config).nonzero().squeeze(1)
        positive, negative, target_deltas = _assign(anchors[candidates], target, config, generator)
        sampled = candidates[torch.cat((positive, negative))]
        logits.append(output.logits[number, sampled])
        labels.append(torch.cat((torch.ones_like(positive), torch.zeros_like(negative))))
        deltas.append(output.deltas[number, candidates[positive]])
        wanted.append(target_deltas)
    label = torch.cat(labels).to(output.logits.dtype)
    num_sampled = normaliser(len(label))
    classification = F.binary_cross_entropy_with_logits(torch.cat(logits), label, reduction="sum") / num_sampled
    num_boxes = num_sampled if config.box_normaliser == "sampled" else normaliser(output.num_cells * len(targets))
    regression = smooth_l1_sum(torch.cat(deltas), torch.cat(wanted), config.box_beta) / num_boxes
    return classification, config.box_weight * regression


def trainable_anchors(
    anchors: Float[Tensor, "R 4"],
    image_size: tuple[int, int],
    padded_size: tuple[int, int],
    config: RPNConfig,
) -> Bool[Tensor, " R"]:
    """Which anchors may be learnt from: not those that cross the border, where the configuration leaves them out.

    Nor, if they do stay, those that reach into padding: there is no picture there to learn from.
    """
    if not config.cross_border_anchors:
        return is_inside(anchors, image_size)
    if not config.anchors_over_padding:
        return _clear_of_padding(anchors, image_size, padded_size)
    return torch.ones(len(anchors), dtype=torch.bool, device=anchors.device)


def _clear_of_padding(
    anchors: Float[Tensor, "R 4"], image_size: tuple[int, int], padded_size: tuple[int, int]
) -> Bool[Tensor, " R"]:
    (height, width), (padded_height, padded_width) = image_size, padded_size
    clear = torch.ones(len(anchors), dtype=torch.bool, device=anchors.device)
    if width < padded_width:
        clear &= anchors[:, 2] <= width
    if height < padded_height:
        clear &= anchors[:, 3] <= height
    return clear


def _assign(
    anchors: Float[Tensor, "R 4"], target: Target, config: RPNConfig, generator: torch.Generator | None
) -> tuple[Int[Tensor, " P"], Int[Tensor, " M"], Float[Tensor, "P 4"]]:
    """Sampled positive and negative anchors, and the deltas that the positive ones should predict."""
    objects = target.learnt().boxes
    matches = match_boxes(
        objects,
        anchors,
        positive_above=config.positive_above,
        negative_below=config.negative_below,
        rescue=True,
    )
    verdict = spare_ignored_regions(matches.verdict, anchors, target)
    positive, negative = sample(
        verdict, size=config.samples_per_image, positive_fraction=config.positive_fraction, generator=generator
    )
    return positive, negative, encode(anchors[positive], objects[matches.gt_index[positive]])


def spare_ignored_regions(
    verdict: Int[Tensor, " R"], candidates: Float[Tensor, "R 4"], target: Target
) -> Int[Tensor, " R"]:
    """No negatives where an ignored object (difficult, crowd) stands: nobody knows what is there."""
    regions = target.ignored_boxes()
    if len(regions) == 0:
        return verdict
    hidden = covered_share(candidates, regions) >= IGNORE_REGION_SHARE
    return torch.where((verdict == NEGATIVE) & hidden, IGNORED, verdict)
