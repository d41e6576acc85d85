"""Other people's files of weights: names and tensors out of them, and never a line of their code run."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from frcnn.errors import ModelFileError

NESTED_UNDER = ("model", "state_dict")  # where training scripts put the weights, beside their optimiser's state


@dataclass(frozen=True)
class StateFile:
    """What a file of weights holds."""

    state: dict[str, Tensor]
    metadata: dict[str, str]  # empty for PyTorch's own format, which has none


def read_state(path: Path) -> StateFile:
    """The weights of a .safetensors file, or of a .pth file as `torch.save` writes them. Raises ModelFileError."""
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file")
    return read_safetensors(path) if path.suffix == ".safetensors" else StateFile(_read_pickled(path), {})


def read_safetensors(path: Path) -> StateFile:
    """The tensors and the metadata of a .safetensors file. Raises ModelFileError."""
    try:
        with safe_open(path, framework="pt") as file:
            return StateFile({name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {}))  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: no whole .safetensors file ({_first_line(error)})") from error


def _read_pickled(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch has to say of old or strange files ends in our one line
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises nearly anything
        reason = "it holds more than weights, or is damaged"
        raise ModelFileError(f"{path}: cannot be read as PyTorch weights ({reason}: {type(error).__name__})") from error
    for name in NESTED_UNDER:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    return _checked(content, path)


def _checked(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping) or not content:
        raise ModelFileError(f"{path}: holds no state dict (a {type(content).__name__} instead of named tensors)")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelFileError(f"{path}: holds no state dict ({name!r} is a {type(value).__name__}, not a tensor)")
    return dict(content)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
