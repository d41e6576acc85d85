"""Times of works that do the same, taken by turns in one process, so that a slow moment of the machine meets all."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch

Work = Callable[[], object]


def by_turns(works: Mapping[str, Work], runs: int, device: torch.device | str = "cpu") -> dict[str, float]:
    """Median seconds of each work; the first turn, in which kernels compile and caches fill, is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs + 1):
        for name, work in works.items():
            taken[name].append(seconds_of(work, device))
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def seconds_of(work: Work, device: torch.device | str = "cpu") -> float:
    """How long one call takes, with all that it started on the device."""
    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start


def wait_for(device: torch.device | str) -> None:
    """CUDA works on after a call has returned."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
