import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.testing import assert_close

from frcnn.config import load_preset
from frcnn.model.rpn import (
    RPNHead,
    RPNOutput,
    anchors_of,
    choose,
    propose,
    proposed_boxes,
    rpn_losses,
    spare_ignored_regions,
    trainable_anchors,
)
from frcnn.ops.boxes import box_iou
from frcnn.ops.coding import encode
from frcnn.ops.matching import IGNORED, NEGATIVE, POSITIVE
from frcnn.structures import ImageBatch, Target

PAPER, MODERN = load_preset("vgg16").model, load_preset("resnet50_fpn").model


def batch_of(image_sizes, original_sizes=None, padded=None) -> ImageBatch:
    height, width = padded or (max(s[0] for s in image_sizes), max(s[1] for s in image_sizes))
    return ImageBatch(torch.zeros(len(image_sizes), 3, height, width), image_sizes, original_sizes or image_sizes)


def target(*boxes, ignored=None) -> Target:
    corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Target(corners, torch.zeros(len(boxes), dtype=torch.long), ignored)


@pytest.mark.parametrize(("size", "grid", "total"), [((800, 800), (50, 50), 22_500), ((600, 800), (38, 50), 17_100)])
def test_anchors_of_the_paper(size, grid, total):
    """Row 15: centred on cells of 16 px."""
    anchors = anchors_of([torch.zeros(1, 512, *grid)], size, (16,), PAPER.anchors)
    assert len(anchors) == total
    assert_close((anchors[3, :2] + anchors[3, 2:]) / 2, torch.tensor([8.0, 8.0]))


def test_measured_strides():
    """Row 15, modern: P6 of 800 px has 13 cells, so its stride is 800 // 13 = 61."""
    sizes = [200, 100, 50, 25, 13]
    pyramid = [torch.zeros(1, 256, side, side) for side in sizes]
    anchors = anchors_of(pyramid, (800, 800), (4, 8, 16, 32, 64), MODERN.anchors)
    last = anchors[-13 * 13 * 3 :].view(13, 13, 3, 4)
    assert_close(last[1, 2, 1], torch.tensor([2 * 61.0 - 256, 61.0 - 256, 2 * 61.0 + 256, 61.0 + 256]))


@torch.no_grad()
def test_two_logits_are_one_sigmoid():
    """Row 16: softmax over (background, object) is the sigmoid of their difference; it starts at .5."""
    torch.manual_seed(0)
    head = RPNHead(8, 9, PAPER.rpn)
    features = torch.randn(2, 8, 5, 7)
    assert head.objectness.out_channels == 18
    hidden = F.relu(head.convolutions[0](features))
    pairs = head.objectness(hidden).unflatten(1, (2, 9))  # (N, 2, A, H, W)
    wanted = pairs.softmax(dim=1)[:, 1].permute(0, 2, 3, 1).flatten(1)
    output = head([features])
    assert_close(output.logits.sigmoid(), wanted)
    assert output.logits.sigmoid().sub(0.5).abs().max() < 0.2


@torch.no_grad()
def test_order_is_that_of_the_anchors():
    """Anchor order everywhere is (H, W, A): a bias per anchor and a ramp over the map show it."""
    head = RPNHead(1, 2, MODERN.rpn)
    torch.nn.init.zeros_(head.objectness.weight)
    torch.nn.init.zeros_(head.deltas.weight)
    head.objectness.bias.copy_(torch.tensor([1.0, 2.0]))
    head.deltas.bias.copy_(torch.arange(8.0))
    output = head([torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 1, 1)])
    assert output.logits[0, :4].tolist() == [1, 2, 1, 2]
    assert output.deltas[0, 1].tolist() == [4, 5, 6, 7]
    assert (output.level_sizes, output.num_cells) == ([12, 2], 7)


def grid_output(logits: torch.Tensor, deltas: torch.Tensor | None = None) -> RPNOutput:
    count = logits.shape[1]
    return RPNOutput(logits, torch.zeros(len(logits), count, 4) if deltas is None else deltas, [count], count)


