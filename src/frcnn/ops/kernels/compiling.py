"""How kernels are compiled: once for each type of argument, kept on the disk, without the interpreter's lock."""

from numba import njit

compiled = njit(cache=True, nogil=True, error_model="numpy")  # numpy's: x / 0 is infinite or NaN, never an exception
