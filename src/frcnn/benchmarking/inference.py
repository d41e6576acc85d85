"""From a picture to detections: ours and torchvision's with the same weights, in both precisions."""

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from frcnn.benchmarking.agreement import Agreement, agreement
from frcnn.benchmarking.limit import dense_arithmetic
from frcnn.benchmarking.networks import PEERS, as_detections, inference_twins, lively_model
from frcnn.benchmarking.pictures import draw_picture
from frcnn.benchmarking.rows import Measurement, Row, Setting
from frcnn.benchmarking.timing import Work, by_turns
from frcnn.config import preset_names
from frcnn.device import Precision, autocast
from frcnn.model.detector import FasterRCNN
from frcnn.predict import Detector, open_model
from frcnn.structures import Detections

PRESETS = ("resnet50_fpn", "vgg16")
PICTURE = (600, 800)
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
CUDA_BATCHES = (1, 16)
PLAIN = "plain float32 NCHW module"
SEED = 0

Pass = Callable[[], list[Detections]]


def inference_measurements(setting: Setting, model: str | Path | None = None) -> Iterator[Measurement]:
    """The two usual presets, or the one model that is asked for."""
    batches = CUDA_BATCHES if setting.device.type == "cuda" else (1,)
    for name in PRESETS if model is None else (str(model),):
        for count in batches:
            said = f"{name}, {count} picture{'s' if count > 1 else ''} of {PICTURE[0]}x{PICTURE[1]}"
            yield Measurement(said, lambda name=name, said=said, count=count: model_rows(said, name, count, setting))


def model_rows(work: str, model: str, count: int, setting: Setting, size: tuple[int, int] = PICTURE) -> list[Row]:
    """Beside torchvision's network where the preset has a twin there, else beside the module as it was built."""
    generator = torch.Generator().manual_seed(SEED)
    images = [draw_picture(size, generator) for _ in range(count)]
    if model in PEERS:
        twins = inference_twins(model, images[0])
        return rows_of(work, twins.ours, images, torchvision_works(twins.peer, images, setting.device), setting)
    ours = lively_model(model, images[0]) if model in preset_names() else open_model(model).eval()
    return rows_of(work, ours, images, plain_work(ours, images, setting.device), setting)


def rows_of(
    work: str, model: FasterRCNN, images: list[Tensor], peer_works: Mapping[str, Pass], setting: Setting
) -> list[Row]:
    """A row for each precision, all works by turns; ours are compared with what the first of the peers finds."""
    detectors: dict[Precision, Detector] = {
        p: Detector(model, str(setting.device), p, batch_size=len(images)) for p in PRECISIONS
    }
    works: dict[str, Work] = dict(peer_works)
    for p, detector in detectors.items():
        works[f"frcnn {p}"] = partial(detector, images)
        works[f"dense {p}"] = dense_arithmetic(model, images, setting.device, p)
    times = by_turns(works, setting.runs, setting.device)
    expected = next(iter(peer_works.values()))()[0]
    return [
        row_of(work, p, times, list(peer_works), len(images), agreement(detector(images)[0], expected))
        for p, detector in detectors.items()
    ]


def row_of(
    work: str, precision: Precision, times: Mapping[str, float], peers: list[str], pictures: int, near: Agreement
) -> Row:
    """Our time in one precision; bfloat16 stands beside our float32 too."""
    beside = [*peers, *(["frcnn float32"] if precision == "bfloat16" else [])]
    return Row(
        "inference",
        f"{work}, {precision}",
        times[f"frcnn {precision}"],
        {name: times[name] for name in beside},
        pictures=pictures,
        dense=times[f"dense {precision}"],
        notes=(f"beside {peers[0]}: {near.to_note()}",),
    )


def torchvision_works(peer: nn.Module, images: list[Tensor], device: torch.device) -> dict[str, Pass]:
    """torchvision's network as its users run it, and under autocast."""
    peer.to(device)
    return {f"torchvision {p}": partial(torchvision_pass, peer, images, device, p) for p in PRECISIONS}


@torch.no_grad()
def torchvision_pass(
    peer: nn.Module, images: list[Tensor], device: torch.device, precision: Precision
) -> list[Detections]:
    """From pictures on the processor to detections on the processor, as `Detector` does it."""
    with autocast(device, precision):
        return [as_detections(found) for found in peer([image.to(device) for image in images])]


def plain_work(model: FasterRCNN, images: list[Tensor], device: torch.device) -> dict[str, Pass]:
    """The module as it was built: nothing folded, float32, and features channel by channel."""
    plain = copy.deepcopy(model).to(device).to(memory_format=torch.contiguous_format).eval()
    plain.backbone.register_forward_pre_hook(lambda _, given: given[0].contiguous())  # pictures come channels last
    return {PLAIN: partial(plain_pass, plain, images, device)}


@torch.no_grad()
def plain_pass(model: FasterRCNN, images: list[Tensor], device: torch.device) -> list[Detections]:
    """From pictures on the processor to detections on the processor."""
    return [found.to("cpu") for found in model([image.to(device) for image in images])]
