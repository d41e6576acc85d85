import math

import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection._utils import BoxCoder

from frcnn.ops.coding import MAX_LOG_SCALE, decode, encode


def boxes(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 150
    return torch.cat((corner, corner + 4 + 60 * torch.rand(count, 2, generator=generator)), dim=1)


def test_encode_by_hand():
    reference, target = torch.tensor([[0.0, 0.0, 10.0, 20.0]]), torch.tensor([[5.0, 0.0, 25.0, 10.0]])
    assert_close(encode(reference, target), torch.tensor([[1.0, -0.25, math.log(2), math.log(0.5)]]))


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0), (2.0, 3.0, 5.0, 7.0)])
def test_against_torchvision(weights):
    reference, target, oracle = boxes(40), boxes(40, seed=1), BoxCoder(weights)
    assert_close(encode(reference, target, weights), oracle.encode_single(target, reference))
    deltas = torch.randn(40, 4, generator=torch.Generator().manual_seed(2)) * 4
    # float32 on boxes of up to 60 px times 62.5
    assert_close(decode(reference, deltas, weights), oracle.decode_single(deltas, reference), rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (2.0, 3.0, 5.0, 7.0)])
def test_decode_undoes_encode(weights):
    reference, target = boxes(40).double(), boxes(40, seed=1).double()
    assert_close(decode(reference, encode(reference, target, weights), weights), target)


def test_growth_is_capped():
    """Row 29: a 16 px anchor may grow to 1000 px; exp never overflows."""
    grown = decode(torch.tensor([[0.0, 0.0, 16.0, 16.0]]), torch.tensor([[0.0, 0.0, 1000.0, MAX_LOG_SCALE]]))
    assert_close(grown, torch.tensor([[-492.0, -492.0, 508.0, 508.0]]))


def test_half_types_are_raised_and_float64_stays():
    """Row 28."""
    reference, deltas = boxes(3), torch.zeros(3, 4, dtype=torch.bfloat16)
    assert decode(reference, deltas).dtype == torch.float32
    assert_close(decode(reference, deltas), reference)
    assert encode(reference.bfloat16(), reference.bfloat16()).dtype == torch.float32
    assert decode(reference.double(), deltas.double()).dtype == torch.float64


def test_gradient_reaches_boxes_and_deltas():
    """Row 7: what exact training will need; joint training cuts it elsewhere, on purpose."""
    reference = boxes(3).double().requires_grad_()
    deltas = (torch.randn(3, 4, generator=torch.Generator().manual_seed(0)) * 0.5).double().requires_grad_()
    assert torch.autograd.gradcheck(decode, (reference, deltas))


def test_no_boxes():
    assert encode(torch.zeros(0, 4), torch.zeros(0, 4)).shape == decode(torch.zeros(0, 4), torch.zeros(0, 4)).shape


@pytest.mark.parametrize("given", [torch.float16, torch.bfloat16])
def test_coding_is_in_float32_whatever_the_autocast(given):
    """Row 28: half types have no pixels beyond 2048 or 256."""
    reference = torch.tensor([[1000.0, 1000.0, 1016.0, 1016.0]])
    with torch.autocast("cpu", torch.bfloat16):
        moved = decode(reference, torch.full((1, 4), 0.0625, dtype=given))
        assert encode(reference.to(given), reference.to(given)).dtype == torch.float32
    assert_close(moved, decode(reference, torch.full((1, 4), 0.0625)))
