"""Step 4 of the paper: confidence-aware 3D Gaussian splatting, on CUDA and on the CPU."""
