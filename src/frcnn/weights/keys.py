"""From other people's names of tensors to ours: explicit rules, and every key accounted for."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from frcnn.errors import ModelFileError

STEP_COUNT = "num_batches_tracked"  # live batch norm counts its steps; frozen does not, and older files lack it


class KeyRule(NamedTuple):
    """Keys that match `pattern` as a whole are named `becomes` (with \\1 for groups), or left out where it is None."""

    pattern: str
    becomes: str | None


def rename_keys(state: Mapping[str, Tensor], rules: Sequence[KeyRule], source: str) -> dict[str, Tensor]:
    """The tensors under our names, by the first rule that knows each. Raises ModelFileError for a key none knows."""
    renamed = {}
    for name, tensor in state.items():
        found = ((rule, re.fullmatch(rule.pattern, name)) for rule in rules)
        rule, match = next(((rule, match) for rule, match in found if match), (None, None))
        if rule is None or match is None:
            raise ModelFileError(f"{source}: the key {name!r} is not known: these are weights of another network")
        if rule.becomes is not None:
            renamed[match.expand(rule.becomes)] = tensor
    return renamed


def load_exactly(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy `state` into `module`, which must have these tensors and no others; nothing is copied where it does not.

    Raises ModelFileError naming the first tensor that is missing, left over, of another shape or not finite.
    """
    wanted = module.state_dict()
    given = {name: tensor for name, tensor in state.items() if not _is_spare_count(name, wanted)}
    for name, tensor in wanted.items():
        if name not in given and not name.endswith(STEP_COUNT):
            raise ModelFileError(f"{source}: the tensor {name!r} is missing: these are weights of another network")
        if name in given and given[name].shape != tensor.shape:
            shapes = f"{tuple(given[name].shape)}, but the network has {tuple(tensor.shape)}"
            raise ModelFileError(f"{source}: the tensor {name!r} is {shapes}")
        if name in given and not given[name].isfinite().all():
            raise ModelFileError(f"{source}: the tensor {name!r} holds NaN or infinity: no use can be made of it")
    for name in given.keys() - wanted.keys():
        raise ModelFileError(f"{source}: the tensor {name!r} has no place in the network")
    module.load_state_dict(given, strict=False)  # not strict: for the counts of steps alone


def _is_spare_count(name: str, wanted: Mapping[str, Tensor]) -> bool:
    return name.endswith(STEP_COUNT) and name not in wanted
