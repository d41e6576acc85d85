"""The fast form of rules, for the CPU: Python that numba compiles, so that nobody needs a compiler to change it.

Nothing is compiled, nor numba imported, before the first call; what was compiled stays on the disk.
"""
