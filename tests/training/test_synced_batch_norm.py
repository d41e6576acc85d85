"""Two processes with a share each, against one with the whole batch. Run as a script, this file is one of the two."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from frcnn.training.synced_batch_norm import SyncedBatchNorm2d, number_of_processes, set_share, statistics_of, synced

STEPS = 2  # so that running statistics and gradients also add up
LIMIT = 60  # seconds; what hangs must fail
EXACT = {"rtol": 1e-12, "atol": 1e-12}  # float64: sums of a few hundred numbers of size 1 to 10, in another order

Result = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """Layers, and what each of the two processes holds: pictures, height, width. A weight of 0: a stand-in."""

    make: Callable[[], nn.Module]
    shares: tuple[tuple[int, int, int], tuple[int, int, int]]
    weights: tuple[float, float] = (1.0, 1.0)
    dtype: torch.dtype = torch.float64
    mean: float = 3.0

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        model = self.make()
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d) and layer.affine:
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias)
        return model if self.dtype == torch.bfloat16 else model.to(self.dtype)  # bfloat16 is for features alone

    def features(self, rank: int) -> Tensor:
        """Of another mean and spread in each process."""
        pictures, height, width = self.shares[rank]
        generator = torch.Generator().manual_seed(rank)
        noise = torch.randn(pictures, 4, height, width, generator=generator, dtype=torch.float64)
        return (self.mean + rank + (1 + rank) * noise).to(self.dtype)


def two_layers() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, bias=False),
        nn.BatchNorm2d(6, eps=1e-3, momentum=0.3),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 5, 1),
        nn.BatchNorm2d(5),
    )


one_layer = partial(nn.BatchNorm2d, 4, momentum=0.2)
CASES = {
    "even": Case(two_layers, ((2, 7, 9), (2, 7, 9))),
    "uneven": Case(two_layers, ((3, 7, 9), (1, 7, 9))),
    "stand-in": Case(two_layers, ((3, 7, 9), (2, 7, 9)), weights=(1.0, 0.0)),
    "other sizes": Case(partial(nn.BatchNorm2d, 4, momentum=None), ((2, 5, 6), (1, 7, 3))),
    "nothing": Case(one_layer, ((2, 5, 6), (0, 5, 6))),
    "nothing at all": Case(one_layer, ((0, 5, 6), (0, 5, 6))),
    "without weights": Case(partial(one_layer, affine=False), ((2, 5, 6), (1, 5, 6))),
    "without memory": Case(partial(one_layer, track_running_stats=False), ((2, 5, 6), (1, 5, 6))),
    "float32": Case(one_layer, ((2, 5, 6), (1, 5, 6)), dtype=torch.float32, mean=1000.0),
    "bfloat16": Case(one_layer, ((2, 5, 6), (1, 7, 3)), dtype=torch.bfloat16),
}


def run(model: nn.Module, features: Tensor, weight: float = 1.0) -> Result:
    """Steps forward and back from a loss in which every output has its own derivative, then evaluation mode."""
    features = features.clone().requires_grad_()
    for _ in range(STEPS):
        with torch.autocast("cpu", enabled=features.dtype == torch.bfloat16):
            output = model(features)
        channels = torch.arange(1.0, output.shape[1] + 1)[:, None, None]
        (weight * channels * (output + channels).sin()).sum().backward()
    assert features.grad is not None
    result = {"output": output.detach(), "features": features.grad}
    result |= {f"gradient.{name}": value.grad for name, value in model.named_parameters() if value.grad is not None}
    result |= {f"buffer.{name}": value.clone() for name, value in model.named_buffers()}
    remembers = list(model.buffers())  # or evaluation goes by each share's own statistics
    return result | ({"evaluation": model.eval()(features).detach()} if remembers else {})


def run_share(rank: int, folder: Path) -> None:
    """What one of the two processes does: every case, in order."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", f"file://{folder / 'meeting'}", rank=rank, world_size=2, timeout=timedelta(seconds=LIMIT)
    )
    results = {}
    for name, case in CASES.items():
        model = synced(case.model())
        set_share(model, case.weights[rank])
        results[name] = run(model, case.features(rank), case.weights[rank])
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def shares(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Result]]:
    """What the two processes say of every case."""
    folder = tmp_path_factory.mktemp("processes")
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", __file__, str(rank), str(folder)], stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    try:
        complaints = [process.communicate(timeout=2 * LIMIT)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(complaints)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def joined(parts: list[Tensor]) -> Tensor:
    """One batch: of whole pictures where they are of one size, else of all their cells in one row."""
    if len({part.shape[1:] for part in parts}) == 1:
        return torch.cat(parts)
    return torch.cat([part.movedim(1, 0).flatten(1) for part in parts], dim=1)[None, :, None]


def in_two_and_in_one(name: str, shares: list[dict[str, Result]]) -> tuple[Result, Result]:
    """What the two processes made together of a case, and what one makes of its whole batch."""
    case = CASES[name]
    counting = [rank for rank in range(2) if case.weights[rank]]
    whole = run(case.model(), joined([case.features(rank) for rank in counting]))
    first, second = parts = [share[name] for share in shares]
    together = {}
    for key in first.keys() | second.keys():
        if key.startswith("gradient."):
            together[key] = first[key] + second[key]
        elif key.startswith("buffer."):
            assert torch.equal(first[key], second[key]), key
            together[key] = first[key]
        else:
            together[key] = joined([parts[rank][key] for rank in counting])
    return together, whole


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.dtype == torch.float64])
def test_two_processes_compute_what_one_does(name: str, shares: list[dict[str, Result]]) -> None:
    torch.testing.assert_close(*in_two_and_in_one(name, shares), **EXACT)


