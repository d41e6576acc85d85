"""The paper's three ways to train RPN and Fast R-CNN together, as stages one after another (Sec. 3.2).

Joint and exact training have one stage; alternating training has four, its proposals written down in between.
"""

from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from torch import nn

from frcnn.config import TrainConfig
from frcnn.model.detector import FasterRCNN
from frcnn.training import objectives
from frcnn.training.objectives import LossesOf

ROOMS = ("backbone", "rpn", "head")


@dataclass(frozen=True)
class Stage:
    """A part of a training: what it minimises, which rooms of the model it trains, and when."""

    title: str
    losses_of: LossesOf
    trains: tuple[str, ...] = ROOMS
    starts_anew: tuple[str, ...] = ()  # rooms that take the weights the run began with
    reads: str | None = None  # the name of written proposals that it trains on
    writes: str | None = None  # the name of the proposals that are written at its end
    leaves_detector: bool = False  # is there anything to evaluate after an epoch of it?
    first: int = 0  # steps of the run that are done when it begins ...
    end: int = 0  # ... and when it ends

    @property
    def steps(self) -> int:
        """How many it takes."""
        return self.end - self.first


ONE_STAGE = {"joint": objectives.joint, "exact": objectives.exact}

FOUR_STEPS = (  # Sec. 3.2, "4-Step Alternating Training"
    Stage("step 1 of 4, RPN", objectives.region_proposal, trains=("backbone", "rpn"), writes="step1"),
    Stage(
        "step 2 of 4, Fast R-CNN on step 1's proposals",
        objectives.fast_rcnn,
        trains=("backbone", "head"),
        starts_anew=("backbone",),
        reads="step1",
    ),
    Stage("step 3 of 4, RPN on step 2's convolutions", objectives.region_proposal, trains=("rpn",), writes="step3"),
    Stage(
        "step 4 of 4, Fast R-CNN on step 3's proposals",
        objectives.fast_rcnn,
        trains=("head",),
        reads="step3",
        leaves_detector=True,
    ),
)


def stages_of(config: TrainConfig, steps_per_epoch: int) -> tuple[Stage, ...]:
    """The stages of a run, with their places in it: `train.steps` where it is given, else whole epochs each."""
    if config.schedule != "alternating":
        stages: tuple[Stage, ...] = (Stage("training", ONE_STAGE[config.schedule], leaves_detector=True),)
    else:
        stages = FOUR_STEPS
    epochs = config.step_epochs if config.schedule == "alternating" and config.step_epochs else None
    lengths = [config.steps or (epochs[i] if epochs else config.epochs) * steps_per_epoch for i in range(len(stages))]
    places = pairwise(accumulate(lengths, initial=0))
    return tuple(replace(stage, first=first, end=end) for stage, (first, end) in zip(stages, places, strict=True))


def train_only(model: FasterRCNN, rooms: tuple[str, ...], trainable: frozenset[str]) -> None:
    """Let these rooms learn, of what may learn at all (`trainable`, names of parameters), and nothing else."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trainable and name.startswith(tuple(f"{room}." for room in rooms)))


def set_modes(model: FasterRCNN, rooms: tuple[str, ...]) -> None:
    """Training mode for what learns; what is fixed behaves as it will when the detector is used."""
    model.train()
    for room in set(ROOMS) - set(rooms):
        _room(model, room).eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.weight is not None and not layer.weight.requires_grad:
            layer.eval()  # of a frozen stage: its statistics stay as well


def take_weights(model: FasterRCNN, source: FasterRCNN, rooms: tuple[str, ...]) -> None:
    """Copy the weights of some rooms."""
    for room in rooms:
        _room(model, room).load_state_dict(_room(source, room).state_dict())


def _room(model: FasterRCNN, name: str) -> nn.Module:
    return {"backbone": model.backbone, "rpn": model.rpn, "head": model.head}[name]
