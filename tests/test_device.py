import os

import pytest
import torch

from frcnn.device import KEPT_PRIMITIVES, autocast, check_precision, choose_device
from frcnn.errors import UsageError


def test_auto_is_what_there_is():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_name_is_taken_as_it_is():
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:99", "meta"])
def test_what_cannot_be_used_is_one_line(name):
    with pytest.raises(UsageError, match="cannot be used here") as error:
        choose_device(name)
    assert "\n" not in str(error.value)


def test_precision():
    check_precision("bfloat16")
    with pytest.raises(UsageError, match="float32 or bfloat16"):
        check_precision("float16")


@pytest.mark.parametrize(("precision", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_autocast_sets_the_precision_of_products(precision, expected):
    with autocast(torch.device("cpu"), precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


def test_compiled_convolutions_are_kept_for_many_sizes(monkeypatch):
    """oneDNN's own number is kept where the user has set it."""
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    choose_device("cpu")
    assert int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) == KEPT_PRIMITIVES
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7")
    choose_device("cpu")
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "7"
