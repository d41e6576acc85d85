"""Recall by the first proposals: by hand, beside a slow oracle, and where there is nothing to find."""

import json

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from frcnn.config import load_preset, override_sections
from frcnn.data.dataset import Dataset, load_dataset
from frcnn.data.pictures import read_picture, to_tensor
from frcnn.errors import UsageError
from frcnn.evaluation.proposal_recall import (
    best_overlaps,
    counts_up_to,
    proposal_recall,
    recall_of,
    with_proposals,
)
from frcnn.model.detector import FasterRCNN
from frcnn.model.preprocess import preprocess
from frcnn.model.rpn import anchors_of
from frcnn.model.zoo import build_from_config
from frcnn.ops import reference
from frcnn.ops.coding import decode

NAMES = ("cat", "dog")
SMALL = {"input": {"short_side": 64, "long_side": 96}, "rpn": {"before_nms_test": 5, "after_nms_test": 3}}
SIZES = {"a": (50, 80), "b": (80, 50), "c": (60, 60), "d": (40, 70)}


@pytest.fixture
def dataset(make_voc) -> Dataset:
    """Pictures of four sizes: three objects that count, a difficult one, and a picture without any."""
    pictures = {
        "a": [("cat", (11, 6, 40, 45)), ("dog", (42, 3, 78, 30), True)],
        "b": [("dog", (5, 20, 45, 70)), ("cat", (1, 1, 12, 14))],
        "c": [],
        "d": [("cat", (30, 5, 60, 35))],
    }
    return load_dataset([make_voc(pictures, splits={"test": list(pictures)}, size=SIZES)], "test", NAMES)


def network(preset: str = "tiny", **sections) -> FasterRCNN:
    """Small, with scores and boxes that differ from anchor to anchor."""
    torch.manual_seed(0)
    model = build_from_config(override_sections(load_preset(preset).model, SMALL | sections), ("thing",))
    with torch.no_grad():
        nn.init.normal_(model.rpn.objectness.weight, std=0.5)
        nn.init.normal_(model.rpn.deltas.weight, std=0.1)
    return model.eval()


def test_best_overlaps_by_hand() -> None:
    """Two proposals: the second is better for the first object, and none reaches the third."""
    objects = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 4], [50, 50, 60, 60]])
    proposals = torch.tensor([[0.0, 0, 10, 5], [0, 0, 10, 9]])
    best = best_overlaps(objects, proposals, counts=(1, 2, 7))
    assert_close(best, torch.tensor([[0.5, 0.9, 0.9], [0.8, 0.8, 0.8], [0, 0, 0]], dtype=torch.float64))


def test_no_proposals_and_no_objects() -> None:
    boxes, nothing = torch.tensor([[0.0, 0, 10, 10]]), torch.zeros(0, 4)
    assert_close(best_overlaps(boxes, nothing, (1, 5)), torch.zeros(1, 2, dtype=torch.float64))
    assert best_overlaps(nothing, boxes, (1, 5)).shape == (0, 2)
    assert best_overlaps(nothing, nothing, (1, 5)).shape == (0, 2)


def test_recall_by_hand() -> None:
    best = torch.tensor([[0.5, 0.9], [0.2, 0.7], [0.0, 0.0], [0.62, 0.62]], dtype=torch.float64)
    found = recall_of(best, counts=(3, 8), thresholds=(0.5, 0.9, 0.95))
    assert (found.counts, found.thresholds, found.objects) == ((3, 8), (0.5, 0.9, 0.95), 4)
    assert found.recall == ((0.5, 0.75), (0, 0.25), (0, 0))
    # of the nine thresholds .5 and .55 to .6 are reached by .5 and .62; all nine, five and three by .9, .7 and .62
    assert found.average_recall == pytest.approx(((1 + 3) / 36, (9 + 5 + 3) / 36))


@pytest.mark.parametrize("tenths", range(1, 10))
def test_the_threshold_itself_is_enough(tenths: int) -> None:
    """In float32 seven tenths, for one, would be too little."""
    best = best_overlaps(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, tenths]]), (1,))
    assert recall_of(best, (1,), (tenths / 10, tenths / 10 + 1e-6)).recall == ((1,), (0,))


def test_without_objects_there_is_no_recall(make_voc) -> None:
    empty = load_dataset([make_voc({"a": []}, splits={"test": ["a"]})], "test", NAMES)
    found = proposal_recall(network(), empty, counts=(2, 4), thresholds=(0.5,))
    assert (found.recall, found.average_recall, found.objects) == (((None, None),), (None, None), 0)


@torch.no_grad()
def slow_proposals(model: FasterRCNN, image: Tensor) -> list[list[float]]:
    """All that NMS leaves of all anchors, best first, in the picture's pixels: level by level, in float64."""
    config = model.config
    batch = preprocess([image], config.input)
    pyramid = model.backbone(batch.pixels)
    height, width = batch.pixels.shape[2:]
    output = model.rpn(pyramid)
    boxes = decode(anchors_of(pyramid, (height, width), model.backbone.strides, config.anchors), output.deltas[0])
    boxes = boxes.double().clamp(min=0).minimum(torch.tensor([width, height] * 2))
    kept: list[tuple[float, list[float]]] = []
    stretch = torch.tensor([image.shape[2] / width, image.shape[1] / height] * 2)
    for of_level, logits in zip(
        boxes.split(output.level_sizes), output.logits[0].split(output.level_sizes), strict=True
    ):
        good = ((of_level[:, 2:] - of_level[:, :2]).amin(dim=1) >= config.rpn.min_size).nonzero().flatten()
        survivors = good[reference.nms(of_level[good], logits[good].double(), config.rpn.nms_threshold)]
        kept += [(float(logits[i]), (of_level[i] * stretch).tolist()) for i in survivors]
    return [box for _, box in sorted(kept, key=lambda scored: -scored[0])]


