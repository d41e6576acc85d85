"""The kernels behind the rules: equal to torchvision's on hostile input, and good citizens of torch."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torchvision.ops
from torch.testing import assert_close

from frcnn.ops import batched_nms, nms, reference, roi_align, roi_pool
from frcnn.ops.kernels import operators

NAN, INFINITE = float("nan"), float("inf")


def drawn(seed: int, count: int = 60):
    """Features of two pictures, and boxes that leave them, in float32."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 7, 11, 16, generator=generator)
    corner = torch.rand(count, 2, generator=generator) * 140 - 10
    boxes = torch.cat((corner, corner + 120 * torch.rand(count, 2, generator=generator)), dim=1)
    return features, [boxes[: count // 2], boxes[count // 2 :]]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("wanted", [None, 1, 7, 1000])
def test_suppression_keeps_what_torchvision_keeps(seed, wanted):
    """Identical indices, whatever the number that is wanted."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(400, 2, generator=generator) * 100
    boxes = torch.cat((corner, corner + 60 * torch.rand(400, 2, generator=generator)), dim=1)
    scores = torch.rand(400, generator=generator).mul(50).round()  # many are equal
    kept = torchvision.ops.nms(boxes, scores, 0.45)[:wanted]
    assert torch.equal(nms(boxes, scores, 0.45, wanted), kept)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 0.5, 0.7, 1.0])
def test_thresholds_are_compared_as_doubles(threshold):
    """.1, .3 and .7 are no float32: an IoU of the float32 above must still be above."""
    sides = torch.arange(1.0, 101.0)
    boxes = torch.stack((torch.zeros(100), torch.zeros(100), torch.full((100,), 10.0), sides / 10), dim=1)
    scores = torch.linspace(1, 0, 100)
    assert torch.equal(nms(boxes, scores, threshold), torchvision.ops.nms(boxes, scores, threshold))


@pytest.mark.parametrize("value", [NAN, INFINITE, -INFINITE, 0.0, 3e38])
def test_suppression_of_what_is_no_box(value):
    """No crash, no endless loop, and torchvision's answer: NaN overlaps nothing."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [value, 0, 10, 10], [0, value, 10, 10], [0, 0, value, 10], [0, 0, 10, 9]])
    scores = torch.tensor([0.5, 0.9, 0.8, 0.7, 0.6])
    assert torch.equal(nms(boxes, scores, 0.5), torchvision.ops.nms(boxes, scores, 0.5))


@pytest.mark.parametrize("value", [NAN, INFINITE, -INFINITE])
def test_suppression_by_scores_that_are_no_numbers(value):
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])
    scores = torch.tensor([0.5, value, 0.7])
    assert torch.equal(nms(boxes, scores, 0.5), torchvision.ops.nms(boxes, scores, 0.5))


def test_the_last_wanted_box_ends_the_work():
    """The best of each group come first whatever the groups: a limit is on all together."""
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(6, 1)
    scores, groups = torch.tensor([0.1, 0.9, 0.8, 0.7, 0.95, 0.2]), torch.tensor([9, 9, -4, 70000, 9, -4])
    assert batched_nms(boxes, scores, groups, 0.5).tolist() == [4, 2, 3]
    assert batched_nms(boxes, scores, groups, 0.5, max_keep=2).tolist() == [4, 2]
    assert batched_nms(boxes, scores, groups, 0.5, max_keep=0).tolist() == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_regions_and_gradients_are_torchvisions(seed, layout):
    """Within 1e-5: float32 sums of at most 36 terms in another order."""
    features, boxes = drawn(seed)
    pushed = torch.randn(60, 7, 3, 3, generator=torch.Generator().manual_seed(seed))
    for mine, theirs in (
        (lambda f: roi_align(f, boxes, 3, 8.0), lambda f: torchvision.ops.roi_align(f, boxes, 3, 1 / 8, 2, True)),
        (lambda f: roi_align(f, boxes, 3, 8.0, 0, False), lambda f: torchvision.ops.roi_align(f, boxes, 3, 1 / 8)),
        (lambda f: roi_pool(f, boxes, 3, 8.0), lambda f: torchvision.ops.roi_pool(f, boxes, 3, 1 / 8)),
    ):
        ours, wanted = (features.clone(memory_format=layout).requires_grad_() for _ in range(2))
        regions = mine(ours)
        assert_close(regions, theirs(wanted), atol=1e-5, rtol=1e-5)
        regions.backward(pushed)
        theirs(wanted).backward(pushed)
        assert_close(ours.grad, wanted.grad, atol=1e-5, rtol=1e-5, check_stride=False)


@pytest.mark.parametrize("value", [NAN, INFINITE, -INFINITE, 1e30])
@pytest.mark.parametrize("column", range(4))
def test_aligning_to_what_is_no_box_reads_nothing_outside(value, column):
    """With a number of readings that does not hang on the box; what is near it is as it would be alone."""
    features, (boxes, _) = drawn(3)
    sound = roi_align(features[:1], [boxes], 3, 8.0)
    boxes = boxes.clone()
    boxes[4, column] = value
    regions = roi_align(features[:1], [boxes], 3, 8.0)
    others = torch.arange(len(boxes)) != 4
    assert torch.equal(regions[others], sound[others])
    assert float(regions[4].abs().max()) <= float(features.abs().max())


