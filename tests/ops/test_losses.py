import pytest
import torch

from frcnn.ops.losses import smooth_l1_sum


@pytest.mark.parametrize(
    ("error", "beta", "expected"),
    [
        (0.5, 1.0, 0.125),  # head: .5 x^2
        (2.0, 1.0, 1.5),  # head: |x| - .5
        (0.05, 1 / 9, 0.5 * 9 * 0.05**2),  # RPN, sigma 3: .5 sigma^2 x^2
        (2.0, 1 / 9, 2.0 - 0.5 / 9),  # RPN: |x| - .5 / sigma^2
    ],
)
def test_by_hand(error, beta, expected):
    """Row 8."""
    predicted, wanted = torch.tensor([[error, 0.0, -error, 0.0]]), torch.zeros(1, 4)
    assert smooth_l1_sum(predicted, wanted, beta).item() == pytest.approx(2 * expected)


def test_half_types_are_raised():
    """Row 28."""
    assert smooth_l1_sum(torch.ones(1, 4).bfloat16(), torch.zeros(1, 4), 1.0).dtype == torch.float32


@pytest.mark.parametrize(("given", "raised"), [(torch.float16, torch.float32), (torch.float64, torch.float64)])
def test_float16_is_raised_and_float64_stays_whatever_the_autocast(given, raised):
    """Row 28."""
    with torch.autocast("cpu", torch.bfloat16):
        loss = smooth_l1_sum(torch.ones(1, 4, dtype=given), torch.zeros(1, 4, dtype=given), 1.0)
    assert (loss.dtype, loss.item()) == (raised, 2.0)
