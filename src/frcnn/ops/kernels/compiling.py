"""How kernels are compiled: once for each type of argument, kept on the disk, without the interpreter's lock."""

from numba import njit

# error_model numpy's: x / 0 is infinite or NaN, never an exception
compiled = njit(cache=True, nogil=True, error_model="numpy")
# For sums over channels, in vector registers: several at a time, added up at the end.
compiled_to_reorder_sums = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
