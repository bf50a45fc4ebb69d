"""How long a live map takes for a keyframe, over the size of the map.

    python benchmarks/adding.py [--json FILE] [--keyframes 8] [--sizes 10000 100000 500000]

A map of so many Gaussians is loaded, a floor that no keyframe looks at; then keyframes of a simulated room
(320x240, with depth) are added; each sees some of what those before it saw. The map is not refined. No cap
is reached, but in the case ``full``: there each of these keyframes takes the map above its cap.
Given is the median over the keyframes after the second, the time of all cores, and the part of each stage:
geometry is pointmap and fusion, splatting all that becomes of the Gaussians. On a machine that does other
things beside, only the time of the cores can be compared.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from reconx_ros.config import ReconxConfig, load_config
from reconx_ros.geometry.protocol import OBSERVED, PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.select import select_evenly
from reconx_ros.machine import processor_name
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.simulation.simulate import simulate
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.splatting.initialise import initialise

SPACING, BELOW = 0.03, -20.0  # metres
CAP = 1_000_000  # points, and Gaussians beside those of the floor: never reached
FULL = 200_000
WARM = 2  # keyframes


def floor(count: int, config: ReconxConfig) -> Reconstruction:
    """Return a map of ``count`` Gaussians far below the room."""
    side = int(np.ceil(np.sqrt(count)))
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    flat = [SPACING * x.ravel(), SPACING * y.ravel(), np.full(side * side, BELOW)]
    points = np.stack(flat, axis=1)[:count].astype(np.float32)
    cloud = PointCloud(
        points,
        np.full((count, 3), 128, np.uint8),
        np.tile(np.array([0, 0, 1], np.float32), (count, 1)),
        np.full(count, 9, np.float32),
        np.full(count, OBSERVED, np.uint8),
        np.ones(count, np.int32),
    )
    return Reconstruction(initialise(cloud, config.splatting, count), cloud, (), True)


def configured(cap: int) -> ReconxConfig:
    """Return the preset ``fast`` with this cap on Gaussians beside the floor's, and none on points."""
    fusion = {"max_points": CAP}
    return load_config("fast", None, {"splatting": {"max_gaussians": cap}, "geometry": {"fusion": fusion}})


def measure(count: int, keyframes: list[Keyframe], config: ReconxConfig) -> dict[str, Any]:
    """Return the milliseconds of a keyframe on a map of ``count`` Gaussians."""
    mapper = IncrementalMapper(config)
    mapper.load(floor(count, config))
    rows, before, after = [], dict[str, float](), 0
    for keyframe in keyframes:
        began, busy = time.perf_counter(), time.process_time()
        mapper.add(keyframe)
        row = {"all": time.perf_counter() - began, "cores": time.process_time() - busy}
        snapshot = mapper.snapshot(whole=False)
        assert snapshot is not None
        now, after = snapshot.report["seconds"], len(snapshot.gaussians)
        rows.append(row | {stage: now[stage] - before.get(stage, 0.0) for stage in now})
        before = now
    stages = {stage: [row[stage] for row in rows[WARM:]] for stage in rows[-1]}
    return {
        "gaussians_before": count,
        "gaussians_after": after,
        "milliseconds": {stage: round(1e3 * float(np.median(each)), 1) for stage, each in stages.items()},
        "worst": round(1e3 * max(stages["all"]), 1),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keyframes", type=int, default=8)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 500_000])
    options = parser.parse_args()
    config = configured(CAP)
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / "room"
        simulate(bag, frames=options.keyframes, width=320, height=240)
        with open_source(bag, SourceConfig()) as source:
            keyframes = select_evenly(source.frames(), options.keyframes, 320)
    measure(1000, keyframes, config)  # kernels are compiled by now
    figures = {
        "machine": f"{processor_name()}, {os.cpu_count()} cores",
        "keyframes": options.keyframes,
        "sizes": [measure(size, keyframes, config) for size in options.sizes],
        "full": measure(FULL, keyframes, configured(FULL // 10)),
    }
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
