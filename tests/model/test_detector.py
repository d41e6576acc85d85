import pytest
import torch
from torch import nn
from torch.testing import assert_close

from frcnn.config import load_preset, override_sections
from frcnn.model import detector
from frcnn.model.detector import FasterRCNN
from frcnn.model.preprocess import preprocess
from frcnn.model.rpn import choose, propose, proposed_boxes
from frcnn.model.zoo import build_from_config
from frcnn.ops.boxes import clip, scale_boxes
from frcnn.structures import Losses, Target

CLASSES = ("cat", "dog", "horse")


def small_model(preset: str = "tiny", **sections) -> FasterRCNN:
    torch.manual_seed(0)
    return build_from_config(override_sections(load_preset(preset).model, sections), CLASSES)


def lively(model: FasterRCNN) -> FasterRCNN:
    """Larger output weights, so that scores and boxes differ from picture to picture."""
    with torch.no_grad():
        for layer, spread in ((model.head.classes, 0.5), (model.head.deltas, 0.05), (model.rpn.objectness, 0.5)):
            nn.init.normal_(layer.weight, std=spread, generator=torch.Generator().manual_seed(1))
    return model.eval()


def pictures(*sizes):
    generator = torch.Generator().manual_seed(5)
    return [torch.rand(3, *size, generator=generator) for size in sizes]


def target(*boxes, class_id: int = 1) -> Target:
    return Target(torch.tensor(boxes).float().reshape(-1, 4), torch.full((len(boxes),), class_id))


EMPTY = target()
FIRST_LOSSES = {"rpn_objectness": 0.69464, "rpn_box": 0.00248, "head_class": 1.33255, "head_box": 0.05591}


@pytest.mark.parametrize("training", [True, False])
def test_arguments_decide_what_is_returned_never_the_mode(training):
    """Users' row 11: losses in eval mode too; `train` and `eval` only switch layers."""
    model = small_model().train(training)
    images = pictures((96, 128))
    with torch.no_grad():
        assert isinstance(model(images, [target((10, 10, 60, 70))]), Losses)
        (detections,) = model(images)
    assert detections.class_names == CLASSES
    assert model.training == training


def test_gradient_reaches_every_parameter_and_inputs_stay():
    model = small_model()
    images = pictures((96, 128), (128, 96))
    before = [image.clone() for image in images]
    losses = model(images, [target((10, 10, 60, 70), (30, 30, 50, 90)), EMPTY])
    losses.total().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []
    assert all(torch.equal(a, b) for a, b in zip(images, before, strict=True))


@pytest.mark.parametrize("preset", ["tiny", "mobilenet_v2_c4"])
def test_a_batch_without_objects(preset):
    """Row 30: box losses exactly 0, gradients finite."""
    model = small_model(preset)
    losses = model(pictures((96, 128)), [EMPTY])
    losses.total().backward()
    assert losses.rpn_box.item() == losses.head_box.item() == 0.0
    assert losses.head_class.item() > 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@torch.no_grad()
