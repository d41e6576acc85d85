"""A model file: weights, configuration and class names in one .safetensors, which needs nothing else to be used.

It is data, never code: nothing in it can run, and no other format is opened here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from frcnn.config import ModelConfig, parse_model_config
from frcnn.errors import DiskError, ModelFileError, UsageError
from frcnn.files import written_whole
from frcnn.model.detector import FasterRCNN
from frcnn.model.zoo import build_from_config
from frcnn.weights.build import checked_classes
from frcnn.weights.keys import load_exactly
from frcnn.weights.state_file import StateFile, read_safetensors

FORMAT, VERSION = "frcnn", 1
PICKLE, ZIP = b"\x80", b"PK\x03\x04"  # how files of torch.save begin


def save_model(model: FasterRCNN, path: str | Path) -> None:
    """Write the model file, whole or not at all; the same model gives the same bytes. Raises FrcnnError."""
    path = Path(path)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "config": json.dumps(model.config.model_dump(mode="json")),
        "class_names": json.dumps(list(model.class_names), ensure_ascii=False),
    }
    tensors = {name: _plain(tensor) for name, tensor in model.state_dict().items()}
    with written_whole(path) as aside:
        try:
            save_file(tensors, aside, metadata)
            _order_metadata(aside)
        except SafetensorError as error:
            raise DiskError(f"{path}: cannot be written ({error})") from error


def load_model(path: str | Path) -> FasterRCNN:
    """The detector in a model file, on the CPU, in evaluation mode. Raises ModelFileError."""
    path = Path(path)
    _check_kind(path)
    file = read_safetensors(path)
    model = _empty_model(file, path)
    load_exactly(model, file.state, str(path))
    return model.eval()


def load_as_it_is(path: Path) -> FasterRCNN:
    """The same for study: in the precision that the file has, and its numbers may be none. Raises ModelFileError."""
    file = read_safetensors(path)
    model = _empty_model(file, path)
    precision = next((value.dtype for value in file.state.values() if value.is_floating_point()), torch.float32)
    try:
        model.to(precision).load_state_dict(file.state)
    except RuntimeError as error:
        raise ModelFileError(f"{path}: holds the weights of another network") from error
    return model.eval()


def _empty_model(file: StateFile, path: Path) -> FasterRCNN:
    """What the file describes, before it has its weights."""
    config, class_names = _described(file.metadata, path)
    try:
        return build_from_config(config, class_names)
    except UsageError as error:
        raise ModelFileError(f"{path}: {error}") from error


def _plain(tensor: Tensor) -> Tensor:
    """A copy of its own, in rows: what several names share is written under each."""
    return tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format)


def _order_metadata(path: Path) -> None:
    """safetensors writes the metadata in an order of the moment; the same model must give the same bytes."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        ordered = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        file.seek(8)
        file.write(ordered.ljust(length))


def _check_kind(path: Path) -> None:
    """Say what a file is that people often try instead."""
    if not path.is_file():
        raise ModelFileError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}: a model file is needed")
    try:
        with path.open("rb") as file:
            start = file.read(len(ZIP))
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror})") from error
    if start == ZIP or start[:1] == PICKLE:
        raise ModelFileError(
            f"{path}: no model file but a pickle or a zip, as torch.save writes them: convert it first"
        )


def _described(metadata: Mapping[str, str], path: Path) -> tuple[ModelConfig, tuple[str, ...]]:
    """Configuration and class names as the metadata hold them."""
    if metadata.get("format") != FORMAT:
        raise ModelFileError(f"{path}: .safetensors, but no model file of frcnn (no configuration and classes inside)")
    if metadata.get("version") != str(VERSION):
        raise ModelFileError(
            f"{path}: a model file of version {metadata.get('version')}, but this frcnn reads version {VERSION}"
        )
    try:
        config = parse_model_config(_json(metadata, "config", dict), source="its configuration")
        return config, checked_classes(_json(metadata, "class_names", list))
    except (UsageError, ValueError) as error:
        raise ModelFileError(f"{path}: damaged metadata: {error}") from error


def _json(metadata: Mapping[str, str], key: str, kind: type) -> Any:
    """Raises ValueError."""
    if key not in metadata:
        raise ValueError(f"{key} is missing")
    value = json.loads(metadata[key])
    if not isinstance(value, kind):
        raise ValueError(f"{key} is not a {kind.__name__}")
    return value