def test_proposals_are_decoded_clipped_and_suppressed():
    anchors = torch.tensor([[-10.0, 0, 40, 50], [0, 0, 40, 50], [60, 60, 90, 90], [0, 0, 10, 90]])
    output = grid_output(torch.tensor([[3.0, 2.0, 1.0, 0.0]]))
    (proposals,) = propose(
        anchors, output, batch_of([(80, 100)]), PAPER.rpn.model_copy(update={"min_size": 15}), training=False
    )
    # the second is the first, once clipped; the last is too thin
    assert proposals.tolist() == [[0, 0, 40, 50], [60, 60, 90, 80]]


def test_counts_before_and_after_nms_depend_on_training():
    """Row 20: 12000 / 2000 in training, 6000 / 300 at test."""
    corner = torch.arange(7000.0)[:, None] * 40
    anchors = torch.cat((corner, torch.zeros_like(corner), corner + 30, torch.full_like(corner, 30.0)), dim=1)
    output = grid_output(torch.linspace(1, 0, 7000)[None])
    batch = batch_of([(30, 300_000)])
    assert len(propose(anchors, output, batch, PAPER.rpn, training=False)[0]) == 300
    assert len(propose(anchors, output, batch, PAPER.rpn, training=True)[0]) == 2000
    limits = (
        PAPER.rpn.before_nms_train,
        PAPER.rpn.after_nms_train,
        PAPER.rpn.before_nms_test,
        PAPER.rpn.after_nms_test,
    )
    assert limits == (12000, 2000, 6000, 300)


def test_smallest_proposal_is_scaled_with_the_picture():
    """Row 21: 16 px of the original picture, so 32 in the network's at twice the size."""
    anchors = torch.tensor([[0.0, 0, 31, 31], [100, 100, 132, 132]])
    output = grid_output(torch.zeros(1, 2))
    batch = batch_of([(600, 800)], original_sizes=[(300, 400)])
    assert propose(anchors, output, batch, PAPER.rpn, training=False)[0].tolist() == [[100, 100, 132, 132]]
    assert len(propose(anchors, output, batch, MODERN.rpn, training=False)[0]) == 2


def test_low_scores_are_dropped_where_asked():
    """Row 20: both MobileNets drop RPN scores below .05."""
    anchors = torch.tensor([[0.0, 0, 30, 30], [50, 50, 90, 90]])
    output = grid_output(torch.tensor([[-3.0, -2.0]]))  # sigmoid: .047, .119
    rpn = load_preset("mobilenet_v3_large_fpn").model.rpn
    assert propose(anchors, output, batch_of([(100, 100)]), rpn, training=False)[0].tolist() == [[50, 50, 90, 90]]


def test_levels_do_not_suppress_each_other():
    anchors = torch.tensor([[0.0, 0, 30, 30], [0, 0, 30, 30]])
    output = RPNOutput(torch.zeros(1, 2), torch.zeros(1, 2, 4), [1, 1], 2)
    assert len(propose(anchors, output, batch_of([(100, 100)]), MODERN.rpn, training=False)[0]) == 2


def test_proposals_carry_no_gradient():
    """Row 7: joint training treats them as given."""
    deltas = torch.zeros(1, 1, 4, requires_grad=True)
    output = RPNOutput(torch.zeros(1, 1, requires_grad=True), deltas, [1], 1)
    (proposals,) = propose(torch.tensor([[0.0, 0, 30, 30]]), output, batch_of([(50, 50)]), PAPER.rpn, training=True)
    assert not proposals.requires_grad


def test_anchors_across_the_border_are_left_out():
    """Row 11."""
    anchors = torch.tensor([[-1.0, 0, 30, 30], [0, 0, 30, 30], [70, 50, 101, 80], [70, 50, 100, 80]])
    assert trainable_anchors(anchors, (80, 100), (80, 100), PAPER.rpn).tolist() == [False, True, False, True]
    assert trainable_anchors(anchors, (80, 100), (80, 100), MODERN.rpn).all()


def test_anchors_over_the_padding_are_left_out():
    """Row 32: "exact" padding; an anchor over the border without padding behind it stays."""
    small = load_preset("mobilenet_v2_fpn").model.rpn
    anchors = torch.tensor([[-9.0, 0, 30, 30], [80, 0, 110, 30], [0, 60, 30, 90]])
    assert trainable_anchors(anchors, (80, 100), (80, 120), small).tolist() == [True, False, True]
    assert trainable_anchors(anchors, (80, 100), (90, 100), small).tolist() == [True, True, False]
    assert trainable_anchors(anchors, (80, 100), (96, 128), MODERN.rpn).all()