def test_no_channels_and_no_pictures():
    boxes = [torch.tensor([[0.0, 0, 10, 10]])]
    assert roi_align(torch.zeros(1, 0, 4, 4), boxes, 2, 8.0).shape == (1, 0, 2, 2)
    assert roi_pool(torch.zeros(1, 0, 4, 4), boxes, 2, 8.0).shape == (1, 0, 2, 2)
    assert roi_align(torch.zeros(0, 3, 4, 4), [], 2, 8.0).shape == (0, 3, 2, 2)


def test_bfloat16_is_read_as_the_bits_it_is():
    """The same sums as of the same numbers in float32, then rounded."""
    features, boxes = drawn(1)
    low = features.bfloat16()
    for form in (lambda f: roi_align(f, boxes, 3, 8.0), lambda f: roi_pool(f, boxes, 3, 8.0)):
        assert torch.equal(form(low), form(low.float()).bfloat16())


@pytest.mark.parametrize("form", [roi_pool, roi_align])
def test_gradients_by_finite_differences(form):
    features, boxes = drawn(2, count=6)
    features = features[:, :2].double().requires_grad_()
    boxes = [box.double() for box in boxes]
    assert torch.autograd.gradcheck(lambda f: form(f, boxes, 2, 8.0), (features,))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's examiner looks at tensors of its own
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_operators_keep_torchs_rules(dtype):
    """Schemas, fake tensors and autograd, by torch's own examiner."""
    features, boxes = drawn(0, count=6)
    flat, picture = operators.flatten(boxes, dtype)
    features = features.to(dtype).requires_grad_()
    level = torch.tensor([0, 1, 0, 0, 1, 1])
    maps = [features, features[:, :, ::2, ::2].detach().requires_grad_()]
    torch.library.opcheck(operators.align, (maps, flat, picture, level, 2, [0.125, 0.0625], 2, True))
    moving = flat.clone().requires_grad_()
    torch.library.opcheck(operators.align, (maps, moving, picture, level, 2, [0.125, 0.0625], 2, False))
    torch.library.opcheck(operators.pool, (features, flat, picture, 2, 0.125))
    torch.library.opcheck(operators.match, (flat[:2], flat, 0.5, 0.3, 0.0, True, (1, 0, -1)))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")  # its length is known when it has run
    torch.library.opcheck(operators.suppress, (flat, flat[:, 0], picture, 0.5, 10), test_utils=tests)


def test_concurrent_callers_agree():
    features, boxes = drawn(5)
    wanted = roi_align(features, boxes, 7, 8.0), nms(torch.cat(boxes), torch.cat(boxes)[:, 0], 0.5)

    def call(_: int) -> bool:
        kept = nms(torch.cat(boxes), torch.cat(boxes)[:, 0], 0.5)
        return torch.equal(roi_align(features, boxes, 7, 8.0), wanted[0]) and torch.equal(kept, wanted[1])

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(call, range(64)))


def test_a_reference_form_goes_with_each():
    features, boxes = drawn(6, count=8)
    assert_close(roi_align(features, boxes, 2, 8.0), reference.roi_align(features, boxes, 2, 8.0))
    assert_close(roi_pool(features, boxes, 2, 8.0), reference.roi_pool(features, boxes, 2, 8.0))


IN_ITS_OWN = """
import sys, torch, frcnn
assert "numba" not in sys.modules, "importing frcnn is to cost nothing of it"
from frcnn.ops import nms, roi_align, roi_pool
features, boxes = torch.randn(1, 3, 8, 8), torch.tensor([[0.0, 0, 30, 30], [8, 8, 60, 60]])
compiled = torch.compile(lambda f, b: roi_align(f, [b], 2, 8.0) * 2, fullgraph=True, backend="aot_eager")
assert torch.allclose(compiled(features, boxes), roi_align(features, [boxes], 2, 8.0) * 2)
class Both(torch.nn.Module):
    def forward(self, features, boxes, scores):
        kept = nms(boxes, scores, 0.5, 10)
        return roi_align(features, [boxes[kept]], 2, 8.0), roi_pool(features, [boxes[kept]], 2, 8.0)
given = (features, boxes, boxes[:, 2])
exported = torch.export.export(Both(), given).module()
for ours, theirs in zip(exported(*given), Both()(*given)):
    assert torch.equal(ours, theirs)
print(nms(boxes, boxes[:, 2], 0.5).tolist())
"""


def test_importing_costs_nothing_and_graphs_are_whole():
    """In a process of its own, without the hook that checks shapes: it breaks graphs."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", IN_ITS_OWN], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("[1, 0]", 0), done.stderr