def test_features_of_bfloat16_have_statistics_of_float32(shares: list[dict[str, Result]]) -> None:
    together, whole = in_two_and_in_one("bfloat16", shares)
    assert together.keys() == whole.keys()
    for key, expected in whole.items():
        assert together[key].dtype == expected.dtype
        close = 1e-5 if key.startswith("buffer.") else 2**-7  # float32, in another order; two roundings to 8 bits
        assert (together[key] - expected).double().norm() <= close * expected.double().norm(), key


def test_a_large_mean_leaves_the_variance_right(shares: list[dict[str, Result]]) -> None:
    """Squares of 1000 have steps of 1/16 in float32: a mean of squares would tell nothing of a variance of 1."""
    features = joined([CASES["float32"].features(rank).double() for rank in range(2)])
    expected = features.var((0, 2, 3)) * (1 - 0.8**STEPS) + 0.8**STEPS
    variance = shares[1]["float32"]["buffer.running_var"].double()
    torch.testing.assert_close(variance, expected, rtol=1e-4, atol=0)  # in float32, means of 1000 have steps of 6e-5


def test_alone_each_process_would_compute_something_else(shares: list[dict[str, Result]]) -> None:
    """Or nothing above would show that they were joined."""
    alone = run(CASES["even"].model(), CASES["even"].features(0))
    for key in ("output", "features", "buffer.1.running_mean"):
        assert (shares[0]["even"][key] - alone[key]).abs().max() > 0.01


def test_one_process_is_plain_batch_norm() -> None:
    assert number_of_processes() == 1
    case = CASES["uneven"]
    expected, actual = (run(model, case.features(0)) for model in (case.model(), synced(case.model())))
    assert expected.keys() == actual.keys()
    assert all(torch.equal(actual[key], value) for key, value in expected.items())


def test_a_single_feature_is_normalised_as_in_evaluation() -> None:
    """Of two processes one may have a stand-in; torch refuses a single one."""
    layer = synced(nn.BatchNorm2d(2))
    assert isinstance(layer, SyncedBatchNorm2d)
    layer(torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0)) * 5 + 1)
    nn.init.constant_(layer.weight, 3.0)
    nn.init.constant_(layer.bias, 0.5)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    feature, as_asked = (torch.tensor([2.0, -4.0]).reshape(1, 2, 1, 1).requires_grad_() for _ in range(2))
    normalised = layer(feature)
    normalised.square().sum().backward()
    assert layer.weight.grad is not None
    weight_gradient = layer.weight.grad.clone()
    for name in ("running_mean", "running_var"):  # a variance of 0 would eat the running one
        assert torch.equal(layer.state_dict()[name], before[name]), name
    layer.zero_grad()
    expected = layer.eval()(as_asked)
    expected.square().sum().backward()
    torch.testing.assert_close(normalised, expected)
    torch.testing.assert_close(feature.grad, as_asked.grad)
    torch.testing.assert_close(weight_gradient, layer.weight.grad)
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm2d(2)(feature.detach())


