import pytest
import torch
from torch import nn

from frcnn.errors import ModelFileError
from frcnn.weights.keys import KeyRule, load_exactly, rename_keys

RULES = [
    KeyRule(r"old\.(\d+)\.(.+)", r"new.\2.\1"),
    KeyRule(r"head\..+", None),
    KeyRule(r"old\..+", r"never"),
]


def test_the_first_rule_that_knows_a_key_names_it() -> None:
    one, two = torch.zeros(1), torch.ones(1)
    assert rename_keys({"old.3.weight": one, "head.bias": two}, RULES, "file") == {"new.weight.3": one}


@pytest.mark.parametrize("key", ["older.3.weight", "xold.3.w", "old3", ""])
def test_a_key_that_no_rule_knows(key: str) -> None:
    with pytest.raises(ModelFileError, match="file: the key"):
        rename_keys({key: torch.zeros(1)}, RULES, "file")


def block(norm: bool = True) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3) if norm else nn.Identity())


def test_exact_weights_are_copied() -> None:
    source, module = block(), block()
    nn.init.normal_(source[1].running_mean)
    load_exactly(module, source.state_dict(), "file")
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(tensor, source.state_dict()[name])


def test_the_count_of_steps_may_be_there_or_not() -> None:
    counted = block().state_dict()
    uncounted = {k: v for k, v in counted.items() if not k.endswith("num_batches_tracked")}
    load_exactly(block(), uncounted, "file")
    frozen = nn.Sequential(nn.Conv2d(2, 3, 1))
    load_exactly(
        frozen,
        {
            "0.weight": counted["0.weight"],
            "0.bias": counted["0.bias"],
            "1.num_batches_tracked": counted["1.num_batches_tracked"],
        },
        "file",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.weight": None}, r"file: the tensor '0\.weight' is missing"),
        ({"0.weight": torch.zeros(3, 2, 3, 3)}, r"'0\.weight' is \(3, 2, 3, 3\), but the network has \(3, 2, 1, 1\)"),
        ({"2.weight": torch.zeros(1)}, r"'2\.weight' has no place"),
        ({"0.bias": torch.tensor([0.0, float("nan"), 0.0])}, r"'0\.bias' holds NaN or infinity"),
        ({"1.running_var": torch.full((3,), float("inf"))}, r"'1\.running_var' holds NaN or infinity"),
    ],
)
def test_what_does_not_fit_changes_nothing(change: dict, message: str) -> None:
    module = block()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    state = {k: torch.full_like(v, 7) for k, v in before.items()} | change
    with pytest.raises(ModelFileError, match=message):
        load_exactly(module, {k: v for k, v in state.items() if v is not None}, "file")
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
