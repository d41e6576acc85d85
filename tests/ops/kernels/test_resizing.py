"""Resizing into a batch: by hand, beside torch's own, and at the edges."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from frcnn.ops.kernels import operators

PLAIN = ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0], False)  # factor, offset, reverse
SIDES = st.integers(1, 40)


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def test_twice_as_large_by_hand():
    """The middles of the new cells lie a quarter of a cell beside the old ones, and never beyond the outermost."""
    row = torch.tensor([0.0, 4.0]).expand(3, 1, 2)
    batch = operators.resize([row], [1, 4], [1, 4], *PLAIN)
    assert_close(batch[0, 0], torch.tensor([[0.0, 1, 3, 4]]))
    column = operators.resize([row.permute(0, 2, 1)], [4, 1], [4, 1], *PLAIN)
    assert_close(column[0, 1, :, 0], torch.tensor([0.0, 1, 3, 4]))


@settings(deadline=None, max_examples=200)
@given(SIDES, SIDES, SIDES, SIDES)
def test_any_size_to_any_size_is_torchs_without_antialiasing(height, width, new_height, new_width):
    image = picture(height, width)
    wanted = F.interpolate(image[None], size=(new_height, new_width), mode="bilinear", align_corners=False)
    found = operators.resize([image], [new_height, new_width], [new_height, new_width], *PLAIN)
    assert_close(found, wanted, rtol=0, atol=1e-5)  # shares of neighbours, rounded in another order


def test_channels_are_scaled_in_their_own_order_and_turned_round_at_last():
    image = torch.tensor([1.0, 2.0, 3.0])[:, None, None].expand(3, 2, 2)
    batch = operators.resize([image], [2, 2], [2, 2], [10.0, 100.0, 1000.0], [0.5, 0.25, 0.125], True)
    assert_close(batch[0, :, 0, 0], torch.tensor([3000.125, 200.25, 10.5]))
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_pictures_of_several_sizes_lie_at_the_upper_left_of_zeros():
    images = [picture(5, 7), picture(6, 3, seed=1)]
    batch = operators.resize(images, [8, 9, 4, 2], [10, 11], [2.0, 2.0, 2.0], [1.0, 1.0, 1.0], False)
    for number, (height, width) in enumerate([(8, 9), (4, 2)]):
        alone = operators.resize([images[number]], [height, width], [height, width], *PLAIN)
        assert_close(batch[number, :, :height, :width], alone[0] * 2 + 1)
        assert not batch[number, :, height:].any()
        assert not batch[number, :, :, width:].any()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_layout_and_threads_change_nothing(layout):
    image = picture(150, 90)
    wanted = operators.resize([image], [300, 180], [320, 192], *PLAIN)
    (other,) = image[None].contiguous(memory_format=layout)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert torch.equal(operators.resize([other], [300, 180], [320, 192], *PLAIN), wanted)
    finally:
        torch.set_num_threads(threads)


def test_it_keeps_torchs_rules():
    torch.library.opcheck(operators.resize, ([picture(5, 7), picture(2, 2)], [8, 9, 4, 2], [10, 11], *PLAIN))
