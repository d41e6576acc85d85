"""The presets, one line each: what it is, how large, what it costs, and what it reached where weights are published."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from frcnn.config import ModelConfig, load_preset, preset_names
from frcnn.model.detector import FasterRCNN
from frcnn.model.preprocess import preprocess
from frcnn.model.zoo import build_from_config
from frcnn.weights.published import PUBLISHED

CLASSES = tuple(f"class {number}" for number in range(20))  # as many as VOC has
PICTURE_SIZE = (600, 800)


@dataclass(frozen=True)
class PresetLine:
    """What `frcnn presets` says of one preset."""

    name: str
    summary: str
    parameters: int  # with 20 classes
    gflop: float  # for one picture of 600 x 800 with as many proposals as there can be; an addition counts as one
    coco_ap: float | None  # of the published weights, a fraction; None where there are none

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


def describe_presets() -> list[PresetLine]:
    """All presets, in the order of their names. Nothing is computed but shapes."""
    return [_describe(name) for name in preset_names()]


def _describe(name: str) -> PresetLine:
    config = load_preset(name)
    with torch.device("meta"):
        model = build_from_config(config.model, CLASSES).eval()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return PresetLine(name, config.summary, parameters, _gflop(model, config.model), _published_ap(name))


@torch.no_grad()
def _gflop(model: FasterRCNN, config: ModelConfig) -> float:
    """Of the convolutions and matrix products, which are nearly all there is to compute."""
    pixels = preprocess([torch.zeros(3, *PICTURE_SIZE)], config.input).pixels.to("meta")
    with FlopCounterMode(display=False) as counter:
        pyramid = model.backbone(pixels)
        model.rpn(pyramid)
        cells = (config.head.pool_size, config.head.pool_size)
        model.head(torch.empty(config.rpn.after_nms_test, pyramid[0].shape[1], *cells, device="meta"))
    return counter.get_total_flops() / 1e9


def _published_ap(name: str) -> float | None:
    if name not in PUBLISHED:
        return None
    weights, _ = PUBLISHED[name]
    return round(weights.meta["_metrics"]["COCO-val2017"]["box_map"] / 100, 4)  # published as a percentage
