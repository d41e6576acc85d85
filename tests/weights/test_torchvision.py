"""Our networks with torchvision's weights give torchvision's results: detections, losses and gradients."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
import torchvision.models.detection as peers
from lively import enliven, pictures
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import mobilenet_backbone, resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from frcnn.config import load_preset, override_sections
from frcnn.errors import FrcnnError, ModelFileError, UsageError
from frcnn.model import detector, head, rpn
from frcnn.model.detector import FasterRCNN
from frcnn.model.zoo import build_from_config
from frcnn.structures import Target
from frcnn.weights.keys import rename_keys
from frcnn.weights.torchvision import convert_state, detector_rules, from_torchvision

CLASSES = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu")
PEERS: dict[str, Callable[..., peers.FasterRCNN]] = {
    "resnet50_fpn": peers.fasterrcnn_resnet50_fpn,
    "resnet50_fpn_v2": peers.fasterrcnn_resnet50_fpn_v2,
    "mobilenet_v3_large_fpn": peers.fasterrcnn_mobilenet_v3_large_fpn,
    "mobilenet_v3_large_320_fpn": peers.fasterrcnn_mobilenet_v3_large_320_fpn,
}
LAST = "roi_heads.box_predictor.cls_score.bias"
REGIONS = 32  # a picture, in training: enough, and a fraction of the time
FULL_SIZE = {"mobilenet_v3_large_320_fpn": (320, 640)}  # the others: 800, 1333


@dataclass
class Pair:
    """The same weights in torchvision's network and in ours."""

    peer: peers.FasterRCNN
    ours: FasterRCNN


def make_pair(preset: str, sides: tuple[int, int], proposals: int | None = None) -> Pair:
    """A network of torchvision's with lively weights from a seed, and ours with the same.

    `sides`: the short side of the input, and the bound on the long one. `proposals`: fewer than the preset has.
    """
    torch.manual_seed(0)
    limit = {} if proposals is None else {"rpn_post_nms_top_n_test": proposals}
    make = partial(PEERS[preset], weights=None, weights_backbone=None, num_classes=len(CLASSES) + 1)
    small = make(min_size=192, max_size=320, rpn_post_nms_top_n_test=150)
    enliven(small)
    peer = make(min_size=sides[0], max_size=sides[1], **limit)
    peer.load_state_dict(small.state_dict())
    ours = from_torchvision(peer.state_dict(), preset, CLASSES)
    sections = {"input": {"short_side": sides[0], "long_side": sides[1]}}
    if proposals is not None:
        sections["rpn"] = {"after_nms_test": proposals}
    ours.config = override_sections(ours.config, sections)
    return Pair(peer.eval(), ours)


def some_slow(*slow: str) -> list:
    """The four presets, of which these take more than a few seconds."""
    return [pytest.param(preset, marks=pytest.mark.slow) if preset in slow else preset for preset in PEERS]


@torch.no_grad()
def unmatched(pair: Pair, images: list[Tensor]) -> list[int]:
    """How many detections of each picture lack their like: the same class, the box within .01 px, the score 1e-4."""
    counts = []
    for ours, theirs in zip(pair.ours(images), pair.peer(images), strict=True):
        assert len(ours) == len(theirs["scores"]) >= 50
        assert len(ours.class_ids.unique()) >= 3
        alike = ours.class_ids[:, None] == theirs["labels"] - 1
        alike &= (ours.boxes[:, None] - theirs["boxes"]).abs().amax(dim=2) <= 0.01
        alike &= (ours.scores[:, None] - theirs["scores"]).abs() <= 1e-4
        counts.append(max(int((~alike.any(dim=axis)).sum()) for axis in (0, 1)))
    return counts


@pytest.mark.parametrize("preset", some_slow("resnet50_fpn", "resnet50_fpn_v2"))
def test_detections_are_torchvisions(preset: str) -> None:
    """All of them in float64; in float32 rounding may decide a tie: an IoU at the threshold, the hundredth place."""
    pair = make_pair(preset, (192, 320), proposals=150)
    assert max(unmatched(pair, pictures())) <= 5
    pair.peer.double(), pair.ours.double()
    images = [image.double() for image in pictures()]
    for image in images:
        assert unmatched(pair, [image]) == [0]
    assert unmatched(pair, images) == [0, 0, 0]
    assert unmatched(pair, [images[0].transpose(1, 2)]) == [0]  # tall


@pytest.mark.slow
@pytest.mark.parametrize("preset", PEERS)
def test_detections_are_torchvisions_at_full_size(preset: str) -> None:
    pair = make_pair(preset, FULL_SIZE.get(preset, (800, 1333)))
    pair.peer.double(), pair.ours.double()
    assert unmatched(pair, [image.double() for image in pictures()]) == [0, 0, 0]


