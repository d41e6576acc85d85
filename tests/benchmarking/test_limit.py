import pytest
import torch
from torch import nn

import frcnn
from frcnn.benchmarking.limit import dense_arithmetic, record_dense

CPU = torch.device("cpu")
OUT = torch.zeros(1, 1, 1, 1)  # what nobody looks at


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return frcnn.build("mobilenet_v2_c4", ["cat", "dog"]).eval()


@pytest.fixture(scope="module")
def images():
    return [torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(0))]


def dense_layers(model):
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def test_the_recording_sees_every_dense_layer_once(model, images):
    dense = dense_layers(model)
    calls = record_dense(model, images)
    assert len(calls) == len(dense) > 40
    assert {id(call.layer) for call in calls} == {id(layer) for layer in dense}


def test_a_layer_of_all_levels_is_seen_at_each(images):
    model = frcnn.build("mobilenet_v2_fpn", ["cat", "dog"]).eval()
    seen = [call for call in record_dense(model, images) if call.layer is model.rpn.objectness]
    assert len(seen) == len(model.backbone.strides)


def test_no_hook_stays_behind(model, images):
    record_dense(model, images)
    assert not any(layer._forward_hooks for layer in model.modules())


@pytest.mark.parametrize(("precision", "kind"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_layers_run_alone_in_the_precision_and_layout_asked_for(model, images, precision, kind, monkeypatch):
    work, ran = dense_arithmetic(model, images, CPU, precision), []
    for kind_of_layer in (nn.Conv2d, nn.Linear):
        monkeypatch.setattr(kind_of_layer, "forward", lambda layer, given: ran.append((layer, given)) or OUT)
    work()
    assert len(ran) == len(dense_layers(model))
    for layer, given in ran:
        assert given.dtype == layer.weight.dtype == kind
        assert given.ndim == 2 or given.is_contiguous(memory_format=torch.channels_last)


def test_the_model_stays_as_it_is(model, images):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    dense_arithmetic(model, images, CPU, "bfloat16")()
    for name, value in model.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])
