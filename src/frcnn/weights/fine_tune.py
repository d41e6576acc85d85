"""A detector learnt on some classes goes on to learn others: what carries over, and what begins anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from frcnn.config import ModelConfig
from frcnn.errors import UsageError
from frcnn.model.detector import FasterRCNN
from frcnn.model.zoo import build_from_config
from frcnn.weights.build import checked_classes
from frcnn.weights.keys import STEP_COUNT, load_exactly

ROWS_OF_A_CLASS = {"head.classes.": 1, "head.deltas.": 4}  # the background, which has no deltas, is the last of classes
NAMED = 8  # longer lists of classes are cut


@dataclass(frozen=True)
class Kept:
    """Which classes a network takes over from the one it starts with."""

    kept: tuple[str, ...]  # in the new order
    new: tuple[str, ...]
    dropped: tuple[str, ...]  # in the old order
    name: str  # where the weights are from

    def describe(self) -> str:
        """One line for people."""
        if not self.new and not self.dropped:
            return f"Weights of {self.name}: all layers; all classes are kept"
        parts = [f"of the head's classes kept {_listed(self.kept) or 'none but the background'}"]
        parts += [f"new: {_listed(self.new)}"] if self.new else []
        parts += [f"left behind: {_listed(self.dropped)}"] if self.dropped else []
        return f"Weights of {self.name}: all layers; {'; '.join(parts)}"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def fine_tuned(
    source: FasterRCNN, config: ModelConfig, class_names: Sequence[str], name: str
) -> tuple[FasterRCNN, Kept]:
    """A network for other classes that begins with all that `source` has learnt (Fast R-CNN, Sec. 2.2).

    The head's last two layers are new, but for the rows of the background and of classes with the same names. `name`
    says where the weights are from. As `build` would give it: float32, on the CPU, ready to train; `source` stays as it
    is. Raises UsageError where the weights do not fit the configuration, ModelFileError where they are not finite.
    """
    names = checked_classes(class_names)
    model = build_from_config(config, names)
    learnt, wanted = source.state_dict(), model.state_dict()
    _check_layers(learnt, wanted, name)
    pairs = [(source.class_names.index(each), names.index(each)) for each in names if each in source.class_names]
    rows = {key: _rows_kept(wanted[key], learnt[key], pairs, key) for key in wanted if _rows_of_a_class(key)}
    load_exactly(model, learnt | rows, name)
    return model, _kept(source.class_names, names, name)


def _kept(old: Sequence[str], names: Sequence[str], name: str) -> Kept:
    return Kept(
        kept=tuple(each for each in names if each in old),
        new=tuple(each for each in names if each not in old),
        dropped=tuple(each for each in old if each not in names),
        name=name,
    )


def _check_layers(learnt: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str) -> None:
    """Raises UsageError naming the first tensor that is not the same on both sides."""
    for key in (*wanted, *learnt):
        given, asked = _shape(learnt, key), _shape(wanted, key)
        if given != asked and not _rows_of_a_class(key) and not key.endswith(STEP_COUNT):
            raise UsageError(
                f"{name}: the tensor {key!r} is {given} in these weights, but {asked} in the network that the "
                "configuration asks for: keep the settings of its layers as they were learnt with, or start without "
                "the weights"
            )


def _shape(state: Mapping[str, Tensor], key: str) -> str:
    return str(tuple(state[key].shape)) if key in state else "absent"


def _rows_of_a_class(key: str) -> int:
    """How many rows of this tensor are a class; 0: its rows are not classes."""
    return next((rows for prefix, rows in ROWS_OF_A_CLASS.items() if key.startswith(prefix)), 0)


def _rows_kept(new: Tensor, learnt: Tensor, pairs: Sequence[tuple[int, int]], key: str) -> Tensor:
    """The new tensor with the rows of the pairs (learnt class, new class) as they were learnt, and the background's."""
    background = [(-1, -1)] if key.startswith("head.classes.") else []
    origins, places = torch.tensor([*pairs, *background], dtype=torch.long).reshape(-1, 2).unbind(1)
    rows = (-1, _rows_of_a_class(key))
    blended = new.clone().unflatten(0, rows)
    blended[places] = learnt.detach().cpu().unflatten(0, rows)[origins].to(blended)
    return blended.flatten(0, 1)