def test_a_single_feature_leaves_the_bias_where_nothing_is_tracked() -> None:
    """Its own mean and a variance of 0 are all there is."""
    layer = synced(nn.BatchNorm2d(2, track_running_stats=False))
    feature = torch.tensor([2.0, -4.0]).reshape(1, 2, 1, 1).requires_grad_()
    normalised = layer(feature)
    normalised.sum().backward()
    assert normalised.flatten().tolist() == [0, 0]
    assert feature.grad is not None
    assert feature.grad.flatten().tolist() == pytest.approx([0, 0], abs=1e-3)  # 316 - 316, in float32


def test_many_single_features_move_no_statistics() -> None:
    layer = synced(nn.BatchNorm2d(3))
    for number in range(100):
        layer(torch.full((1, 3, 1, 1), float(number)))
    assert torch.equal(layer.eval()(torch.ones(1, 3, 1, 1)), nn.BatchNorm2d(3).eval()(torch.ones(1, 3, 1, 1)))


def test_single_features_are_not_counted_in_an_average_over_all_batches() -> None:
    """One before the first batch, one between two."""
    layer, plain = synced(nn.BatchNorm2d(2, momentum=None)), nn.BatchNorm2d(2, momentum=None)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        layer(torch.full((1, 2, 1, 1), 7.0))
        features = torch.randn(4, 2, 3, 3, generator=generator) * 5 + 1
        layer(features)
        plain(features)
    torch.testing.assert_close(layer.state_dict(), plain.state_dict())


def test_tensors_stay_the_ones_they_are() -> None:
    """A solver made before goes on, and a state dict fits both ways."""
    model = nn.ModuleDict({"body": two_layers(), "norm": nn.BatchNorm2d(3)})
    before = model.state_dict(keep_vars=True)
    assert synced(model) is model
    after = model.state_dict(keep_vars=True)
    assert list(before) == list(after)
    assert all(before[name] is after[name] for name in before)
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert [type(layer) for layer in norms] == [SyncedBatchNorm2d] * 3


def test_settings_and_mode_stay() -> None:
    layer = nn.BatchNorm2d(3, eps=0.1, momentum=0.7, affine=False, track_running_stats=False).eval()
    twin = synced(layer)
    assert isinstance(twin, SyncedBatchNorm2d)
    assert (twin.num_features, twin.eps, twin.momentum, twin.training) == (3, 0.1, 0.7, False)
    assert twin.weight is None
    assert twin.running_mean is None


def test_other_norms_stay() -> None:
    class Own(nn.BatchNorm2d):
        pass

    model = nn.Sequential(Own(2), nn.BatchNorm1d(2), nn.GroupNorm(1, 2))
    before = list(model)
    assert all(layer is old for layer, old in zip(synced(model), before, strict=True))


def test_a_share_is_set_everywhere_and_in_this_model_alone() -> None:
    model, other = synced(two_layers()), synced(two_layers())
    set_share(model, 0.0)
    assert [layer.share_weight for layer in model if isinstance(layer, SyncedBatchNorm2d)] == [0.0, 0.0]
    assert [layer.share_weight for layer in other if isinstance(layer, SyncedBatchNorm2d)] == [1.0, 1.0]


def test_statistics_are_what_moves_without_a_solver() -> None:
    model = synced(two_layers()).train()
    before = [value.clone() for value in statistics_of(model)]
    everything = {name: value.clone() for name, value in model.state_dict().items()}
    model(torch.rand(2, 4, 8, 8))
    moved = [name for name, value in model.state_dict().items() if not torch.equal(value, everything[name])]
    assert len(moved) == len(before) == 6  # of two layers: mean, variance, number of batches
    for value, was in zip(statistics_of(model), before, strict=True):
        value.copy_(was)
    assert all(torch.equal(value, everything[name]) for name, value in model.state_dict().items())


if __name__ == "__main__":
    run_share(int(sys.argv[1]), Path(sys.argv[2]))
