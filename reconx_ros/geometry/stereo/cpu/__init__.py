"""Numba kernels of plane-sweep stereo; each file is complete in itself: cached code is never stale."""
