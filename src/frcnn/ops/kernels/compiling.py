"""How kernels are compiled: once for each type of argument, kept on the disk, without the interpreter's lock."""

from collections.abc import Callable
from typing import Any

from numba import njit

Kernel = Callable[..., Any]


def compiled(kernel: Kernel) -> Kernel:
    """With numpy's rule for x / 0: it is infinite or NaN, never an exception."""
    return _compiled(kernel, fastmath=False)


def compiled_to_reorder_sums(kernel: Kernel) -> Kernel:
    """For sums over channels: in vector registers, several at a time, added up at the end."""
    return _compiled(kernel, fastmath={"reassoc", "contract"})


def _compiled(kernel: Kernel, fastmath: bool | set[str]) -> Kernel:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        return njit(cache=True, **options)(kernel)
    except RuntimeError:  # nowhere on the disk may this user write: compiled anew in each process
        return njit(**options)(kernel)
