"""Every kind of error has a colour of its own."""

from itertools import combinations

from frcnn.evaluation.error_types import Verdict
from frcnn.evaluation.reporting.colours import KIND_COLOURS


def test_no_two_kinds_are_mistaken() -> None:
    """Far apart in red, green and blue together, which is crude, but finds a slip."""
    assert set(KIND_COLOURS) == {verdict.key for verdict in Verdict} | {"missed"}
    for one, other in combinations(KIND_COLOURS.values(), 2):
        assert sum(abs(a - b) for a, b in zip(one, other, strict=True)) > 90
