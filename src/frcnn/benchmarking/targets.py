"""What each anchor should say: anchors, labels and deltas of a picture, as training needs them at every step."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork

from frcnn.benchmarking.operators import SHORT
from frcnn.benchmarking.pictures import draw_boxes
from frcnn.benchmarking.rows import Measurement, Row, Setting
from frcnn.benchmarking.timing import by_turns, seconds_of
from frcnn.benchmarking.tutorial import overlaps_by_loops
from frcnn.config import AnchorConfig, RPNConfig, load_preset
from frcnn.model.rpn import anchors_of
from frcnn.ops import encode, match
from frcnn.ops.matching import POSITIVE, Matches, match_boxes

PICTURE, STRIDE, OBJECTS = (800, 800), 16, 20
LOOPS = "Python loops"
SEED = 0


class AnchorTargets(NamedTuple):
    """What is learnt of every anchor."""

    labels: Int[Tensor, " R"]  # 1 positive, 0 negative, -1 ignored
    positive: Int[Tensor, " P"]
    deltas: Float[Tensor, "P 4"]  # of the positive ones


def target_measurements(setting: Setting) -> Iterator[Measurement]:
    """Beside torchvision, then beside loops."""
    height, width = PICTURE
    name = f"anchors, labels and deltas for {height}x{width} with {OBJECTS} objects"
    yield Measurement(name, lambda: [target_row(name, setting)])
    yield Measurement(f"{name}, by loops", lambda: [loops_row(name, setting)])


def target_row(work: str, setting: Setting, size: tuple[int, int] = PICTURE) -> Row:
    """Ours and torchvision's."""
    features, objects = target_input(setting, size)
    peer = torchvision_rpn()
    times = by_turns(
        {
            "frcnn": lambda: our_targets(features, size, objects),
            "torchvision": lambda: torchvision_targets(peer, features, size, objects),
        },
        SHORT * setting.runs,
        setting.device,
    )
    ours, theirs = our_targets(features, size, objects), torchvision_targets(peer, features, size, objects)
    return Row("ops", work, times["frcnn"], {"torchvision": times["torchvision"]}, notes=(_said(ours, theirs),))


def loops_row(work: str, setting: Setting, size: tuple[int, int] = PICTURE) -> Row:
    """Ours, and the two loops of a tutorial, which run but once."""
    features, objects = target_input(setting, size)
    mine = by_turns({"frcnn": lambda: our_targets(features, size, objects)}, SHORT * setting.runs, setting.device)
    loops = seconds_of(lambda: targets_by_loops(features, size, objects), setting.device)
    said = _said(our_targets(features, size, objects), targets_by_loops(features, size, objects))
    return Row("ops", work, mine["frcnn"], {LOOPS: loops}, notes=(said, "the loops are counted once"))


def target_input(setting: Setting, size: tuple[int, int]) -> tuple[Float[Tensor, "1 1 H W"], Float[Tensor, "G 4"]]:
    """Features, of which only the size counts, and objects."""
    generator = torch.Generator().manual_seed(SEED)
    features = torch.zeros(1, 1, size[0] // STRIDE, size[1] // STRIDE, device=setting.device)
    return features, draw_boxes(OBJECTS, size, generator, largest=min(size) / 2).to(setting.device)


def our_targets(features: Tensor, size: tuple[int, int], objects: Float[Tensor, "G 4"]) -> AnchorTargets:
    """As `rpn_losses` does it before it draws a sample."""
    anchors_config, config = settings()
    anchors = anchors_of([features], size, (STRIDE,), anchors_config)
    matches = our_matches(objects, anchors, config)
    positive = (matches.verdict == POSITIVE).nonzero().squeeze(1)
    return AnchorTargets(matches.verdict, positive, encode(anchors[positive], objects[matches.gt_index[positive]]))


def our_matches(objects: Float[Tensor, "G 4"], anchors: Float[Tensor, "R 4"], config: RPNConfig) -> Matches:
    """The rule of the RPN."""
    return match_boxes(
        objects,
        anchors,
        positive_above=config.positive_above,
        negative_below=config.negative_below,
        rescue=True,
    )


@cache
def settings() -> tuple[AnchorConfig, RPNConfig]:
    """VGG-16's, with anchors where torchvision has them; none is left out at the border, as there."""
    model = load_preset("vgg16").model
    anchors = model.anchors.model_copy(update={"centred": False, "rounding": "torchvision"})
    return anchors, model.rpn


def torchvision_rpn() -> RegionProposalNetwork:
    """torchvision's, without a network: only what makes anchors and their targets."""
    anchors, config = settings()
    return RegionProposalNetwork(
        AnchorGenerator(sizes=anchors.sizes, aspect_ratios=(anchors.ratios,)),
        nn.Identity(),
        config.positive_above,
        config.negative_below,
        config.samples_per_image,
        config.positive_fraction,
        {"training": config.before_nms_train, "testing": config.before_nms_test},
        {"training": config.after_nms_train, "testing": config.after_nms_test},
        config.nms_threshold,
    )


def torchvision_targets(
    rpn: RegionProposalNetwork, features: Tensor, size: tuple[int, int], objects: Float[Tensor, "G 4"]
) -> AnchorTargets:
    """Its own path through its own functions, which encode every anchor."""
    images = ImageList(torch.empty(1, 3, *size, device="meta"), [size])
    anchors = rpn.anchor_generator(images, [features])
    labels, matched = rpn.assign_targets_to_anchors(anchors, [{"boxes": objects}])
    deltas = rpn.box_coder.encode(matched, anchors)[0]
    positive = (labels[0] == 1).nonzero().squeeze(1)
    return AnchorTargets(labels[0].long(), positive, deltas[positive])


def targets_by_loops(features: Tensor, size: tuple[int, int], objects: Float[Tensor, "G 4"]) -> AnchorTargets:
    """As tutorials write it: the overlaps by two loops over arrays, the rest with tensors."""
    anchors_config, config = settings()
    anchors = anchors_of([features], size, (STRIDE,), anchors_config)
    overlap = torch.from_numpy(overlaps_by_loops(objects.cpu().numpy(), anchors.cpu().numpy()))
    matches = match(overlap, positive_above=config.positive_above, negative_below=config.negative_below, rescue=True)
    positive = (matches.verdict == POSITIVE).nonzero().squeeze(1)
    deltas = encode(anchors[positive], objects[matches.gt_index[positive].to(objects.device)])
    return AnchorTargets(matches.verdict, positive, deltas)


def _said(ours: AnchorTargets, theirs: AnchorTargets) -> str:
    if not torch.equal(ours.labels, theirs.labels):
        return f"labels NOT identical: {int((ours.labels != theirs.labels).sum())} of {len(ours.labels)} differ"
    apart = float((ours.deltas - theirs.deltas).abs().max())
    return f"{len(ours.labels)} anchors, {len(ours.positive)} positive: identical; deltas within {apart:.1g}"
