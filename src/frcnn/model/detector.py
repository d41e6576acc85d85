"""Faster R-CNN, whole: read this file first, then follow the names into their rooms.

pictures -> preprocess -> backbone -> anchors -> rpn -> propose -> pool_regions -> head -> detect -> Detections
"""

from collections.abc import Sequence
from typing import NamedTuple, overload

import torch
from jaxtyping import Float
from torch import Tensor, nn

from frcnn.config import ModelConfig
from frcnn.model.fpn import FeaturePyramid
from frcnn.model.head import RegionHead, chances_of, detect, head_losses, pool_regions, sample_proposals
from frcnn.model.preprocess import groups_that_share_a_batch, preprocess
from frcnn.model.rpn import RPNHead, anchors_of, choose, propose, proposed_boxes, rpn_losses
from frcnn.ops.boxes import clip, scale_boxes
from frcnn.ops.losses import Normaliser, at_least_one
from frcnn.structures import Detections, ImageBatch, Losses, Target

Generators = Sequence[torch.Generator | None] | None  # what draws the samples of each picture


class Found(NamedTuple):
    """In one picture, in its own pixels: what both stages detect, and the proposals that the second one looked at."""

    detections: Detections
    proposals: Float[Tensor, "P 4"]  # best first


class FasterRCNN(nn.Module):
    """Images -> features -> anchors -> proposals -> region features -> detections.

    What is returned depends on the arguments, never on `train()` and `eval()`, which only switch layers such as
    dropout: with targets the losses, without them the detections.
    """

    def __init__(
        self,
        config: ModelConfig,
        class_names: Sequence[str],
        backbone: FeaturePyramid,
        rpn: RPNHead,
        head: RegionHead,
    ) -> None:
        super().__init__()
        self.config = config
        self.class_names = tuple(class_names)
        self.backbone, self.rpn, self.head = backbone, rpn, head

    @overload
    def forward(self, images: Sequence[Tensor]) -> list[Detections]: ...
    @overload
    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Target],
        generator: torch.Generator | None = None,
        *,
        movable_proposals: bool = False,
    ) -> Losses: ...
    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Target] | None = None,
        generator: torch.Generator | None = None,
        *,
        movable_proposals: bool = False,
    ) -> list[Detections] | Losses:
        """Losses when targets are given, detections when they are not.

        `images`: CHW float in [0, 1], RGB, of any sizes; boxes in and out are in their pixels. `generator` draws
        the sampled anchors and proposals. `movable_proposals`: the second stage's losses also move the proposals, by
        RoIAlign's derivative with respect to its boxes (Sec. 3.2 iii). Raises ValueError for what is no picture or no
        target, or where RoIPool, which rounds boxes, would have to move them.
        """
        if targets is None:
            return [found.detections for found in self.find(images)]
        self._check_targets(images, targets)
        if movable_proposals and self.config.head.pooling == "roi_pool":
            raise ValueError("RoIPool rounds boxes to cells and has no derivative for them: movable needs roi_align")
        batch, generators = preprocess(images, self.config.input), [generator] * len(images)
        return self.losses(batch, targets, generators, movable_proposals=movable_proposals)

    def find(self, images: Sequence[Tensor]) -> list[Found]:
        """The detections as `forward` gives them, with the proposals that they were made from."""
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        found: dict[int, Found] = {}
        for group in groups_that_share_a_batch(sizes, self.config.input):
            if group:
                batch = preprocess([images[i] for i in group], self.config.input)
                found.update(zip(group, self._detect_batch(batch), strict=True))
        return [found[i] for i in range(len(images))]

    def _detect_batch(self, batch: ImageBatch) -> list[Found]:
        pyramid = self.backbone(batch.pixels)
        anchors = self._anchors(pyramid, batch)
        proposals = propose(anchors, self.rpn(pyramid), batch, self.config.rpn, training=False)
        logits, deltas = self.head(self._pool(pyramid, proposals))
        counts = [len(of_picture) for of_picture in proposals]
        per_picture = zip(logits.split(counts), deltas.split(counts), proposals, strict=True)
        return [
            Found(
                self._in_original_pixels(*detect(*outputs, batch.image_sizes[number], self.config.head), batch, number),
                self._to_original_pixels(outputs[2], batch, number),
            )
            for number, outputs in enumerate(per_picture)
        ]

    def losses(
        self,
        batch: ImageBatch,
        targets: Sequence[Target],
        generators: Generators = None,
        *,
        movable_proposals: bool = False,
        normaliser: Normaliser = at_least_one,
    ) -> Losses:
        """All four losses of a preprocessed batch: joint training (Sec. 3.2 ii; with `movable_proposals` iii).

        `targets` are in original pixels; `generators`, one for each picture, draw anchors and proposals; `normaliser`
        says what summed losses are divided by.
        """
        pyramid = self.backbone(batch.pixels)
        anchors = self._anchors(pyramid, batch)
        output = self.rpn(pyramid)
        chosen = choose(anchors, output, batch, self.config.rpn, training=True)
        proposals = proposed_boxes(anchors, output, batch, chosen, movable=movable_proposals)
        objects = self._in_network_pixels(targets, batch)
        chances = [
            chances_of(of_picture, len(anchors), len(target.learnt().boxes), generator)
            for of_picture, target, generator in zip(chosen, objects, _each(generators, batch), strict=True)
        ]
        return Losses(
            *rpn_losses(anchors, output, objects, batch, self.config.rpn, generators, normaliser),
            *self._head_losses(pyramid, proposals, objects, chances, normaliser),
        )

    def proposal_losses(
        self,
        batch: ImageBatch,
        targets: Sequence[Target],
        generators: Generators = None,
        *,
        normaliser: Normaliser = at_least_one,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Objectness and box loss of the RPN alone (steps 1 and 3 of alternating training, Sec. 3.2 i)."""
        pyramid = self.backbone(batch.pixels)
        objects = self._in_network_pixels(targets, batch)
        return rpn_losses(
            self._anchors(pyramid, batch), self.rpn(pyramid), objects, batch, self.config.rpn, generators, normaliser
        )

    def region_losses(
        self,
        batch: ImageBatch,
        targets: Sequence[Target],
        proposals: Sequence[Float[Tensor, "_ 4"]],
        generators: Generators = None,
        *,
        normaliser: Normaliser = at_least_one,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Class and box loss of Fast R-CNN on given proposals, in original pixels (steps 2 and 4 of Sec. 3.2 i)."""
        in_network_pixels = [
            clip(scale_boxes(boxes.to(batch.pixels.device), batch.scales(number)), batch.image_sizes[number])
            for number, boxes in enumerate(proposals)
        ]
        objects = self._in_network_pixels(targets, batch)
        chances = [
            chances_of(torch.arange(len(boxes)), len(boxes), len(target.learnt().boxes), generator)
            for boxes, target, generator in zip(proposals, objects, _each(generators, batch), strict=True)
        ]
        return self._head_losses(self.backbone(batch.pixels), in_network_pixels, objects, chances, normaliser)

    def proposals(self, images: Sequence[Tensor], before_nms: int, after_nms: int) -> list[Float[Tensor, "_ 4"]]:
        """What the RPN proposes in each picture, best first, in original pixels.

        At most `after_nms` a picture, of the best `before_nms` of each pyramid level. Raises ValueError for what is no
        picture.
        """
        found: list[Tensor] = []
        config = self.config.rpn.model_copy(update={"before_nms_test": before_nms, "after_nms_test": after_nms})
        for image in images:
            batch = preprocess([image], self.config.input)
            pyramid = self.backbone(batch.pixels)
            (boxes,) = propose(self._anchors(pyramid, batch), self.rpn(pyramid), batch, config, training=False)
            found.append(self._to_original_pixels(boxes, batch, 0))
        return found

    def _head_losses(
        self,
        pyramid: Sequence[Tensor],
        proposals: Sequence[Tensor],
        objects: Sequence[Target],
        chances: Sequence[Float[Tensor, " _"]],
        normaliser: Normaliser,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        samples = [
            sample_proposals(boxes, target, self.config.head, background=len(self.class_names), chances=drawn)
            for boxes, target, drawn in zip(proposals, objects, chances, strict=True)
        ]
        logits, deltas = self.head(self._pool(pyramid, [sampled.boxes for sampled in samples]))
        class_ids = torch.cat([sampled.class_ids for sampled in samples])
        wanted = torch.cat([sampled.deltas for sampled in samples])
        return head_losses(logits, deltas, class_ids, wanted, self.config.head.box_beta, normaliser)

    def _anchors(self, pyramid: Sequence[Tensor], batch: ImageBatch) -> Float[Tensor, "R 4"]:
        padded_size = (batch.pixels.shape[2], batch.pixels.shape[3])
        return anchors_of(pyramid, padded_size, self.backbone.strides, self.config.anchors)

    def _pool(self, pyramid: Sequence[Tensor], boxes: Sequence[Tensor]) -> Float[Tensor, "R C P P"]:
        levels = self.backbone.roi_levels
        return pool_regions(pyramid[:levels], self.backbone.strides[:levels], boxes, self.config.head)

    def _in_network_pixels(self, targets: Sequence[Target], batch: ImageBatch) -> list[Target]:
        there = [target.to(batch.pixels.device) for target in targets]
        return [
            Target(scale_boxes(target.boxes.float(), batch.scales(number)), target.class_ids, target.ignored)
            for number, target in enumerate(there)
        ]

    def _to_original_pixels(self, boxes: Float[Tensor, "D 4"], batch: ImageBatch, number: int) -> Float[Tensor, "D 4"]:
        y, x = batch.scales(number)
        return clip(scale_boxes(boxes, (1 / y, 1 / x)), batch.original_sizes[number])

    def _in_original_pixels(
        self, boxes: Tensor, scores: Tensor, class_ids: Tensor, batch: ImageBatch, number: int
    ) -> Detections:
        return Detections(self._to_original_pixels(boxes, batch, number), scores, class_ids, self.class_names)

    def _check_targets(self, images: Sequence[Tensor], targets: Sequence[Target]) -> None:
        if len(images) != len(targets):
            raise ValueError(f"{len(images)} images but {len(targets)} targets: one each, please")
        if not images:
            raise ValueError("losses need at least one image")
        for target in targets:
            if len(target.class_ids) and not 0 <= int(target.class_ids.min()) <= int(target.class_ids.max()) < len(
                self.class_names
            ):
                raise ValueError(f"class ids must be 0 to {len(self.class_names) - 1}: {target.class_ids.tolist()}")


def _each(generators: Generators, batch: ImageBatch) -> Sequence[torch.Generator | None]:
    """One for each picture; without any torch's own."""
    return [None] * len(batch.image_sizes) if generators is None else generators
