import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import MultiScaleRoIAlign

from frcnn.config import load_preset
from frcnn.model.head import (
    RegionHead,
    chances_of,
    denormalise_deltas,
    detect,
    head_losses,
    normalise_deltas,
    pool_regions,
    pyramid_level,
    sample_proposals,
    two_fully_connected,
)
from frcnn.ops.coding import decode, encode
from frcnn.structures import Target

PAPER, MODERN = load_preset("vgg16").model.head, load_preset("resnet50_fpn").model.head


def boxes(count: int, seed: int = 0, side: float = 400.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 300
    return torch.cat((corner, corner + 5 + side * torch.rand(count, 2, generator=generator) ** 2), dim=1)


def test_level_by_hand():
    """Row 33: 224 px at stride 16, one level down per halving, clamped."""
    squares = [[0.0, 0, s, s] for s in (10, 56, 111.9, 112, 223.9, 224, 448, 2000)]
    assert pyramid_level(torch.tensor(squares), (4, 8, 16, 32)).tolist() == [0, 0, 0, 1, 1, 2, 3, 3]
    assert pyramid_level(torch.tensor(squares), (32, 32)).tolist() == [0] * 8  # torchvision's MobileNet
    assert pyramid_level(torch.tensor(squares), (4, 8, 16, 32), 56.0).tolist() == [0, 2, 2, 3, 3, 3, 3, 3]


def test_levels_and_regions_against_torchvision():
    """Rows 6 and 33."""
    torch.manual_seed(0)
    pyramid = [torch.randn(2, 4, 800 // s, 800 // s) for s in (4, 8, 16, 32)]
    of_pictures = [boxes(30), boxes(20, seed=1)]
    peer = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    wanted = peer({str(i): f for i, f in enumerate(pyramid)}, of_pictures, [(800, 800)] * 2)
    assert_close(pool_regions(pyramid, (4, 8, 16, 32), of_pictures, MODERN), wanted)


def test_no_regions():
    pyramid = [torch.randn(1, 4, 20, 20), torch.randn(1, 4, 10, 10)]
    assert pool_regions(pyramid, (8, 16), [torch.zeros(0, 4)], MODERN).shape == (0, 4, 7, 7)


def test_targets_by_hand_at_values_that_are_no_defaults():
    """Row 9: a sign slip hides behind a mean of 0."""
    config = PAPER.model_copy(update={"delta_mean": (0.1, -0.2, 0.3, -0.4), "delta_std": (0.5, 0.25, 2.0, 4.0)})
    deltas = torch.tensor([[0.6, 0.3, 2.3, 3.6]])
    assert_close(normalise_deltas(deltas, config), torch.tensor([[1.0, 2.0, 1.0, 1.0]]))
    assert_close(denormalise_deltas(normalise_deltas(deltas, config), config), deltas)


def test_standard_deviations_are_torchvision_s_weights():
    """Row 9: .1 .1 .2 .2 and 10 10 5 5 are the same thing."""
    reference, truth = boxes(10), boxes(10, seed=1)
    weights = (10.0, 10.0, 5.0, 5.0)
    assert_close(normalise_deltas(encode(reference, truth), PAPER), encode(reference, truth, weights))
    deltas = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    assert_close(
        decode(reference, denormalise_deltas(deltas, PAPER)), decode(reference, deltas, weights), rtol=1e-4, atol=1e-3
    )


def test_sampled_proposals():
    """Rows 17 and 19: positives first, a quarter at most; the ground truth is among them."""
    truth = Target(torch.tensor([[0.0, 0, 100, 100]]), torch.tensor([3]))
    near = torch.tensor([[0.0, 0, 100, 100 - i] for i in range(40)])
    far = torch.tensor([[200.0, 0, 300, 100 + i] for i in range(200)])
    samples = sample_proposals(torch.cat((near, far)), truth, PAPER, background=20)
    assert len(samples.boxes) == 128
    assert (samples.class_ids[:32] == 3).all()
    assert (samples.class_ids[32:] == 20).all()
    assert not samples.deltas[32:].any()
    recovered = decode(samples.boxes[:32], denormalise_deltas(samples.deltas[:32], PAPER))
    assert_close(recovered, truth.boxes.expand(32, 4), rtol=1e-4, atol=1e-3)


def test_mini_batch_sizes():
    """Row 17: 128 and 512, a quarter foreground."""
    assert (PAPER.samples_per_image, PAPER.foreground_fraction) == (128, 0.25)
    assert (MODERN.samples_per_image, MODERN.foreground_fraction) == (512, 0.25)


def test_ground_truth_joins_the_proposals():
    """Row 19: it is all there is when the RPN finds nothing."""
    truth = Target(torch.tensor([[10.0, 10, 50, 50]]), torch.tensor([1]))
    assert sample_proposals(torch.zeros(0, 4), truth, PAPER, background=2).class_ids.tolist() == [1]
    without = PAPER.model_copy(update={"add_ground_truth": False})
    assert len(sample_proposals(torch.zeros(0, 4), truth, without, background=2).class_ids) == 0


def test_background_range_is_a_setting():
    """Row 18."""
    truth = Target(torch.tensor([[0.0, 0, 100, 100]]), torch.tensor([0]))
    proposals = torch.tensor([[300.0, 300, 400, 400], [60.0, 0, 160, 100]])  # IoU 0 and .25
    only_near = PAPER.model_copy(update={"background_above": 0.1, "add_ground_truth": False})
    assert sample_proposals(proposals, truth, only_near, background=1).boxes.tolist() == [[60, 0, 160, 100]]


def test_a_picture_without_objects_is_background():
    """Row 30."""
    empty = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    samples = sample_proposals(boxes(5), empty, PAPER, background=7)
    assert samples.class_ids.tolist() == [7] * 5


def test_losses_against_torchvision():
    """Row 8, modern: beta 1/9, both over all samples; torchvision's background is its first column."""
    torch.manual_seed(0)
    logits, deltas, wanted = torch.randn(30, 4), torch.randn(30, 3, 4), torch.randn(30, 4)
    class_ids = torch.randint(0, 4, (30,))
    theirs = fastrcnn_loss(
        torch.cat((logits[:, 3:], logits[:, :3]), 1),
        F.pad(deltas.flatten(1), (4, 0)),
        [(class_ids + 1) % 4],
        [wanted],
    )
    assert_close(head_losses(logits, deltas, class_ids, wanted, 1 / 9), theirs)


def test_paper_beta_is_one():
    """Row 8."""
    assert (PAPER.box_beta, load_preset("vgg16").model.rpn.box_beta) == (1.0, pytest.approx(1 / 9))
    _, box = head_losses(
        torch.zeros(1, 2), torch.full((1, 1, 4), 0.5), torch.tensor([0]), torch.zeros(1, 4), PAPER.box_beta
    )
    assert box.item() == pytest.approx(4 * 0.125)


def test_box_loss_is_of_the_true_class_alone():
    deltas = torch.zeros(2, 3, 4, requires_grad=True)
    _, box = head_losses(torch.zeros(2, 4), deltas, torch.tensor([1, 3]), torch.ones(2, 4), 1.0)
    box.backward()
    assert deltas.grad is not None
    assert deltas.grad.abs().sum(dim=2).nonzero().tolist() == [[0, 1]]


def test_no_regions_have_losses_of_zero():
    """Row 30: not NaN."""
    logits, deltas = torch.zeros(0, 4, requires_grad=True), torch.zeros(0, 3, 4, requires_grad=True)
    losses = head_losses(logits, deltas, torch.zeros(0, dtype=torch.long), torch.zeros(0, 4), 1.0)
    assert [loss.item() for loss in losses] == [0.0, 0.0]
    sum(losses).backward()


def test_detections_by_hand():
    """Row 22: above .05, NMS within a class, the best first."""
    proposals = torch.tensor([[0.0, 0, 50, 50], [0, 0, 50, 48], [60, 60, 90, 95]])
    scores = torch.tensor([[0.6, 0.3, 0.1], [0.5, 0.05, 0.45], [0.04, 0.9, 0.06]])
    found, score, class_id = detect(scores.log(), torch.zeros(3, 2, 4), proposals, (90, 90), PAPER)
    assert class_id.tolist() == [1, 0, 1]
    assert_close(score, torch.tensor([0.9, 0.6, 0.3]))
    assert_close(found[0], torch.tensor([60.0, 60, 90, 90]))  # clipped


def test_at_most_a_hundred():
    """Row 22."""
    corner = torch.arange(300.0)[:, None] * 20
    proposals = torch.cat((corner, corner * 0, corner + 10, corner * 0 + 10), dim=1)
    logits = torch.tensor([[2.0, 0.0]]).expand(300, 2)
    assert len(detect(logits, torch.zeros(300, 1, 4), proposals, (10, 7000), PAPER)[1]) == 100
    assert (PAPER.score_threshold, PAPER.nms_threshold, PAPER.max_detections) == (0.05, 0.3, 100)
    assert (MODERN.score_threshold, MODERN.nms_threshold, MODERN.max_detections) == (0.05, 0.5, 100)


def test_tiny_detections_are_dropped_where_asked():
    """Row 21: under 1e-2 px."""
    proposals = torch.tensor([[5.0, 5, 5.005, 20], [5, 5, 20, 20]])
    logits = torch.tensor([[2.0, 0.0]]).expand(2, 2)
    assert len(detect(logits, torch.zeros(2, 1, 4), proposals, (30, 30), MODERN)[1]) == 1
    assert MODERN.min_size == 1e-2


def test_dropout_stands_after_fc6_and_fc7():
    """Row 26."""
    layers = list(two_fully_connected(8, PAPER.model_copy(update={"hidden": 16})).children())
    assert [type(layer) for layer in layers] == [
        nn.Flatten, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout,
    ]  # fmt: skip
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout)] == [0.5, 0.5]
    assert not any(isinstance(layer, nn.Dropout) for layer in two_fully_connected(8, MODERN))


@torch.no_grad()
def test_new_layers_begin_small():
    """Structures: Gaussian .01, box regressors .001, biases 0."""
    torch.manual_seed(0)
    head = RegionHead(nn.Identity(), 4096, 20)
    assert float(head.classes.weight.std()) == pytest.approx(0.01, rel=0.02)
    assert float(head.deltas.weight.std()) == pytest.approx(0.001, rel=0.02)
    assert not head.classes.bias.any()
    assert not head.deltas.bias.any()
    hidden = two_fully_connected(8, MODERN)[1]
    assert float(hidden.weight.std()) == pytest.approx(math.sqrt(2 / (8 * 49)), rel=0.02)  # He normal


def test_the_millionth_stands_outside_the_logarithm():
    """Row 33: a hair below 224 px already counts as 224; with 1e-8 inside the logarithm it would not."""
    side = 223.9999
    assert math.floor(4 + math.log2(side / 224 + 1e-8)) == 3
    assert pyramid_level(torch.tensor([[0.0, 0, side, side]]), (4, 8, 16, 32)).tolist() == [2]


def test_regions_to_ignore_give_no_background():
    """Row 23: a proposal with half its area on an ignored object is not sampled."""
    crowd = Target(torch.tensor([[0.0, 0, 100, 100]]), torch.tensor([0]), torch.tensor([True]))
    proposals = torch.tensor([[0.0, 0, 20, 20], [90, 0, 110, 20], [91, 0, 111, 20], [200, 0, 220, 20]])
    samples = sample_proposals(proposals, crowd, PAPER, background=1)
    assert sorted(samples.boxes[:, 0].tolist()) == [91, 200]
    assert samples.class_ids.tolist() == [1, 1]


def test_what_regions_should_say_carries_no_gradient():
    """Row 7: joint training is given proposals without a gradient; one that has it hands it on by its place alone."""
    truth = Target(torch.tensor([[0.0, 0, 100, 100]]), torch.tensor([0]))
    proposal = torch.tensor([[0.0, 0, 90, 95]], requires_grad=True)
    assert not sample_proposals(proposal.detach(), truth, PAPER, background=1).boxes.requires_grad
    samples = sample_proposals(proposal, truth, PAPER, background=1)
    assert not samples.deltas.requires_grad
    samples.boxes.sum().backward()
    assert proposal.grad.tolist() == [[1.0] * 4]


def test_a_box_that_is_none_has_a_level_and_reads_nothing():
    boxes = torch.tensor([[0.0, 0, 30, 30], [float("nan")] * 4])
    assert pyramid_level(boxes, (4, 8, 16)).tolist() == [0, 0]
    pyramid = [torch.ones(1, 8, size, size) for size in (32, 16, 8)]
    regions = pool_regions(pyramid, (4, 8, 16), [boxes], load_preset("tiny").model.head)
    assert_close(regions[0], torch.ones(8, 7, 7))
    assert not regions[1].any()


def test_dropping_a_proposal_changes_no_other_s_chance():
    """Rounding may make one proposal more or less: the others and the objects are drawn as before."""
    anchors = torch.tensor([17, 3, 99, 42, 5])
    drawn = chances_of(anchors, 100, 2, torch.Generator().manual_seed(3))
    assert drawn.shape == (7,)
    assert len(drawn.unique()) == 7
    assert drawn.dtype == torch.float64  # in float32 two of many would be the same
    for dropped in range(5):
        keep = torch.arange(5) != dropped
        fewer = chances_of(anchors[keep], 100, 2, torch.Generator().manual_seed(3))
        assert torch.equal(fewer, torch.cat((drawn[:5][keep], drawn[5:])))
    swapped = chances_of(anchors.flip(0), 100, 2, torch.Generator().manual_seed(3))
    assert torch.equal(swapped, torch.cat((drawn[:5].flip(0), drawn[5:])))
    assert not torch.equal(chances_of(anchors, 100, 2, torch.Generator().manual_seed(4)), drawn)


def test_the_smallest_chances_are_sampled():
    """By hand: one region in two may be an object; the objects' own chances stand behind the proposals'."""
    truth = Target(torch.tensor([[0.0, 0, 100, 100]]), torch.tensor([4]))
    near = [[0.0, 0, 100, 100 - i] for i in range(1, 4)]
    far = [[200.0, 0, 300, 100 + i] for i in range(4)]
    chances = torch.tensor([0.5, 0.1, 0.9, 0.7, 0.2, 0.3, 0.8, 0.4])
    config = PAPER.model_copy(update={"samples_per_image": 4, "foreground_fraction": 0.5})
    samples = sample_proposals(torch.tensor(near + far), truth, config, background=9, chances=chances)
    assert samples.boxes.tolist() == [near[1], [0, 0, 100, 100], far[1], far[2]]
    assert samples.class_ids.tolist() == [4, 4, 9, 9]
    without = config.model_copy(update={"add_ground_truth": False})
    samples = sample_proposals(torch.tensor(near + far), truth, without, background=9, chances=chances)
    assert samples.boxes.tolist() == [near[1], near[0], far[1], far[2]]
