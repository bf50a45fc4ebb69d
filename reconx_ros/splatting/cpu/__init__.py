"""The CPU rasterizer: numba kernels over eight-lane vectors, threaded, with their own backward pass."""
