import pytest

from frcnn.cli.arguments import spread


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("train tiny --data a b --out c", "train tiny --data a --data b --out c"),
        ("train tiny --data a --data b", "train tiny --data a --data b"),
        ("train tiny --set x=1 y=2 --data a b c", "train tiny --set x=1 --set y=2 --data a --data b --data c"),
        ("evaluate m --data a --json", "evaluate m --data a --json"),
        ("train tiny --out a b", "train tiny --out a b"),
        ("train --data a -- tiny", "train --data a -- tiny"),
        ("train tiny --data", "train tiny --data"),
        ("train tiny --data=a", "train tiny --data=a"),
        ("", ""),
    ],
)
def test_several_values_may_follow_one_flag(written, read):
    assert spread(written.split(), ("--data", "--set")) == read.split()
