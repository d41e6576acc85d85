"""NMS, RoIAlign and RoIPool beside torchvision's, on what VGG-16 makes of a picture of 600 x 800."""

from collections.abc import Callable, Iterator

import torch
import torchvision.ops
from jaxtyping import Float
from torch import Tensor

from frcnn.benchmarking.pictures import draw_boxes
from frcnn.benchmarking.rows import Measurement, Row, Setting
from frcnn.benchmarking.timing import Work, by_turns
from frcnn.ops import nms, roi_align, roi_pool

PICTURE = (600, 800)
STRIDE, BINS, REGIONS, CHANNELS = 16.0, 7, 300, 512
SUPPRESSIONS = ((12_000, 2_000), (6_000, 300))  # boxes, and how many are wanted: the paper's training and test
NMS_THRESHOLD = 0.7
SHORT = 4  # works of milliseconds are run so many times as often
SEED = 0

Pool = Callable[[Tensor], Tensor]


def operator_measurements(setting: Setting) -> Iterator[Measurement]:
    """One after another."""
    for boxes, wanted in SUPPRESSIONS:
        name = f"NMS .7 of {boxes} boxes, {wanted} wanted"
        yield Measurement(name, lambda name=name, b=boxes, w=wanted: [suppression_row(name, b, w, setting)])
    for backward in (False, True):
        name = f"RoIAlign of {REGIONS} boxes{', forward and backward' if backward else ''}"
        yield Measurement(name, lambda name=name, b=backward: [align_row(name, setting, backward=b)])
    name = f"RoIPool of {REGIONS} boxes, forward and backward"
    yield Measurement(name, lambda: [pool_row(name, setting)])


def suppression_row(work: str, count: int, wanted: int, setting: Setting) -> Row:
    """NMS that knows how many are wanted, beside NMS of which the first ones are taken."""
    generator = torch.Generator().manual_seed(SEED)
    boxes = draw_boxes(count, PICTURE, generator).to(setting.device)
    scores = torch.rand(count, generator=generator).to(setting.device)

    def ours() -> Tensor:
        return nms(boxes, scores, NMS_THRESHOLD, wanted)

    def theirs() -> Tensor:
        return torchvision.ops.nms(boxes, scores, NMS_THRESHOLD)[:wanted]

    kept = ours()
    same = "identical" if torch.equal(kept, theirs()) else "NOT identical"
    return _row(work, ours, theirs, setting, f"{len(kept)} kept, {same} indices")


def align_row(work: str, setting: Setting, *, backward: bool, channels: int = CHANNELS) -> Row:
    """2 x 2 readings a bin; each in the layout that suits it."""
    ours, theirs, boxes = pooling_input(setting, channels)
    return _pooling_row(
        work,
        lambda features: roi_align(features, [boxes], BINS, STRIDE),
        lambda features: torchvision.ops.roi_align(features, [boxes], BINS, 1 / STRIDE, 2, True),
        (ours, theirs),
        setting,
        backward=backward,
    )


def pool_row(work: str, setting: Setting, channels: int = CHANNELS) -> Row:
    """Forward and backward; each in the layout that suits it."""
    ours, theirs, boxes = pooling_input(setting, channels)
    return _pooling_row(
        work,
        lambda features: roi_pool(features, [boxes], BINS, STRIDE),
        lambda features: torchvision.ops.roi_pool(features, [boxes], BINS, 1 / STRIDE),
        (ours, theirs),
        setting,
        backward=True,
    )


def pooling_input(
    setting: Setting, channels: int
) -> tuple[Float[Tensor, "1 C H W"], Float[Tensor, "1 C H W"], Float[Tensor, "R 4"]]:
    """The same features channels last and in torchvision's layout, and boxes."""
    generator = torch.Generator().manual_seed(SEED)
    cells = (-(-int(PICTURE[0]) // int(STRIDE)), -(-int(PICTURE[1]) // int(STRIDE)))
    theirs = torch.randn(1, channels, *cells, generator=generator).to(setting.device)
    boxes = draw_boxes(REGIONS, PICTURE, generator).to(setting.device)
    return theirs.to(memory_format=torch.channels_last), theirs, boxes


def _pooling_row(
    work: str, pool: Pool, peer: Pool, features: tuple[Tensor, Tensor], setting: Setting, *, backward: bool
) -> Row:
    ours, theirs = features
    regions, expected = pool(ours), peer(theirs)
    apart = {"regions": _largest(regions - expected)}
    if not backward:
        return _row(work, lambda: pool(ours), lambda: peer(theirs), setting, _said(apart))
    pushed = torch.randn(expected.shape, generator=torch.Generator().manual_seed(SEED)).to(setting.device)
    apart["gradients"] = _largest(there_and_back(pool, ours, pushed) - there_and_back(peer, theirs, pushed))
    return _row(
        work,
        lambda: there_and_back(pool, ours, pushed),
        lambda: there_and_back(peer, theirs, pushed),
        setting,
        _said(apart),
    )


def there_and_back(pool: Pool, features: Tensor, pushed: Tensor) -> Tensor:
    """Forward, and the gradient of the features."""
    leaf = features.detach().requires_grad_()
    pool(leaf).backward(pushed)
    assert leaf.grad is not None, "it was asked for"
    return leaf.grad


def _largest(difference: Tensor) -> float:
    return float(difference.abs().max())


def _said(apart: dict[str, float]) -> str:
    return "largest difference: " + ", ".join(f"{name} {value:.1g}" for name, value in apart.items())


def _row(work: str, ours: Work, theirs: Work, setting: Setting, note: str) -> Row:
    times = by_turns({"frcnn": ours, "torchvision": theirs}, SHORT * setting.runs, setting.device)
    return Row("ops", work, times["frcnn"], {"torchvision": times["torchvision"]}, notes=(note,))
