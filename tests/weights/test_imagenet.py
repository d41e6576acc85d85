from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision.models as peers
from safetensors.torch import save_file
from torch import Tensor, nn

from frcnn.config import load_preset
from frcnn.errors import FrcnnError, ModelFileError, UsageError
from frcnn.weights import imagenet
from frcnn.weights.build import build
from frcnn.weights.imagenet import read_backbone_weights

CLASSES = ("cat", "dog")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSIFIERS: dict[str, tuple[str, Callable[..., nn.Module]]] = {
    "resnet18_fpn": ("resnet18", peers.resnet18),
    "resnet50_fpn": ("resnet50", peers.resnet50),
    "resnet50_fpn_v2": ("resnet50", peers.resnet50),
    "resnet101_fpn": ("resnet101", peers.resnet101),
    "mobilenet_v2_fpn": ("mobilenet_v2", peers.mobilenet_v2),
    "mobilenet_v3_large_fpn": ("mobilenet_v3_large", peers.mobilenet_v3_large),
}


@torch.no_grad()
def lively(make: Callable[..., nn.Module]) -> nn.Module:
    """A classifier whose batch norm is not neutral, and whose variances make its epsilon count."""
    torch.manual_seed(0)
    network = make(num_classes=2)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            layer.weight.uniform_(0.3, 0.6)
    return network.eval()


