"""What a benchmark says: rows of a work, what it took us, and what it took others in the same run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch

Unit = Literal["s", "MB"]
DIGITS = 4  # that count


@dataclass(frozen=True)
class Setting:
    """How and where all is measured."""

    runs: int = 5  # counted turns of works that take about a second; short ones take more, loops of seconds fewer
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True)
class Row:
    """One work: seconds (or megabytes) of ours and of its peers, medians of turns in one process."""

    group: str
    work: str
    frcnn: float
    peers: Mapping[str, float]
    unit: Unit = "s"
    pictures: int | None = None  # that the work takes, where throughput is what counts
    dense: float | None = None  # seconds of the same convolutions and matrix products alone: what bounds us
    notes: tuple[str, ...] = ()

    @property
    def ratios(self) -> dict[str, float]:
        """How many times as much each peer takes."""
        return {name: value / self.frcnn for name, value in self.peers.items()}

    @property
    def dense_share(self) -> float | None:
        """The share of our time that is dense arithmetic."""
        return None if self.dense is None else self.dense / self.frcnn

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; what does not apply is left out."""
        values: dict[str, Any] = {"group": self.group, "work": self.work, "unit": self.unit}
        values |= {"frcnn": rounded(self.frcnn), "peers": _all_rounded(self.peers), "ratios": _all_rounded(self.ratios)}
        if self.pictures is not None:
            speeds = {
                name: self.pictures / seconds for name, seconds in ({"frcnn": self.frcnn} | dict(self.peers)).items()
            }
            values |= {"pictures": self.pictures, "pictures_per_second": _all_rounded(speeds)}
        if self.dense is not None and self.dense_share is not None:
            values |= {"dense": rounded(self.dense), "dense_share": rounded(self.dense_share)}
        return values | {"notes": list(self.notes)}


class Measurement(NamedTuple):
    """Something to measure: its name, said before it begins, and what gives its rows."""

    name: str
    rows: Callable[[], list[Row]]


def rounded(value: float) -> float:
    """To the digits that count."""
    return float(f"{value:.{DIGITS}g}")


def _all_rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: rounded(value) for name, value in values.items()}
