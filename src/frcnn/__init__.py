"""Faster R-CNN, complete and readable: trained, evaluated and used with one command each.

The names below come from their rooms when they are first asked for, so that `import frcnn` is quick.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from frcnn.mismatch import explain_mismatch

if TYPE_CHECKING:
    from frcnn import ops as ops
    from frcnn import weights as weights
    from frcnn.benchmarking.run import benchmark as benchmark
    from frcnn.config import Config as Config
    from frcnn.errors import FrcnnError as FrcnnError
    from frcnn.evaluation.run import evaluate as evaluate
    from frcnn.model.detector import FasterRCNN as FasterRCNN
    from frcnn.predict import Detector as Detector
    from frcnn.predict import load as load
    from frcnn.structures import Detections as Detections
    from frcnn.structures import Losses as Losses
    from frcnn.structures import Target as Target
    from frcnn.training.begin import train as train
    from frcnn.weights.build import build as build

_ROOMS = {
    "Config": "config",
    "Detections": "structures",
    "Detector": "predict",
    "FasterRCNN": "model.detector",
    "FrcnnError": "errors",
    "Losses": "structures",
    "Target": "structures",
    "benchmark": "benchmarking.run",
    "build": "weights.build",
    "evaluate": "evaluation.run",
    "load": "predict",
    "train": "training.begin",
}
_FOLDERS = ("ops", "weights")

__version__ = version("frcnn")
__all__ = [
    "Config",
    "Detections",
    "Detector",
    "FasterRCNN",
    "FrcnnError",
    "Losses",
    "Target",
    "benchmark",
    "build",
    "evaluate",
    "load",
    "ops",
    "train",
    "weights",
]


def __getattr__(name: str) -> Any:
    """A public name, from the module that makes it. Raises ImportError where torch and torchvision do not match."""
    if name in _FOLDERS:
        return _imported(name)
    if name in _ROOMS:
        value = getattr(_imported(_ROOMS[name]), name)
        globals()[name] = value  # asked for once
        return value
    raise AttributeError(f"module 'frcnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _imported(module: str) -> Any:
    try:
        return import_module(f"frcnn.{module}")
    except RuntimeError as error:
        explanation = explain_mismatch(error)
        if explanation is None:
            raise
        raise ImportError(explanation) from error