def publish(state: dict[str, Tensor], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In place of the network: the file is there; the list of what was asked for."""
    asked: list[str] = []

    def fetch(url: str, sha256_prefix: str | None, progress: object = None) -> Path:
        asked.append(f"{url} {sha256_prefix}")
        return folder / "published.pth"

    torch.save(state, folder / "published.pth")
    monkeypatch.setattr(imagenet, "fetch", fetch)
    return asked


def last_map(network: nn.Module, pixels: Tensor) -> Tensor:
    """torchvision's features before pooling, where our bodies end."""
    if isinstance(network, peers.ResNet):
        x = network.maxpool(network.relu(network.bn1(network.conv1(pixels))))
        return network.layer4(network.layer3(network.layer2(network.layer1(x))))
    layers = network.features
    return layers(pixels)


@pytest.mark.parametrize("preset", CLASSIFIERS)
def test_published_weights_give_the_classifiers_features(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, make = CLASSIFIERS[preset]
    network = lively(make)
    asked = publish(network.state_dict(), tmp_path, monkeypatch)
    model = build(preset, CLASSES, "imagenet").eval()
    url, prefix = asked[0].split()
    assert f"/{body}-{prefix}.pth" in url
    assert (model.config.input.mean, model.config.input.std) == (MEAN, STD)
    assert model.config.backbone.frozen_stages == load_preset(preset).model.backbone.frozen_stages
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(model.backbone.body(pixels)[-1], last_map(network, pixels), rtol=1e-3, atol=1e-4)


def test_a_c4_head_takes_the_last_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = lively(peers.resnet50)
    publish(network.state_dict(), tmp_path, monkeypatch)
    model = build("resnet50_c4", CLASSES, "imagenet").eval()
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        features = model.head.hidden(model.backbone(pixels)[0])
        torch.testing.assert_close(features, last_map(network, pixels).mean(dim=(2, 3)), rtol=1e-3, atol=1e-4)


def test_vgg16_takes_fc6_and_fc7_of_the_classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layers = peers.vgg16(init_weights=False).features
    state = {f"features.{name}": tensor for name, tensor in layers.state_dict().items()}
    for number, (rows, columns) in {0: (4096, 512 * 49), 3: (4096, 4096), 6: (1000, 4096)}.items():
        state[f"classifier.{number}.weight"] = torch.arange(float(rows))[:, None].expand(rows, columns)
        state[f"classifier.{number}.bias"] = torch.arange(float(rows)) + number
    publish(state, tmp_path, monkeypatch)
    model = build("vgg16", CLASSES, "imagenet").eval()
    fc6, fc7 = (layer for layer in model.head.hidden if isinstance(layer, nn.Linear))
    assert torch.equal(fc6.weight[:, -1], torch.arange(4096.0))
    assert torch.equal(fc7.bias, torch.arange(4096.0) + 3)
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(model.backbone(pixels)[0], layers[:30](pixels), rtol=1e-3, atol=1e-4)


def test_the_real_file(shared: Path) -> None:
    """Its metadata say what it expects, and its features are an ImageNet network's: sparse, of moderate size."""
    path = shared / "data" / "weights" / "mobilenet_v2_imagenet.safetensors"
    model = build("mobilenet_v2_fpn", CLASSES, path)
    assert model.config.input.mean == model.config.input.std == (0.5, 0.5, 0.5)
    assert (model.config.input.channel_order, model.config.input.pixel_scale) == ("rgb", 1.0)
    assert model.config.backbone.stride_padding == "bottom_right"
    with torch.no_grad():
        coarsest = model.backbone.body(torch.rand(1, 3, 128, 160) * 2 - 1)[-1]
    assert 0.5 < float(coarsest.std()) < 10


def small_file(folder: Path, metadata: dict[str, str] | None = None, **changes: Tensor | None) -> Path:
    state = peers.resnet18(num_classes=2).state_dict() | changes
    path = folder / "weights.safetensors"
    save_file({name: tensor for name, tensor in state.items() if tensor is not None}, path, metadata)
    return path


def test_a_pth_file_has_torchvisions_input(tmp_path: Path) -> None:
    torch.save(peers.resnet18(num_classes=2).state_dict(), tmp_path / "weights.pth")
    model = build("resnet18_fpn", CLASSES, tmp_path / "weights.pth", input={"short_side": 224})
    assert (model.config.input.mean, model.config.input.std, model.config.input.short_side) == (MEAN, STD, 224)


def test_a_file_says_what_input_it_expects(tmp_path: Path) -> None:
    """Caffe's weights, for example."""
    mean = (102.9801, 115.9465, 122.7717)
    metadata = {"mean": str(list(mean)), "std": "[1, 1, 1]", "channel_order": '"bgr"', "pixel_scale": "255"}
    rule = build("resnet18_fpn", CLASSES, small_file(tmp_path, metadata)).config.input
    assert (rule.mean, rule.std, rule.channel_order, rule.pixel_scale) == (mean, (1, 1, 1), "bgr", 255)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"input": "BGR, who knows"}, "input = 'BGR, who knows'"),
        ({"mean": "half"}, "must be JSON"),
        ({"channel_order": '"grb"'}, "channel_order"),
    ],
)
def test_metadata_that_say_nonsense(tmp_path: Path, metadata: dict[str, str], reason: str) -> None:
    assert_one_line(small_file(tmp_path, metadata), reason, named=reason != "channel_order")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layer5.weight": torch.zeros(1)}, "'layer5.weight' is not known"),
        ({"layer1.0.conv1.weight": None}, "'stages.1.0.conv1.weight' is missing"),
        ({"conv1.weight": torch.zeros(64, 1, 7, 7)}, "'stages.0.0.weight' is (64, 1, 7, 7)"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, changes: dict[str, Tensor | None], reason: str) -> None:
    assert_one_line(small_file(tmp_path, **changes), reason)


def assert_one_line(path: Path, reason: str, named: bool = True) -> None:
    with pytest.raises(FrcnnError) as caught:
        build("resnet18_fpn", CLASSES, path)
    message = str(caught.value)
    assert "\n" not in message
    assert reason in message
    assert str(path) in message or not named


def test_weights_of_another_body(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="another network"):
        build("mobilenet_v2_fpn", CLASSES, small_file(tmp_path))


def test_no_such_file() -> None:
    with pytest.raises(ModelFileError, match="imagnet: no such file"):
        build("resnet18_fpn", CLASSES, "imagnet")


def test_bodies_without_published_weights() -> None:
    for body in ("zf", "tiny"):
        with pytest.raises(UsageError, match=f"{body} has no published ImageNet weights"):
            read_backbone_weights("imagenet", body)


def test_a_file_with_our_own_names_serves_any_body(tmp_path: Path) -> None:
    first = build("tiny", CLASSES)
    save_file(dict(first.backbone.body.state_dict()), tmp_path / "tiny.safetensors")
    second = build("tiny", CLASSES, tmp_path / "tiny.safetensors")
    for name, tensor in second.backbone.body.state_dict().items():
        assert torch.equal(tensor, first.backbone.body.state_dict()[name])
