"""torchvision's detectors and ours with the same weights, drawn from a seed, under which much is detected."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torchvision.models.detection as peers
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.mobilenetv3 import InvertedResidual
from torchvision.models.resnet import BasicBlock, Bottleneck

from frcnn.config import load_preset, override_sections
from frcnn.model.detector import FasterRCNN
from frcnn.model.zoo import build_from_config
from frcnn.structures import Detections
from frcnn.weights.build import build, settle
from frcnn.weights.keys import load_exactly
from frcnn.weights.torchvision import convert_state, from_torchvision

CLASSES = tuple(f"class {number}" for number in range(90))  # as many labels as COCO has
PEERS: Mapping[str, Callable[..., peers.FasterRCNN]] = {
    "resnet50_fpn": peers.fasterrcnn_resnet50_fpn,
    "resnet50_fpn_v2": peers.fasterrcnn_resnet50_fpn_v2,
    "mobilenet_v3_large_fpn": peers.fasterrcnn_mobilenet_v3_large_fpn,
    "mobilenet_v3_large_320_fpn": peers.fasterrcnn_mobilenet_v3_large_320_fpn,
}
SEED = 0
BLOCK_SHARE = 0.25  # what a block adds to what passes it: with more, rounding errors grow from block to block
OBJECTNESS_SPREAD, PROPOSAL_SPREAD, BOX_SPREAD = 1.0, 0.2, 0.5  # standard deviations over anchors or regions
CANDIDATES, CANDIDATE_SCORE = 85, 0.05  # so many pairs of region and class above the score: NMS leaves most


class Outputs(NamedTuple):
    """The names of a network's last layers."""

    objectness: str
    proposals: str
    classes: str
    deltas: str


OUR_OUTPUTS = Outputs("rpn.objectness", "rpn.deltas", "head.classes", "head.deltas")
THEIR_OUTPUTS = Outputs(
    "rpn.head.cls_logits",
    "rpn.head.bbox_pred",
    "roi_heads.box_predictor.cls_score",
    "roi_heads.box_predictor.bbox_pred",
)


@dataclass
class Twins:
    """The same weights in torchvision's network and in ours."""

    peer: peers.FasterRCNN
    ours: FasterRCNN


def inference_twins(preset: str, image: Float[Tensor, "3 H W"]) -> Twins:
    """Both in evaluation mode, with lively weights: they detect some tens of objects in `image`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        peer = PEERS[preset](weights=None, weights_backbone=None, num_classes=len(CLASSES) + 1)
        enliven(peer, image, THEIR_OUTPUTS)
    return Twins(peer, from_torchvision(peer.state_dict(), preset, CLASSES))


def lively_model(preset: str, image: Float[Tensor, "3 H W"]) -> FasterRCNN:
    """Ours alone, in evaluation mode, with lively weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = build(preset, CLASSES)
        enliven(model, image, OUR_OUTPUTS)
    return model


def training_twins(preset: str, short_side: int, long_side: int) -> Twins:
    """Both in training mode, from random weights: every layer trains and batch norm is live, as torchvision has it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        peer = PEERS[preset](
            weights=None, weights_backbone=None, num_classes=len(CLASSES) + 1, min_size=short_side, max_size=long_side
        )
        config = settle(load_preset(preset).model, None)
        config = override_sections(config, {"input": {"short_side": short_side, "long_side": long_side}})
        ours = build_from_config(config, CLASSES)
    load_exactly(ours, convert_state(peer.state_dict(), config, len(CLASSES)), "torchvision")
    ours.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (not in torch's types)
    return Twins(peer.train(), ours.train())


def trained_elements(model: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def as_detections(found: Mapping[str, Tensor]) -> Detections:
    """torchvision's, whose label 0 is the background."""
    return Detections(found["boxes"].cpu(), found["scores"].cpu(), found["labels"].cpu() - 1, CLASSES)


@torch.no_grad()
def enliven(model: nn.Module, image: Float[Tensor, "3 H W"], names: Outputs) -> None:
    """Scale the last layers so that the network says different things of different regions, as a trained one does."""
    model.eval()
    _damp_blocks(model)
    _settle_batch_norm(model, image)
    for name, spread in ((names.objectness, OBJECTNESS_SPREAD), (names.proposals, PROPOSAL_SPREAD)):
        _standardise(model, image, name, spread)
    _standardise(model, image, names.deltas, BOX_SPREAD)
    logits = _standardise(model, image, names.classes, 1.0)
    _scale(_dense(model, names.classes), _spread_for(logits))


def _damp_blocks(model: nn.Module) -> None:
    for block in model.modules():
        if isinstance(block, BasicBlock | Bottleneck | InvertedResidual):
            norms = [layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)]
            for norm in norms[-1:]:
                norm.weight.mul_(BLOCK_SHARE)


def _settle_batch_norm(model: nn.Module, image: Tensor) -> None:
    """Running statistics of this picture: with those of nothing, features grow from layer to layer."""
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0
    model([image])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum


def _standardise(model: nn.Module, image: Tensor, name: str, spread: float) -> Float[Tensor, "R C"]:
    """Scale a layer: what it says of the picture gets mean 0 and this standard deviation, by channel; gives that."""
    layer, said = _dense(model, name), []
    hook = layer.register_forward_hook(lambda _, __, output: said.append(output.movedim(1, -1).flatten(0, -2)))
    model([image])
    hook.remove()
    values = torch.cat(said)  # a row for each place or region
    mean, factor = values.mean(dim=0), spread / values.std(dim=0)
    assert layer.bias is not None, "the last layers have one"
    layer.bias.sub_(mean)
    _scale(layer, factor)
    return (values - mean) * factor


def _dense(model: nn.Module, name: str) -> nn.Linear | nn.Conv2d:
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    return layer


def _scale(layer: nn.Linear | nn.Conv2d, factor: Tensor) -> None:
    layer.weight.mul_(factor.reshape(-1, *[1] * (layer.weight.ndim - 1)))
    assert layer.bias is not None, "the last layers have one"
    layer.bias.mul_(factor)


def _spread_for(logits: Float[Tensor, "R K1"]) -> Float[Tensor, ""]:
    """The factor for logits of variance 1 at which as many candidates as wanted pass the score, none of them barely."""
    return (_least_factor(logits, CANDIDATES) + _least_factor(logits, CANDIDATES + 1)) / 2


def _least_factor(logits: Float[Tensor, "R K1"], count: int) -> Float[Tensor, ""]:
    """The smallest at which `count` pairs of region and class pass the score."""
    low, high = torch.zeros(()), torch.full((), 8.0)
    for _ in range(20):  # halvings
        middle = (low + high) / 2
        passing = ((middle * logits).softmax(dim=1) > CANDIDATE_SCORE).sum()
        low, high = (middle, high) if passing < count else (low, middle)
    return high
