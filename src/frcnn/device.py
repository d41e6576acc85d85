"""Where a model runs, and how precisely."""

import os
from contextlib import AbstractContextManager
from typing import Literal, get_args

import torch

from frcnn.errors import UsageError

Precision = Literal["float32", "bfloat16"]

# oneDNN compiles a convolution for each size of its input and keeps 1,024 of them: a training step has some 200, so
# pictures of half a dozen sizes make it compile all of them over and over. These take some 200 MB at most.
KEPT_PRIMITIVES = 32_768


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is CUDA's first where there is one, else the processor, made ready for use.

    Raises UsageError where torch does not know or cannot reach it.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KEPT_PRIMITIVES))  # read at the first convolution
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device).cpu()  # a name may be right and its device absent, or hold nothing (meta)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"device {name!r} cannot be used here{_hint(name)}: try --device cpu, or auto") from error
    return device


def check_precision(precision: str) -> None:
    """Raises UsageError for a precision that a model cannot run in."""
    if precision not in get_args(Precision):
        raise UsageError(f"precision {precision!r} does not exist: it is {' or '.join(get_args(Precision))}")


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """A context in which convolutions and matrix products run in `precision`; boxes and losses stay in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def _hint(name: str) -> str:
    if not name.startswith("cuda"):
        return ""
    count = torch.cuda.device_count()
    return f" (torch sees {count} CUDA device{'' if count == 1 else 's'})"