def test_losses_by_hand():
    """Rows 8 and 10: both over the sampled anchors, smooth L1 with beta 1/9."""
    anchors = torch.tensor([[10.0, 10, 50, 50], [60, 60, 90, 90], [0, 60, 30, 90]])
    truth = target((12, 10, 52, 50))
    logits = torch.tensor([[2.0, -1.0, 0.5]])
    objectness, box = rpn_losses(anchors, grid_output(logits), [truth], batch_of([(100, 100)]), PAPER.rpn)
    wanted = F.softplus(torch.tensor([-2.0, -1.0, 0.5])).sum() / 3
    assert_close(objectness, wanted)
    delta = encode(anchors[:1], truth.boxes)
    assert_close(box, F.smooth_l1_loss(torch.zeros(1, 4), delta, beta=1 / 9, reduction="sum") / 3)


def test_the_paper_s_own_normalisation_can_be_written_down():
    """Row 10: /256 and /2400 with lambda 10, as settings."""
    anchors = torch.tensor([[10.0, 10, 50, 50], [60, 60, 90, 90]])
    output = RPNOutput(torch.zeros(1, 2), torch.zeros(1, 2, 4), [2], 2400)
    arguments = (anchors, output, [target((12, 10, 52, 50))], batch_of([(100, 100)]))
    _, sampled = rpn_losses(*arguments, PAPER.rpn)
    exact = PAPER.rpn.model_copy(update={"box_weight": 10.0, "box_normaliser": "locations"})
    _, located = rpn_losses(*arguments, exact)
    assert_close(located, sampled * 2 * 10 / 2400)


def test_mini_batch_is_256_with_up_to_half_positive(monkeypatch):
    """Row 16."""
    seen = {}

    def record(verdict, *, size, positive_fraction, generator):
        seen.update(size=size, positive_fraction=positive_fraction)
        return (verdict == POSITIVE).nonzero()[:, 0], (verdict == NEGATIVE).nonzero()[:, 0]

    monkeypatch.setattr("frcnn.model.rpn.sample", record)
    anchors = torch.tensor([[10.0, 10, 50, 50], [60, 60, 90, 90]])
    rpn_losses(anchors, grid_output(torch.zeros(1, 2)), [target((12, 10, 52, 50))], batch_of([(100, 100)]), PAPER.rpn)
    assert seen == {"size": 256, "positive_fraction": 0.5}


@pytest.mark.parametrize("preset", ["vgg16", "resnet50_fpn"])
def test_a_picture_without_objects(preset):
    """Row 30: trained on as background; the box loss is exactly 0 and its gradient finite."""
    rpn = load_preset(preset).model.rpn
    logits, deltas = torch.zeros(1, 2, requires_grad=True), torch.zeros(1, 2, 4, requires_grad=True)
    anchors = torch.tensor([[10.0, 10, 50, 50], [60, 60, 90, 90]])
    objectness, box = rpn_losses(anchors, RPNOutput(logits, deltas, [2], 2), [target()], batch_of([(100, 100)]), rpn)
    (objectness + box).backward()
    assert box.item() == 0.0
    assert objectness.item() > 0.6
    assert deltas.grad is not None
    assert torch.isfinite(deltas.grad).all()


def test_a_batch_without_any_anchor_has_losses_of_zero():
    """Row 30: not NaN; here every anchor crosses the border."""
    anchors = torch.tensor([[-10.0, -10, 500, 500]])
    output = grid_output(torch.zeros(1, 1, requires_grad=True))
    losses = rpn_losses(anchors, output, [target((1, 1, 9, 9))], batch_of([(100, 100)]), PAPER.rpn)
    assert [loss.item() for loss in losses] == [0.0, 0.0]


def test_ignored_regions_give_no_negatives():
    """Row 23: candidates with half their area inside are spared; without ignored objects they are background."""
    candidates = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [6, 0, 16, 10], [0, 0, 10, 10]])
    verdict = torch.tensor([NEGATIVE, NEGATIVE, NEGATIVE, POSITIVE])
    crowd = target((0, 0, 10, 100), ignored=torch.tensor([True]))
    assert spare_ignored_regions(verdict, candidates, crowd).tolist() == [IGNORED, IGNORED, NEGATIVE, POSITIVE]
    assert spare_ignored_regions(verdict, candidates, target()).tolist() == verdict.tolist()