def test_a_batch_equals_single_runs():
    """Row 32, "exact" padding: pictures are grouped by size, so nobody sees another's padding."""
    model = lively(small_model())
    images = pictures((96, 128), (128, 96), (192, 256), (96, 128))
    together = model(images)
    for image, of_batch in zip(images, together, strict=True):
        (alone,) = model([image])
        assert len(alone) > 0
        assert_close(of_batch.boxes, alone.boxes, rtol=1e-4, atol=1e-2)  # sums in another order
        assert_close(of_batch.scores, alone.scores, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_results_depend_on_the_batch_under_torchvision_s_padding():
    """Row 32: documented, as theirs do; the anchors' strides come from the padded size."""
    model = lively(small_model(input={"padding": "torchvision"}))
    small, large = pictures((96, 128), (128, 96))
    together, alone = model([small, large])[0], model([small])[0]
    assert len(together) != len(alone) or not torch.allclose(together.boxes, alone.boxes, atol=1.0)


@torch.no_grad()
def test_boxes_are_in_the_pixels_of_each_picture():
    """Users' row 18: one visible resize; results in original pixels."""
    model = lively(small_model())
    (image,) = pictures((120, 200))
    doubled = nn.functional.interpolate(image[None], scale_factor=2, mode="nearest")[0]
    one, two = model([image])[0], model([doubled])[0]
    assert one.boxes.max() > 100  # beyond a quarter of the doubled picture
    assert one.boxes[:, 2].max() <= 200
    assert 200 < two.boxes[:, 2].max() <= 400


@torch.no_grad()
def test_flipping_the_picture_flips_the_detections():
    """By law, with convolutions that are mirrored as well; 256 px, so that strides divide the width."""
    model = lively(small_model(input={"short_side": 256, "long_side": 256}))
    for layer in model.backbone.body.modules():
        if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
            nn.init.dirac_(layer.weight)
            layer.stride, layer.padding = (1, 1), (1, 1)
    model.rpn.deltas.weight.zero_()
    model.head.deltas.weight.zero_()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.copy_((layer.weight + layer.weight.flip(3)) / 2)
    hidden = next(layer for layer in model.head.hidden if isinstance(layer, nn.Linear))
    weight = hidden.weight.unflatten(1, (-1, 7, 7))
    hidden.weight.copy_(((weight + weight.flip(3)) / 2).flatten(1))
    model.backbone.strides = (1,) * len(model.backbone.strides)  # no map is smaller than the picture any more
    pyramid = model.backbone(model_pixels := torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    mirrored = model.backbone(model_pixels.flip(3))
    for level, other in zip(pyramid[:3], mirrored[:3], strict=True):
        assert_close(level.flip(3), other, rtol=1e-4, atol=1e-4)
        boxes, flipped = torch.tensor([[3.0, 4, 20, 30]]), torch.tensor([[12.0, 4, 29, 30]])
        regions = model._pool([level] * 4, [boxes])
        assert_close(regions.flip(3), model._pool([other] * 4, [flipped]), rtol=1e-4, atol=1e-4)
        assert_close(model.head(regions)[0], model.head(regions.flip(3))[0], rtol=1e-4, atol=1e-4)


def test_the_generator_alone_decides_the_samples():
    model = small_model(head={"samples_per_image": 4}, rpn={"samples_per_image": 8}).eval()
    images, targets = pictures((96, 128)), [target((10, 10, 60, 70))]
    with torch.no_grad():
        draws = [model(images, targets, torch.Generator().manual_seed(seed)).total() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_low_precision_keeps_boxes_and_losses_in_float32():
    """Row 28."""
    model = small_model().eval()
    images, targets = pictures((96, 128)), [target((10, 10, 60, 70))]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        losses, (found,) = model(images, targets), model(images)
    assert {loss.dtype for loss in losses.as_dict().values()} == {torch.float32}
    assert found.boxes.dtype == found.scores.dtype == torch.float32


@torch.no_grad()
def test_nothing_found_and_no_pictures():
    model = small_model(head={"score_threshold": 1.0}).eval()
    (found,) = model(pictures((96, 128)))
    assert (len(found), found.boxes.shape) == (0, (0, 4))
    assert model([]) == []


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([target((1, 1, 5, 5), class_id=3)], "class ids must be 0 to 2"),
        ([target((1, 1, 5, 5), class_id=-1)], "class ids must be 0 to 2"),
        ([EMPTY, EMPTY], "1 images but 2 targets"),
    ],
)
def test_wrong_targets_fail_where_they_enter(targets, message):
    """Users' row 4: ranges are checked before the device sees them."""
    with pytest.raises(ValueError, match=message):
        small_model()(pictures((96, 128)), targets)


@pytest.mark.parametrize("preset", ["zf", "mobilenet_v2_fpn", "mobilenet_v3_large_320_fpn", "resnet18_fpn"])
def test_presets_run_both_ways(preset):
    model = small_model(preset, input={"short_side": 96, "long_side": 160})
    model(pictures((96, 128)), [target((10, 10, 60, 70))]).total().backward()
    with torch.no_grad():
        assert len(model.eval()(pictures((96, 128)))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["vgg16", "resnet50_c4", "resnet101_c4", "resnet101_fpn", "resnet50_fpn_v2"])
def test_large_presets_run_both_ways(preset):
    test_presets_run_both_ways(preset)


def test_first_losses_by_record():
    """The first losses of a seeded model: a change of numerics shows here, and belongs in the changelog."""
    model = small_model(head={"canonical_size": 64}).eval()
    with torch.no_grad():
        losses = model(pictures((96, 128)), [target((10, 10, 60, 70))], torch.Generator().manual_seed(0)).as_dict()
    for name, value in FIRST_LOSSES.items():
        assert losses[name].item() == pytest.approx(value, rel=5e-3), name  # five decimals are written above


def exact_and_joint(step: float = 0.0):
    """In float64, where no ReLU flips: the model, its input, and the losses of both kinds of joint training."""
    model = lively(small_model()).double()
    with torch.no_grad():
        model.rpn.deltas.bias += step
    images, targets = [image.double() for image in pictures((96, 128))], [target((10, 10, 60, 70))]

    def losses(*, movable: bool) -> Losses:
        return model(images, targets, torch.Generator().manual_seed(3), movable_proposals=movable)

    return model, losses


def test_losses_do_not_depend_on_whether_proposals_move():
    _, losses = exact_and_joint()
    joint, exact = losses(movable=False).as_dict(), losses(movable=True).as_dict()
    for name, value in joint.items():
        assert_close(exact[name], value, rtol=0, atol=0)


def test_the_exact_gradient_is_the_joint_one_and_a_term_by_finite_differences():
    """Row 7: the classification of regions has no gradient in the RPN's deltas but through the boxes it reads."""
    model, losses = exact_and_joint()
    (joint,) = torch.autograd.grad(losses(movable=False).head_class, model.rpn.deltas.bias, allow_unused=True)
    assert joint is None
    (exact,) = torch.autograd.grad(losses(movable=True).head_class, model.rpn.deltas.bias)
    direction, small = exact / exact.norm(), 1e-6
    with torch.no_grad():
        above = exact_and_joint(small * direction)[1](movable=True).head_class
        below = exact_and_joint(-small * direction)[1](movable=True).head_class
    assert float(exact.norm()) > 1e-4
    assert_close((above - below) / (2 * small), exact.norm(), rtol=1e-4, atol=0)  # of the second order in `small`


def test_what_the_rpn_says_of_itself_is_learnt_as_before():
    model, losses = exact_and_joint()
    weights = model.rpn.deltas.weight
    joint, exact = (torch.autograd.grad(losses(movable=m).total(), weights)[0] for m in (False, True))
    of_head = losses(movable=True)
    (term,) = torch.autograd.grad(of_head.head_class + of_head.head_box, weights)
    assert_close(exact - joint, term, rtol=1e-9, atol=1e-12)  # float64: another order of sums
    assert float(term.abs().max()) > 0


def test_regions_that_are_rounded_cannot_move():
    with pytest.raises(ValueError, match="RoIPool rounds boxes"):
        small_model(head={"pooling": "roi_pool"})(pictures((96, 128)), [EMPTY], movable_proposals=True)


@torch.no_grad()
def test_rpn_and_head_alone_have_the_losses_that_they_have_together(monkeypatch):
    """Sec. 3.2: on the RPN's own proposals, with the same draws, all in float64."""
    sections = {"rpn": {"samples_per_image": 20, "after_nms_train": 50}, "head": {"samples_per_image": 10}}
    model = lively(small_model(input={"short_side": 96, "long_side": 160}, **sections)).double()
    images = [image.double() for image in pictures((48, 64), (90, 70))]
    targets = [
        Target(torch.tensor([[5.0, 5, 30, 35], [20, 8, 60, 44]]), torch.tensor([0, 2]), torch.tensor([False, True])),
        target((10, 10, 60, 70), (30, 30, 50, 88)),
    ]
    batch, draw, drawn = preprocess(images, model.config.input), detector.chances_of, []
    monkeypatch.setattr(detector, "chances_of", lambda *arguments: drawn.append(draw(*arguments)) or drawn[-1])
    together = model.losses(batch, targets, [torch.Generator().manual_seed(seed) for seed in (3, 4)])

    pyramid = model.backbone(batch.pixels)
    anchors, output = model._anchors(pyramid, batch), model.rpn(pyramid)
    generators = [torch.Generator().manual_seed(seed) for seed in (3, 4)]
    for generator, objects in zip(generators, (1, 2), strict=True):  # the proposals' chances come first
        torch.rand(len(anchors) + objects, generator=generator, dtype=torch.float64)
    of_rpn = model.proposal_losses(batch, targets, generators)

    monkeypatch.setattr(detector, "chances_of", lambda *_: drawn.pop(0))
    chosen = choose(anchors, output, batch, model.config.rpn, training=True)
    proposals = [
        scale_boxes(boxes, tuple(1 / scale for scale in batch.scales(number)))
        for number, boxes in enumerate(proposed_boxes(anchors, output, batch, chosen, movable=False))
    ]
    of_head = model.region_losses(batch, targets, proposals)
    for loss, expected in zip((*of_rpn, *of_head), together.parts().values(), strict=True):
        assert expected > 0
        assert_close(loss, expected, rtol=1e-9, atol=0)  # boxes went to original pixels and back


@torch.no_grad()
def test_given_proposals_are_clipped_and_may_be_none():
    """A flip or a reduction may round them out of their picture."""
    model = lively(small_model()).double()
    batch = preprocess([image.double() for image in pictures((96, 128))], model.config.input)
    targets = [target((10, 10, 60, 70))]
    inside, beyond = ([torch.tensor([[40.0, 20, right, 96], [0, 0, 50, 50]])] for right in (128.0, 129.0))
    losses = [model.region_losses(batch, targets, boxes, [torch.Generator()]) for boxes in (inside, beyond)]
    assert_close(losses[0], losses[1], rtol=0, atol=0)
    alone = model.region_losses(batch, targets, [torch.zeros(0, 4)], [torch.Generator()])
    assert all(loss > 0 for loss in alone)  # the object itself


@torch.no_grad()
def test_proposals_of_pictures_are_what_the_rpn_proposes_in_each_alone():
    """Best first, in original pixels, whatever the configuration says of counts."""
    model = lively(small_model(input={"short_side": 64, "long_side": 120}))
    nn.init.normal_(model.rpn.deltas.weight, std=0.02, generator=torch.Generator().manual_seed(2))
    images, config = pictures((96, 128), (128, 80), (60, 200)), model.config
    for before_nms, after_nms in ((1000, 20), (7, 1000)):
        counts = {"before_nms_test": before_nms, "after_nms_test": after_nms}
        rpn = model.config.rpn.model_copy(update=counts)
        found = model.proposals(images, before_nms, after_nms)
        for image, boxes in zip(images, found, strict=True):
            batch = preprocess([image], model.config.input)
            pyramid = model.backbone(batch.pixels)
            (wanted,) = propose(model._anchors(pyramid, batch), model.rpn(pyramid), batch, rpn, training=False)
            y, x = batch.scales(0)
            assert_close(boxes, clip(wanted / torch.tensor([x, y, x, y]), tuple(image.shape[1:])))
            assert len(boxes) == after_nms or 0 < len(boxes) <= before_nms * len(pyramid)
    assert model.config == config
    assert model.proposals([], 10, 10) == []


@torch.no_grad()
def test_proposals_come_with_the_detections_that_were_made_from_them():
    model = lively(small_model(input={"short_side": 64, "long_side": 120}))
    images, rpn = pictures((96, 128), (128, 80)), model.config.rpn
    found = model.find(images)
    for one, detections in zip(found, model(images), strict=True):
        assert_close(one.detections.boxes, detections.boxes, rtol=0, atol=0)
    wanted = model.proposals(images, rpn.before_nms_test, rpn.after_nms_test)
    for one, alone in zip(found, wanted, strict=True):
        assert_close(one.proposals, alone)
