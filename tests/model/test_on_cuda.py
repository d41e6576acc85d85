"""On a CUDA device the model learns and detects as on the CPU."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import frcnn
from frcnn.device import Precision

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


def lively() -> frcnn.FasterRCNN:
    """Random weights that find something everywhere."""
    torch.manual_seed(5)
    model = frcnn.build("tiny", ["cat", "dog", "owl"])
    nn.init.normal_(model.head.classes.weight, std=0.15)
    nn.init.normal_(model.rpn.objectness.weight, std=0.5)
    return model.eval()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_detections(precision: Precision):
    model, picture = lively(), torch.rand(3, 90, 120)
    here, there = (frcnn.Detector(model, device, precision)(picture) for device in ("cpu", "cuda"))
    assert len(here) > 3
    assert there.boxes.device.type == "cpu"
    if precision == "float32":
        assert_close(there.scores[:5], here.scores[:5], atol=1e-3, rtol=0)  # TF32 is off by default
    else:
        assert float((there.scores[:5] - here.scores[:5]).abs().max()) < 0.1


def test_losses_and_gradients():
    picture = torch.rand(3, 128, 160)
    target = frcnn.Target(torch.tensor([[10.0, 20, 80, 90]]), torch.tensor([1]))
    losses, gradients = [], []
    for device in ("cpu", "cuda"):
        model = lively().to(device)
        generator = torch.Generator().manual_seed(3)
        loss = model([picture.to(device)], [target.to(device)], generator).total()
        loss.backward()
        losses.append(loss.detach().cpu())
        gradients.append(model.rpn.objectness.weight.grad.cpu())
    assert_close(*losses, atol=1e-3, rtol=1e-3)  # sums in another order may change a sampled proposal's last bits
    assert_close(*gradients, atol=1e-3, rtol=1e-2)
