"""Step 1 of the paper: the global point cloud with a confidence for every point."""
