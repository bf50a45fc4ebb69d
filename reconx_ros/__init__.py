"""ReconX as a ROS 2 node: from a few camera keyframes to a confidence-weighted 3D Gaussian map."""

import os

__version__ = "0.1.0"

# GNU OpenMP, of which torch and numba load one each, reads this when loaded. Threads that wait for work
# then sleep instead of spinning: on a machine that also runs a robot spinning costs the others their time,
# and this process several times its own.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
