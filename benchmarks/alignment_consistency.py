"""Whether the covariances of aligned cameras are honest: squared errors over what is predicted of them.

    python benchmarks/alignment_consistency.py [--json FILE] [--plot FILE] [--draws N]

Ten views of simulated rooms, odometry disturbed by 2 cm and 1 degree, each view paired with the next two,
both ways round. ``noise``: pairs of unknown scale, depth with 2 percent of noise. ``bent``: as a network
might err (``benchmarks/alignment.py``). NEES, the normalised estimation error squared of the six numbers of
a pose, is chi-square distributed with six degrees of freedom where covariances are honest: its mean over 6
is 1, and 95 percent are below 12.59. Errors of the views of one draw are not independent.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from alignment import disturbed, simulated_pair
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from reconx_ros.camera import Camera
from reconx_ros.geometry.align.align import align
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.priors import priors_of
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.machine import processor_name
from reconx_ros.simulation.film import intrinsics, photograph
from reconx_ros.simulation.paths import orbit_path
from reconx_ros.simulation.rooms import room
from reconx_ros.simulation.sensor import SensorNoise

Array = NDArray[np.float64]
VIEWS, ROOMS = 10, 3
NEXT = [(a, b) for a in range(VIEWS) for b in (a + 1, a + 2) if b < VIEWS]
ENDS = [*NEXT, *((b, a) for a, b in NEXT)]


def walk(seed: int) -> list[Keyframe]:
    """Return the views of half a walk around a room."""
    scene, camera = room(seed, 0.3, 2), Camera(intrinsics(96, 72), np.eye(4), 96, 72)
    poses = orbit_path(scene, 2 * VIEWS)[:VIEWS]
    return [photograph(scene, camera.moved(pose), SensorNoise(), n, n, 0) for n, pose in enumerate(poses)]


def noisy_pair(
    truth: Sequence[Keyframe], first: int, second: int, random: np.random.Generator
) -> PairPointMaps:
    """Return a pair of unknown scale with 2 percent of noise."""
    into, scale = truth[first].camera.camera_from_world, float(np.exp(0.5 * random.standard_normal()))
    points, sure = [], []
    for view in (first, second):
        depth = truth[view].depth
        assert depth is not None
        false = (depth * (1 + 0.02 * random.standard_normal(depth.shape))).astype(np.float32)
        world = truth[view].camera.unproject(false).astype(np.float64)
        points.append((scale * (world @ into[:3, :3].T + into[:3, 3])).astype(np.float32))
        sure.append(np.where(np.isfinite(depth), 5.0, 1.0).astype(np.float32))
    return PairPointMaps(first, second, (points[0], points[1]), (sure[0], sure[1]))


def nees(cameras: Sequence[Camera], truth: Sequence[Keyframe], covariance: Array) -> list[float]:
    """Return the squared error of each pose over its covariance, 6 on average if that is honest."""
    values = []
    for camera, keyframe, own in zip(cameras, truth, covariance, strict=True):
        turn = camera.world_from_camera[:3, :3] @ keyframe.camera.world_from_camera[:3, :3].T
        error = np.r_[camera.centre - keyframe.camera.centre, Rotation.from_matrix(turn).as_rotvec()]
        values.append(float(error @ np.linalg.solve(own, error)))
    return values


def draw(kind: str, truth: Sequence[Keyframe], seed: int) -> list[float]:
    """Return the NEES of each view of one draw."""
    random, config = np.random.default_rng([seed, 7]), AlignmentConfig(samples=300)
    make = noisy_pair if kind == "noise" else simulated_pair
    pairs = [make(truth, a, b, random) for a, b in ENDS]
    rough = disturbed(truth, config.position_deviation, config.rotation_deviation, seed)
    found = align(pairs, [view.camera for view in rough], priors_of(rough, config), config)
    return nees(found.cameras, truth, found.covariance)


def plot(values: dict[str, list[float]], file: Path) -> None:
    """Draw the distributions beside chi-square's."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(5, 3.8))
    x = np.linspace(0, 25, 200)
    for name, some in values.items():
        axes.plot(np.sort(some), (np.arange(len(some)) + 0.5) / len(some), label=name)
    axes.plot(x, chi2.cdf(x, 6), "k:", label="honest: chi-square, 6")
    axes.set(xlabel="NEES of a pose", ylabel="share of poses below", xlim=(0, 25), ylim=(0, 1))
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def main() -> None:
    """Print the figures; write and draw them on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--draws", type=int, default=20)
    arguments = parser.parse_args()
    walks = [walk(seed) for seed in range(ROOMS)]
    values = {
        kind: [v for seed in range(arguments.draws) for v in draw(kind, walks[seed % ROOMS], seed)]
        for kind in ("noise", "bent")
    }
    rows = {
        kind: {
            "poses": len(some),
            "nees_over_6": round(float(np.mean(some)) / 6, 3),
            "below_95_percent": round(float(np.mean(np.array(some) < chi2.ppf(0.95, 6))), 3),
        }
        for kind, some in values.items()
    }
    print(json.dumps(rows, indent=1))
    if arguments.plot:
        plot(values, arguments.plot)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": processor_name(), **rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
