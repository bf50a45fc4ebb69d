"""ReconX as a ROS 2 node: from a few camera keyframes to a confidence-weighted 3D Gaussian map."""

__version__ = "0.1.0"
