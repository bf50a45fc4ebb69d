"""Let the real node map for an hour of the robot's time, and see whether anything grows.

    python benchmarks/endurance.py [--seconds 3600] [--faster 4] [--length 60] [--json FILE] [--plot FILE]

A camera (320x240 colour and depth at 5 Hz, over Fast DDS) is led along a textured wall, there and back; far
submaps go to disk on the way and come back. ``--faster`` plays the robot's time faster, with /clock and
``use_sim_time``. Memory of both processes, disk and counters are read from ``~/status``. While the wall is
new to the map, it grows; slopes are fitted to the samples of the last third, which are in the file too.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ingest import SPEED, Camera, Probe, Walk, slope
from ros_alone import keep_alone

from reconx_ros.machine import describe_machine

WIDTH, HEIGHT, RATE_HZ = 320, 240, 5.0
SAMPLE_EVERY = 10.0
"""Seconds of the robot's time between two samples."""

KEPT = 60
"""Samples in the file, about."""

MEMORIES = ("memory_mb", "worker_memory_mb")


def walk_of(options: argparse.Namespace) -> Walk:
    """Return how the camera is led."""
    return Walk(WIDTH, HEIGHT, RATE_HZ, options.length, options.faster)


def watch(
    camera: "subprocess.Popen[bytes]", faster: float, folder: Path
) -> tuple[list[dict[str, float]], dict[str, int]]:
    """Follow ``~/status`` until the camera ends; return a sample every so often, and drops by reason."""
    import rclpy  # noqa: PLC0415  (the camera and the node import what they need themselves)
    from reconx_msgs.msg import MapStatus  # noqa: PLC0415

    from reconx_ros.ros.qos import reliable  # noqa: PLC0415

    rclpy.init()
    node = rclpy.create_node("watcher")
    newest: list[Any] = []
    node.create_subscription(MapStatus, "/reconx/status", newest.append, reliable())
    samples: list[dict[str, float]] = []
    drops: dict[str, int] = {}
    begun = time.monotonic()
    while camera.poll() is None:
        rclpy.spin_once(node, timeout_sec=0.2)
        elapsed = (time.monotonic() - begun) * faster
        if newest and elapsed >= SAMPLE_EVERY * len(samples):
            samples.append({"seconds": elapsed, **figures_of(newest[-1]), "disk_mb": size_of(folder)})
            drops = dict(zip(newest[-1].drop_reasons, map(int, newest[-1].drop_counts), strict=True))
            del newest[:-1]
            if len(samples) % 6 == 0:
                print({name: round(value, 1) for name, value in samples[-1].items()}, flush=True)
    return samples, drops


def figures_of(status: Any) -> dict[str, float]:  # noqa: ANN401  (a message)
    """Return what a status says of size."""
    return {
        "memory_mb": status.memory_bytes / 2**20,
        "worker_memory_mb": status.worker_memory_bytes / 2**20,
        "keyframes": status.keyframes,
        "gaussians": status.gaussians,
        "submaps": status.submaps,
        "submaps_on_disk": status.submaps_on_disk,
        "received": status.frames_received,
        "maps": status.map_version,
        "worker_restarts": status.worker_restarts,
    }


def size_of(folder: Path) -> float:
    """Return the size of a folder in MiB."""
    done = subprocess.run(["du", "-sk", folder], capture_output=True, text=True, check=False)
    return int((done.stdout or "0").split()[0]) / 1024


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run camera and node, and return every figure."""
    keep_alone()
    me = [sys.executable, str(Path(__file__))]
    lead = [
        "--seconds",
        str(options.seconds),
        "--length",
        str(options.length),
        "--faster",
        str(options.faster),
    ]
    with tempfile.TemporaryDirectory() as scratch:
        folder, report = Path(scratch) / "map", Path(scratch) / "probe.json"
        parameters = ["-p", f"output:={folder}", "-p", f"use_sim_time:={str(options.faster > 1).lower()}"]
        node = subprocess.Popen([*me, "--probe", str(report), "--ros-args", *parameters])
        camera = subprocess.Popen([*me, "--camera", *lead])
        samples, drops = watch(camera, options.faster, folder)
        node.send_signal(signal.SIGINT)
        code = node.wait(300)
        probe = json.loads(report.read_text())
    known = 2 / 3 * options.seconds
    samples = samples[:: max(1, len(samples) // KEPT)]
    return {
        "machine": describe_machine(),
        "robot_seconds": options.seconds,
        "faster": options.faster,
        "wall_metres": options.length,
        "walked_metres": options.seconds * SPEED,
        "published": round(options.seconds * RATE_HZ),
        "dropped": drops,
        "callback_ms": probe["callback_ms"],
        "growth_after_s": known,
        "growth": {name: slope(samples, name, known) for name in (*MEMORIES, "gaussians", "disk_mb")},
        "exit_code": code,
        "last": samples[-1] if samples else None,
        "samples": [{name: round(value, 1) for name, value in each.items()} for each in samples],
    }


def plot(figures: dict[str, Any], file: Path) -> None:
    """Draw memory and what is in it over time."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    minutes = [each["seconds"] / 60 for each in figures["samples"]]
    picture = Figure(figsize=(8, 6), layout="constrained")
    above, below = picture.subplots(2, 1, sharex=True)
    for name in (*MEMORIES, "disk_mb"):
        above.plot(minutes, [each[name] for each in figures["samples"]], label=name)
    for name in ("keyframes", "submaps", "submaps_on_disk"):
        below.plot(minutes, [each[name] for each in figures["samples"]], label=name)
    for axes, what in ((above, "MiB"), (below, "count")):
        axes.set_ylabel(what)
        axes.set_ylim(bottom=0)
        axes.legend()
        axes.axvline(figures["growth_after_s"] / 60, color="grey", linestyle=":")
    below.set_xlabel("minutes of the robot's time")
    picture.savefig(file, dpi=100)


def main() -> int:
    """Measure, or play one of the other parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600.0, help="of the robot's time")
    parser.add_argument("--faster", type=float, default=1.0, help="its seconds a second")
    parser.add_argument("--length", type=float, default=60.0, help="metres of wall")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--camera", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--probe", type=Path, help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    if options.camera:
        Camera(walk_of(options)).run(options.seconds)
        return 0
    if options.probe:
        return Probe().run(options.probe, [sys.argv[0], *rest])
    figures = measure(options)
    print(json.dumps({name: value for name, value in figures.items() if name != "samples"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    if options.plot:
        plot(figures, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