@pytest.mark.parametrize("preset", some_slow("resnet50_fpn", "resnet50_fpn_v2"))
def test_losses_and_gradients_are_torchvisions(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64, where no rounding error flips a ReLU: it is the same function, not nearly the same."""
    pair = make_pair(preset, (320, 533), proposals=150)
    pair.ours.config = override_sections(pair.ours.config, {"head": {"samples_per_image": REGIONS}})
    images, targets = [image.double() for image in pictures(((240, 320), (240, 291)))], objects()
    theirs, proposals = peer_losses(pair, images, targets)
    give_ours_the_same(proposals, monkeypatch)
    ours = pair.ours.double().train()(images, targets)

    expected = {
        "rpn_objectness": theirs["loss_objectness"],
        "rpn_box": theirs["loss_rpn_box_reg"],
        "head_class": theirs["loss_classifier"],
        "head_box": theirs["loss_box_reg"],
        "total": sum(theirs.values()),
    }
    assert all(loss > 0 for loss in expected.values())
    for name, loss in ours.as_dict().items():
        torch.testing.assert_close(loss, expected[name].detach(), rtol=1e-5, atol=0, check_dtype=False)
    ours.total().backward()
    sum(theirs.values()).backward()
    assert_same_gradients(pair)


def objects() -> list[Target]:
    """Small and large, several of a class, one picture with a single one."""
    first = torch.tensor([[10.0, 20, 90, 160], [100, 30, 300, 230], [200, 10, 230, 34], [5, 100, 120, 230]])
    second = torch.tensor([[20.0, 40, 180, 220]])
    return [Target(first, torch.tensor([0, 3, 6, 3])), Target(second, torch.tensor([2]))]


def peer_losses(pair: Pair, images: list[Tensor], targets: list[Target]) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Their four losses, with batch norm as ours has it, and the proposals that they used."""
    pair.peer.double().train()
    if pair.ours.config.backbone.batch_norm == "frozen":
        for layer in pair.peer.backbone.body.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
    pair.peer.rpn.fg_bg_sampler = FirstOfEach(256, 0.5)
    pair.peer.roi_heads.fg_bg_sampler = FirstOfEach(REGIONS, 0.25)
    proposals: list[Tensor] = []
    hook = pair.peer.rpn.register_forward_hook(lambda _module, _inputs, output: proposals.extend(output[0]))
    losses = pair.peer(images, [{"boxes": t.boxes, "labels": t.class_ids + 1} for t in targets])
    hook.remove()
    return losses, proposals


@dataclass
class FirstOfEach:
    """In place of torchvision's random sampler: the first positives and the first negatives."""

    size: int
    fraction: float

    def __call__(self, labels_of_pictures: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        masks: tuple[list[Tensor], list[Tensor]] = ([], [])
        for labels in labels_of_pictures:
            chosen = first_of_each(labels.clamp(max=1).long(), size=self.size, positive_fraction=self.fraction)
            for of_pictures, index in zip(masks, chosen, strict=True):
                of_pictures.append(torch.zeros_like(labels, dtype=torch.uint8).index_fill(0, index, 1))
        return masks


def first_of_each(
    verdict: Tensor,
    *,
    size: int,
    positive_fraction: float,
    generator: torch.Generator | None = None,
    chances: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """In place of our random sampler."""
    positive = (verdict == 1).nonzero().squeeze(1)[: int(size * positive_fraction)]
    return positive, (verdict == 0).nonzero().squeeze(1)[: size - len(positive)]


def give_ours_the_same(proposals: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """Torchvision's proposals, once it is clear that ours are these, and the same choice among them."""
    proposed_boxes = detector.proposed_boxes

    def checked(*arguments: object, **settings: object) -> list[Tensor]:
        torch.testing.assert_close(proposed_boxes(*arguments, **settings), proposals, rtol=0, atol=1e-3)
        return proposals

    monkeypatch.setattr(detector, "proposed_boxes", checked)
    for room in (rpn, head):
        monkeypatch.setattr(room, "sample", first_of_each)


def assert_same_gradients(pair: Pair) -> None:
    """Within 1e-4 of each tensor's largest entry, for every tensor that ours trains."""
    gradients = {name: value.grad for name, value in pair.peer.named_parameters() if value.grad is not None}
    theirs = convert_state(gradients, pair.ours.config, len(CLASSES))
    trained = {name: value for name, value in pair.ours.named_parameters() if value.requires_grad}
    assert len(trained) > 30
    for name, value in trained.items():
        assert value.grad is not None
        largest = float(theirs[name].abs().max())
        assert largest > 0
        assert float((value.grad - theirs[name]).abs().max()) <= 1e-4 * largest, name


@pytest.mark.parametrize("preset", ["resnet18_fpn", "resnet50_fpn", "resnet101_fpn", "mobilenet_v3_large_fpn"])
def test_the_same_stages_are_frozen(preset: str) -> None:
    """With a trained backbone, torchvision trains 3 of 5 stages of a ResNet, 3 of 6 of MobileNetV3."""
    body = load_preset(preset).model.backbone.body
    make = mobilenet_backbone if body.startswith("mobilenet") else resnet_fpn_backbone
    fpn = {"fpn": True} if body.startswith("mobilenet") else {}
    backbone = make(backbone_name=body, weights=None, trainable_layers=3, **fpn)
    frozen = {f"backbone.{name}" for name, value in backbone.named_parameters() if not value.requires_grad}
    model = build_from_config(load_preset(preset).model, CLASSES)
    ours = {name for name, value in model.named_parameters() if not value.requires_grad}
    renamed = rename_keys(dict.fromkeys(frozen, torch.zeros(1)), detector_rules(model.config), "peer")
    assert ours == set(renamed) != set()


@pytest.mark.parametrize(("body", "preset"), [("resnet18", "resnet18_fpn"), ("resnet101", "resnet101_fpn")])
def test_relatives_load_too(body: str, preset: str) -> None:
    backbone = resnet_fpn_backbone(backbone_name=body, weights=None)
    peer = peers.FasterRCNN(backbone, num_classes=len(CLASSES) + 1)
    ours = from_torchvision(peer.state_dict(), preset, CLASSES)
    assert not ours.training
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for own, theirs in zip(ours.backbone(pixels), peer.backbone.eval()(pixels).values(), strict=True):
            torch.testing.assert_close(own, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return PEERS["mobilenet_v3_large_fpn"](weights=None, weights_backbone=None, num_classes=8).state_dict()


def test_the_background_goes_from_first_to_last(state: dict[str, Tensor]) -> None:
    model = from_torchvision(state, "mobilenet_v3_large_fpn", CLASSES)
    theirs = state["roi_heads.box_predictor.cls_score.weight"]
    assert torch.equal(model.head.classes.weight, torch.cat((theirs[1:], theirs[:1])))
    assert torch.equal(model.head.deltas.bias, state["roi_heads.box_predictor.bbox_pred.bias"][4:])


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 1e-3])
def test_the_epsilon_is_what_was_said(state: dict[str, Tensor], epsilon: float) -> None:
    """Row 34: it is not in a state dict, and the published resnet50_fpn wants 0."""
    model = from_torchvision(state, "mobilenet_v3_large_fpn", CLASSES, batch_norm_eps=epsilon)
    assert model.config.backbone.batch_norm_eps == epsilon
    assert {layer.eps for layer in model.modules() if isinstance(layer, FrozenBatchNorm2d)} == {epsilon}


def test_older_names_are_known(state: dict[str, Tensor]) -> None:
    """Before their blocks were numbered."""
    older = {k.replace("conv.0.0.", "conv.").replace("_blocks.0.0.", "_blocks.0."): v for k, v in state.items()}
    assert older.keys() != state.keys()
    first = from_torchvision(state, "mobilenet_v3_large_fpn", CLASSES).state_dict()
    second = from_torchvision(older, "mobilenet_v3_large_fpn", CLASSES).state_dict()
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())


@pytest.mark.parametrize(
    ("preset", "classes", "change", "error", "reason"),
    [
        ("mobilenet_v3_large_fpn", CLASSES[1:], {}, ModelFileError, "for 7 classes (and the background), but 6"),
        ("mobilenet_v3_large_fpn", (*CLASSES[1:], "bee"), {}, UsageError, "'bee' is there twice"),
        ("resnet50_fpn", CLASSES, {}, ModelFileError, "these are weights of another network"),
        ("vgg16", CLASSES, {}, UsageError, "no torchvision counterpart: use one of resnet18_fpn, "),
        ("mobilenet_v3_large_fpn", CLASSES, {"new": torch.zeros(1)}, ModelFileError, "'new' is not known"),
        ("mobilenet_v3_large_fpn", CLASSES, {"rpn.head.bbox_pred.bias": None}, ModelFileError, "is missing"),
        (
            "mobilenet_v3_large_fpn",
            CLASSES,
            {"roi_heads.box_predictor.cls_score.bias": None},
            ModelFileError,
            "missing",
        ),
        (
            "mobilenet_v3_large_fpn",
            CLASSES,
            {"rpn.head.bbox_pred.bias": torch.zeros(12)},
            ModelFileError,
            "'rpn.deltas.bias' is (12,), but the network has (60,)",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(
    state: dict[str, Tensor],
    preset: str,
    classes: tuple[str, ...],
    change: dict[str, Tensor | None],
    error: type[FrcnnError],
    reason: str,
) -> None:
    with pytest.raises(error) as caught:
        from_torchvision({k: v for k, v in (state | change).items() if v is not None}, preset, classes)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
