"""Training steps of the same network from the same weights: ours and torchvision's, in both precisions."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from frcnn.benchmarking.networks import CLASSES, Twins, trained_elements, training_twins
from frcnn.benchmarking.pictures import draw_picture, draw_target
from frcnn.benchmarking.rows import Measurement, Row, Setting
from frcnn.benchmarking.timing import Work, by_turns
from frcnn.config import load_preset
from frcnn.device import Precision, autocast
from frcnn.structures import Target
from frcnn.training.optim import build_optimizer

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
SIDES = ("frcnn", "torchvision")
OBJECTS = 5  # a picture
RATE = 1e-9  # so small that no step changes the work of the next one
SEED = 0

Step = Callable[[Precision], float]  # gives the loss


@dataclass(frozen=True)
class Case:
    """What is trained on."""

    preset: str
    pictures: int
    short_side: int
    size: tuple[int, int] = (375, 500)  # as VOC's are
    long_side: int = 1000

    @property
    def work(self) -> str:
        """Its name in the report."""
        height, width = self.size
        return f"{self.preset}, {self.pictures} pictures of {height}x{width} at short side {self.short_side}"


CASES = (Case("resnet50_fpn", 2, 600), Case("mobilenet_v3_large_fpn", 4, 320))


def training_measurements(setting: Setting) -> Iterator[Measurement]:
    """A network after another."""
    for case in CASES:
        yield Measurement(f"training step of {case.work}", partial(training_rows, case, setting))


def training_rows(case: Case, setting: Setting) -> list[Row]:
    """A row for each precision; all by turns."""
    twins = training_twins(case.preset, case.short_side, case.long_side)
    steps = {side: step_of(side, twins, case, setting.device) for side in SIDES}
    works: dict[str, Work] = {f"{side} {p}": partial(step, p) for p in PRECISIONS for side, step in steps.items()}
    times = by_turns(works, setting.runs, setting.device)
    trained = _trained(twins)
    rows = []
    for p in PRECISIONS:
        of_peer = [p] if p == "float32" else [p, "float32"]
        peers = {f"torchvision {other}": times[f"torchvision {other}"] for other in of_peer}
        losses = ", ".join(f"{side} {step(p):.3f}" for side, step in steps.items())
        notes = (trained, f"losses, each of its own random sample: {losses}")
        work = f"training step of {case.work}, {p}"
        rows.append(Row("training", work, times[f"frcnn {p}"], peers, pictures=case.pictures, notes=notes))
    return rows


def step_of(side: str, twins: Twins, case: Case, device: torch.device) -> Step:
    """A step of ours or of torchvision's: forward, the sum of the losses, backward, gradient descent."""
    images, targets = examples(case, device)
    if side == "frcnn":
        model = twins.ours.to(device)
        config = load_preset(case.preset).train.model_copy(update={"lr": RATE})
        return partial(take_step, build_optimizer(model, config), partial(our_loss, model, images, targets), device)
    peer = twins.peer.to(device)
    trained = [parameter for parameter in peer.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=RATE, momentum=0.9, weight_decay=1e-4)  # as its reference script has it
    return partial(take_step, optimizer, partial(torchvision_loss, peer, images, targets), device)


def take_step(
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[], Tensor],
    device: torch.device,
    precision: Precision,
) -> float:
    """One step; the gradients of the step before are dropped first."""
    optimizer.zero_grad(set_to_none=True)
    with autocast(device, precision):
        loss = loss_of()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def our_loss(model: nn.Module, images: list[Tensor], targets: list[Target]) -> Tensor:
    """The sum of the four."""
    return model(images, targets).total()


def torchvision_loss(model: nn.Module, images: list[Tensor], targets: list[Target]) -> Tensor:
    """The sum of the four, of the same objects in torchvision's words."""
    theirs = [{"boxes": target.boxes, "labels": target.class_ids + 1} for target in targets]
    losses: Mapping[str, Tensor] = model(images, theirs)
    return torch.stack(list(losses.values())).sum()


def examples(case: Case, device: torch.device) -> tuple[list[Tensor], list[Target]]:
    """Pictures and their objects, the same for both sides."""
    generator = torch.Generator().manual_seed(SEED)
    images = [draw_picture(case.size, generator).to(device) for _ in range(case.pictures)]
    targets = [draw_target(OBJECTS, case.size, len(CLASSES), generator).to(device) for _ in images]
    return images, targets


def _trained(twins: Twins) -> str:
    """That both train the same, or how much they do not."""
    ours, theirs = trained_elements(twins.ours), trained_elements(twins.peer)
    spare = 4 * (twins.ours.head.deltas.in_features + 1)  # weights and biases of the background's box
    said = f"every layer trains, with live batch norm: {ours:,} elements"
    if theirs == ours + spare:
        return f"{said}; in torchvision also {spare:,} for a box of the background, which nothing reads"
    return f"{said}, NOT like torchvision's {theirs:,}"
