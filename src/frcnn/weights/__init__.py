"""Weights in and out: our model files, ImageNet's for a backbone, and other projects' detectors."""

from frcnn.weights.model_file import load_model, save_model
from frcnn.weights.published import load_published
from frcnn.weights.torchvision import from_torchvision

__all__ = ["from_torchvision", "load_model", "load_published", "save_model"]
