"""Plane-sweep stereo in torch, for CUDA: the equations of the numba kernels on whole images at once."""