def slow_iou(a: list[float], b: list[float]) -> float:
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - across * down
    return across * down / union


def slow_recall(model: FasterRCNN, dataset: Dataset, count: int, threshold: float) -> float:
    found = objects = 0
    for example in dataset.examples:
        proposals = slow_proposals(model, to_tensor(read_picture(example.picture)))[:count]
        for box, ignored in zip(example.target.boxes.tolist(), example.target.ignored.tolist(), strict=True):
            objects += not ignored
            found += not ignored and any(slow_iou(box, proposal) >= threshold for proposal in proposals)
    return found / objects


@pytest.mark.parametrize("preset", ["tiny", "mobilenet_v2_c4"])
def test_recall_equals_a_slow_count(preset: str, dataset: Dataset) -> None:
    """More proposals than the model's own three from five, fewer than there are, and more than there are."""
    model = network(preset)
    counts, thresholds = (40, 1, 8, 5000), (0.2, 0.45, 0.6)  # low: the network is untrained
    found = proposal_recall(model, dataset, counts, thresholds)
    slow = [[slow_recall(model, dataset, count, threshold) for count in counts] for threshold in thresholds]
    assert found.objects == 4
    assert_close(torch.tensor(found.recall), torch.tensor(slow))
    assert 0 < sum(map(sum, slow)) < len(counts) * len(thresholds)


def test_recall_rises_with_the_count_and_falls_with_the_threshold(dataset: Dataset) -> None:
    found = proposal_recall(network(), dataset, counts=(1, 4, 16, 64, 256), thresholds=(0.1, 0.3, 0.5, 0.7))
    table = torch.tensor(found.recall)
    assert (table.diff(dim=1) >= 0).all()
    assert (table.diff(dim=0) <= 0).all()
    assert table[0, 0] < table[0, -1]
    assert table[-1, -1] < table[0, -1]


def test_a_raised_number_of_proposals_leaves_the_model_as_it_is() -> None:
    model = network()
    other = with_proposals(model, 70)
    assert (other.config.rpn.before_nms_test, other.config.rpn.after_nms_test) == (420, 70)
    assert other.config.rpn.nms_threshold == model.config.rpn.nms_threshold
    assert (model.config.rpn.before_nms_test, model.config.rpn.after_nms_test) == (5, 3)
    assert other.rpn is model.rpn
    many = network(rpn={"before_nms_test": 1000})
    assert with_proposals(many, 20).config.rpn.before_nms_test == 1000  # never fewer than its own


def test_the_mode_of_every_layer_is_left_as_it_was_and_does_not_matter(dataset: Dataset) -> None:
    model = network()
    expected = proposal_recall(model, dataset, (8, 64), (0.3, 0.5))
    model.train()
    model.head.eval()
    assert proposal_recall(model, dataset, (8, 64), (0.3, 0.5)) == expected
    assert model.backbone.training
    assert not model.head.training


def test_convolutions_run_in_the_precision_asked_for(dataset: Dataset) -> None:
    model = network()
    seen: list[torch.dtype] = []
    model.rpn.objectness.register_forward_hook(lambda layer, inputs, output: seen.append(output.dtype))
    proposal_recall(model, dataset, (4,), precision="bfloat16")
    proposal_recall(model, dataset, (4,))
    levels = len(dataset) * len(model.backbone.strides)
    assert seen == [torch.bfloat16] * levels + [torch.float32] * levels


def test_a_dict_for_json(dataset: Dataset) -> None:
    found = proposal_recall(network(), dataset, (4, 64), (0.3,))
    read = json.loads(json.dumps(found.as_dict()))
    assert read == {
        "counts": [4, 64],
        "thresholds": [0.3],
        "recall": [list(found.recall[0])],
        "average_recall": list(found.average_recall),
        "objects": 4,
    }


@pytest.mark.parametrize(
    ("counts", "thresholds", "said"),
    [((), (0.5,), "counts"), ((3, 0), (0.5,), "counts"), ((3,), (0.0,), "thresholds"), ((3,), (1.5,), "thresholds")],
)
def test_requests_without_sense_are_refused(counts, thresholds, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        proposal_recall(network(), Dataset((), NAMES), counts, thresholds)


@pytest.mark.parametrize(("most", "counts"), [(1000, (50, 100, 300, 1000)), (310, (50, 100, 300, 310)), (20, (20,))])
def test_counts_end_with_all_proposals_of_a_model(most: int, counts: tuple[int, ...]) -> None:
    assert counts_up_to(most) == counts


def test_what_is_told_is_of_all_proposals() -> None:
    found = recall_of(torch.tensor([[0.0, 0.65], [0.9, 0.9]]), (1, 2), (0.5, 0.6, 0.7))
    assert found.describe() == "recall of 2 proposals: 1.000 at IoU 0.5, 0.500 at IoU 0.7; average from .5 to .9 0.722"
    assert recall_of(torch.zeros(0, 2), (1, 2), (0.5,)).describe() == ""
