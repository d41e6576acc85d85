"""A kernel's rows, split over a small pool of threads that share nothing with OpenMP's.

numba's own layers are not used: OpenMP's kills a forked child, workqueue dies under concurrent callers.
"""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

_pools: dict[int, ThreadPoolExecutor] = {}  # by the number of threads


def in_parts(work: Callable[[int, int], None], count: int, least: int = 1) -> None:
    """Call `work(begin, end)` over ranges that cover `count` rows, at least `least` rows each, all at the same time.

    As many threads as torch uses: one in a loader's process. `work` must let go of the GIL to gain from it.
    """
    parts = max(1, min(torch.get_num_threads(), count // max(least, 1)))
    bounds = [count * part // parts for part in range(parts + 1)]
    others = [_submit(parts - 1, work, begin, end) for begin, end in itertools.pairwise(bounds[1:])]
    work(bounds[0], bounds[1])
    for other in others:
        other.result()


def _submit(threads: int, work: Callable[[int, int], None], begin: int, end: int) -> "Future[None]":
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="frcnn-kernel")
    try:
        return _pools[threads].submit(work, begin, end)
    except RuntimeError:  # the interpreter ends: no thread begins any more, but those that run may call kernels
        work(begin, end)
        done: Future[None] = Future()
        done.set_result(None)
        return done


# Threads do not survive a fork: the child begins its own. (OpenMP's do not either: a child that was forked from a
# process with several must call torch.set_num_threads(1), as loaders' processes do, for torch's own operators.)
os.register_at_fork(after_in_child=_pools.clear)