def test_ignored_objects_are_not_learnt():
    anchors = torch.tensor([[10.0, 10, 50, 50], [60, 60, 90, 90]])
    truth = target((10, 10, 50, 50), (60, 60, 90, 90), ignored=torch.tensor([True, False]))
    logits = torch.zeros(1, 2, requires_grad=True)
    objectness, _ = rpn_losses(anchors, grid_output(logits), [truth], batch_of([(100, 100)]), PAPER.rpn)
    objectness.backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] == 0  # neither object nor background
    assert logits.grad[0, 1] < 0


def test_an_object_no_anchor_overlaps_changes_nothing():
    """Row 13, through the loss."""
    anchors = torch.tensor([[10.0, 10, 50, 50], [60, 60, 90, 90]])
    assert box_iou(torch.tensor([[92.0, 0, 99, 5]]), anchors).max() == 0
    with_it, _ = rpn_losses(
        anchors, grid_output(torch.ones(1, 2)), [target((92, 0, 99, 5))], batch_of([(100, 100)]), PAPER.rpn
    )
    without, _ = rpn_losses(anchors, grid_output(torch.ones(1, 2)), [target()], batch_of([(100, 100)]), PAPER.rpn)
    assert_close(with_it, without)


@torch.no_grad()
@pytest.mark.parametrize("config", [PAPER.rpn, MODERN.rpn])
def test_the_first_probability_is_one_half(config):
    """Row 16: with one logit or two."""
    output = RPNHead(8, 3, config)([torch.zeros(1, 8, 4, 5)])
    assert (output.logits.sigmoid() == 0.5).all()


@torch.no_grad()
def test_new_layers_begin_small():
    """Structures: Gaussian, standard deviation .01, biases 0."""
    torch.manual_seed(0)
    head = RPNHead(256, 9, PAPER.rpn)
    for layer in (*head.convolutions, head.objectness, head.deltas):
        assert float(layer.weight.std()) == pytest.approx(0.01, rel=0.05)
        assert abs(float(layer.weight.mean())) < 1e-3
        assert not layer.bias.any()


@pytest.mark.parametrize("preset", ["vgg16", "zf"])
@pytest.mark.parametrize(
    ("size", "grid", "rounding", "inside"),
    [
        ((600, 800), (38, 50), "none", 5_834),
        ((800, 800), (50, 50), "none", 8_940),
        ((600, 800), (38, 50), "py-faster-rcnn", 5_944),
    ],
)
def test_anchors_that_train(preset, size, grid, rounding, inside):
    """Rows 11 and 15: the presets' own anchors, and how many of them lie within the picture."""
    model = load_preset(preset).model
    config = model.anchors.model_copy(update={"rounding": rounding})
    anchors = anchors_of([torch.zeros(1, 1, *grid)], size, (16,), config)
    assert int(trainable_anchors(anchors, size, size, model.rpn).sum()) == inside


@pytest.mark.parametrize("model", [PAPER, MODERN])
def test_anchors_across_the_border_propose(model):
    """Row 11: kept at test, and clipped."""
    anchors = torch.tensor([[-20.0, -30, 60, 70]])
    output = grid_output(torch.zeros(1, 1))
    (proposals,) = propose(anchors, output, batch_of([(80, 100)]), model.rpn, training=False)
    assert proposals.tolist() == [[0, 0, 60, 70]]


def test_padding_is_outside_the_paper_s_picture():
    """Row 32: anchors that reach into the padding cross the picture's border."""
    anchors = torch.tensor([[10.0, 0, 40, 30], [80, 0, 110, 30], [0, 60, 30, 90]])
    assert trainable_anchors(anchors, (80, 100), (120, 120), PAPER.rpn).tolist() == [True, False, False]


