"""DUSt3R (Wang et al. 2024): pointmaps of image pairs from a network whose weights the user brings."""
