"""torchvision's detectors trained on COCO: fetched, checked, and under our roof, by the name of the preset."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchvision.models import WeightsEnum
from torchvision.models.detection import (
    FasterRCNN_MobileNet_V3_Large_320_FPN_Weights,
    FasterRCNN_MobileNet_V3_Large_FPN_Weights,
    FasterRCNN_ResNet50_FPN_V2_Weights,
    FasterRCNN_ResNet50_FPN_Weights,
)

from frcnn.errors import UsageError
from frcnn.model.detector import FasterRCNN
from frcnn.weights.fetch import Progress, checksum_in_name, fetch
from frcnn.weights.state_file import read_state
from frcnn.weights.torchvision import from_torchvision

PUBLISHED: Mapping[str, tuple[WeightsEnum, float]] = {  # with the batch norm epsilon, which no state dict says
    "resnet50_fpn": (FasterRCNN_ResNet50_FPN_Weights.COCO_V1, 0.0),
    "resnet50_fpn_v2": (FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1, 1e-5),
    "mobilenet_v3_large_fpn": (FasterRCNN_MobileNet_V3_Large_FPN_Weights.COCO_V1, 1e-5),
    "mobilenet_v3_large_320_fpn": (FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1, 1e-5),
}
NO_CLASS = "N/A"  # COCO numbers 80 classes up to 90; nothing was ever learnt for the gaps


def load_published(preset: str, progress: Progress | None = None) -> FasterRCNN:
    """The detector that torchvision trained on COCO's 80 classes, in evaluation mode.

    Raises UsageError where nothing is published for the preset, DownloadError, ModelFileError.
    """
    if preset not in PUBLISHED:
        raise UsageError(f"preset {preset!r} has no published weights: these have: {', '.join(PUBLISHED)}")
    weights, batch_norm_eps = PUBLISHED[preset]
    path = fetch(weights.url, checksum_in_name(weights.url), progress=progress)
    categories: Sequence[str] = weights.meta["categories"]  # the background first
    labels = [label for label, name in enumerate(categories) if name != NO_CLASS]
    state = _select_labels(read_state(path).state, labels)
    return from_torchvision(state, preset, [categories[label] for label in labels[1:]], batch_norm_eps)


def _select_labels(state: Mapping[str, Tensor], labels: Sequence[int]) -> dict[str, Tensor]:
    """The state dict with only these labels' rows in the last layer: their scores, and four deltas of each."""
    rows = torch.tensor(labels)
    deltas = (rows[:, None] * 4 + torch.arange(4)).flatten()
    chosen = {"cls_score": rows, "bbox_pred": deltas}
    return {
        name: tensor[chosen[name.split(".")[2]]] if name.startswith("roi_heads.box_predictor.") else tensor
        for name, tensor in state.items()
    }