def test_proposals_are_clipped_to_each_picture_not_to_the_batch():
    """Row 32: the first has padding to its right, the second below."""
    anchors = torch.tensor([[10.0, 10, 200, 200]])
    batch = batch_of([(100, 60), (50, 120)], padded=(100, 120))
    first, second = propose(anchors, grid_output(torch.zeros(2, 1)), batch, PAPER.rpn, training=True)
    assert first.tolist() == [[10, 10, 60, 100]]
    assert second.tolist() == [[10, 10, 120, 50]]


def test_a_best_overlap_is_rescued_below_the_threshold():
    """Row 12, through the loss: both anchors tie for the object, at an IoU of 1/3, and both are positive."""
    anchors = torch.tensor([[0.0, 0, 40, 40], [40, 0, 80, 40], [60, 60, 90, 90]])
    logits = torch.zeros(1, 3, requires_grad=True)
    objectness, _ = rpn_losses(
        anchors, grid_output(logits), [target((20, 0, 60, 40))], batch_of([(100, 100)]), PAPER.rpn
    )
    objectness.backward()
    assert logits.grad is not None
    assert (logits.grad[0] < 0).tolist() == [True, True, False]


def test_anchors_of_a_size_are_remembered_and_never_changed():
    config, pyramid = load_preset("vgg16").model, [torch.zeros(1, 1, 6, 7)]
    first = anchors_of(pyramid, (96, 112), (16,), config.anchors)
    before = first.clone()
    assert anchors_of([torch.ones(2, 3, 6, 7)], (96, 112), (16,), config.anchors) is first
    output = RPNOutput(torch.zeros(1, 378), torch.ones(1, 378, 4), [378], 42)
    batch = ImageBatch(torch.zeros(1, 3, 96, 112), [(96, 112)], [(96, 112)])
    propose(first, output, batch, config.rpn, training=True)
    target = Target(torch.tensor([[5.0, 5, 90, 90]]), torch.tensor([0]))
    rpn_losses(first, output, [target], batch, config.rpn)
    assert torch.equal(first, before)
    assert anchors_of([torch.zeros(1, 1, 7, 6)], (112, 96), (16,), config.anchors) is not first


def test_tensors_of_an_export_are_not_remembered():
    """They hold no numbers: whoever comes next at this size would compute with nothing."""
    config = load_preset("vgg16").model.anchors
    with FakeTensorMode():
        fake = anchors_of([torch.zeros(1, 1, 5, 9)], (80, 144), (16,), config)
    assert isinstance(fake, FakeTensor)
    assert type(anchors_of([torch.zeros(1, 1, 5, 9)], (80, 144), (16,), config)) is torch.Tensor


@pytest.mark.parametrize("training", [False, True])
def test_choosing_and_decoding_are_proposing(training):
    """The boxes of the anchors that are chosen, best first; movable ones alone carry their gradient."""
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(400, 2, generator=generator) * 100 - 10
    anchors = torch.cat((corner, corner + 10 + 30 * torch.rand(400, 2, generator=generator)), dim=1)
    logits = torch.randn(2, 400, generator=generator).requires_grad_()
    deltas = (torch.randn(2, 400, 4, generator=generator) / 5).requires_grad_()
    output, batch = RPNOutput(logits, deltas, [250, 150], 40), batch_of([(90, 70), (80, 100)])
    counts = {"before_nms_train": 120, "after_nms_train": 60, "before_nms_test": 50, "after_nms_test": 30}
    config = PAPER.rpn.model_copy(update={**counts, "min_size": 8.0})
    chosen = choose(anchors, output, batch, config, training=training)
    for movable in (False, True):
        wanted = propose(anchors, output, batch, config, training=training, movable=movable)
        found = proposed_boxes(anchors, output, batch, chosen, movable=movable)
        for number, (boxes, theirs) in enumerate(zip(found, wanted, strict=True)):
            assert torch.equal(boxes, theirs)
            assert 0 < len(boxes) <= (60 if training else 30)
            assert (logits[number, chosen[number]].diff() <= 0).all()
            assert boxes.requires_grad == movable
    gradients = torch.autograd.grad(sum(boxes.square().sum() for boxes in found), (deltas, logits), allow_unused=True)
    assert gradients[1] is None
    for number, of_picture in enumerate(chosen):
        moved = gradients[0][number].any(dim=1).nonzero().squeeze(1)
        assert set(moved.tolist()) == set(of_picture.tolist())
