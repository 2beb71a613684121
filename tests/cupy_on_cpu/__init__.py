"""The real CuPy, unmodified, on a machine without a GPU. README.md says what that shows and what it does not.

    from cupy_on_cpu import emulation
    emulation.install()             # before CuPy is imported
    import cupy

Read emulation.py first, then capsules.py and kernels.py; c/ holds what they compile.
"""
