import pytest
import torch

from frcnn.benchmarking.inference import PLAIN, inference_measurements, model_rows, plain_work
from frcnn.benchmarking.networks import lively_model
from frcnn.benchmarking.pictures import draw_picture
from frcnn.benchmarking.rows import Setting
from frcnn.weights import save_model

SMALL = (96, 128)
ONCE = Setting(runs=1)


def test_beside_torchvisions_twin():
    rows = model_rows("small", "mobilenet_v3_large_320_fpn", 1, ONCE, size=SMALL)
    assert [row.work for row in rows] == ["small, float32", "small, bfloat16"]
    assert list(rows[0].peers) == ["torchvision float32", "torchvision bfloat16"]
    assert list(rows[1].peers) == ["torchvision float32", "torchvision bfloat16", "frcnn float32"]
    for row in rows:
        assert row.group == "inference"
        assert row.pictures == 1
        assert row.dense_share is not None
        assert row.notes[0].startswith("beside torchvision float32: ")


@pytest.mark.parametrize("pictures", [1, 2])
def test_a_model_file_stands_beside_its_plain_module(tmp_path, pictures):
    image = draw_picture(SMALL, torch.Generator().manual_seed(0))
    path = tmp_path / "model.safetensors"
    save_model(lively_model("mobilenet_v2_c4", image), path)
    rows = model_rows("file", str(path), pictures, ONCE, size=SMALL)
    assert [list(row.peers) for row in rows] == [[PLAIN], [PLAIN, "frcnn float32"]]
    assert [row.pictures for row in rows] == [pictures] * 2
    found, matched = rows[0].notes[0].removeprefix(f"beside {PLAIN}: ").split(" detections, ")
    assert int(matched.split()[0]) >= int(found) - 2


def test_the_plain_module_computes_channel_by_channel():
    image = draw_picture(SMALL, torch.Generator().manual_seed(0))
    seen = []
    model = lively_model("tiny", image)
    model.rpn.register_forward_pre_hook(lambda _, given: seen.append(given[0][0]))
    plain_work(model, [image], torch.device("cpu"))[PLAIN]()
    assert seen[-1].is_contiguous()
    assert not seen[-1].is_contiguous(memory_format=torch.channels_last)


def test_what_is_measured():
    assert [m.name for m in inference_measurements(ONCE)] == [
        "resnet50_fpn, 1 picture of 600x800",
        "vgg16, 1 picture of 600x800",
    ]
    assert [m.name for m in inference_measurements(ONCE, "tiny")] == ["tiny, 1 picture of 600x800"]
    on_cuda = inference_measurements(Setting(device=torch.device("cuda")), "tiny")
    assert [m.name for m in on_cuda] == ["tiny, 1 picture of 600x800", "tiny, 16 pictures of 600x800"]
