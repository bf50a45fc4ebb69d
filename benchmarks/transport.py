"""What it costs to carry a map: bytes and milliseconds of messages, and the delay until points are out.

    python benchmarks/transport.py [--json FILE] [--keyframes 12] [--mbits 20] [--delay-ms 50]

Messages: 100 000 Gaussians packed as ``~/gaussians``, as changes, and for the link at half precision.
Delay: a camera at 320x240 before the real node; from the stamp of an image to ``~/points`` and to the
first ``~/map_points`` with it, onboard and with a worker on another ROS domain behind a relay of the
given rate and delay each way.
"""
# ruff: noqa: PLC0415  ROS is imported once its domain is set

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ros_alone import ROOT, keep_alone

sys.path[:0] = [str(ROOT), str(ROOT / "test" / "ros")]  # the camera and the relay of the tests

COUNT = 100_000
WIDTH, HEIGHT, FOCAL = 320, 240, 260.0


def milliseconds(work: Callable[[], Any], repeats: int = 5) -> float:
    """Return the median time of ``work``."""
    spent = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return 1e3 * float(np.median(spent))


def messages() -> dict[str, Any]:
    """Measure packing and unpacking."""
    from rclpy.serialization import deserialize_message, serialize_message
    from sensor_msgs.msg import PointCloud2

    from reconx_ros.ros.cloud_message import from_message, to_message
    from reconx_ros.ros.deltas import DeltaMaker, RowMirror
    from reconx_ros.ros.half_rows import half_message, rows_from_half
    from reconx_ros.ros.messages import header
    from reconx_ros.ros.rows import gaussian_rows, gaussians_from_rows
    from reconx_ros.splatting.gaussians import GaussianMap

    rng = np.random.default_rng(0)
    means, scales, rotations, opacities, sh = (
        rng.normal(size=(COUNT, *shape)).astype(np.float32) for shape in ((3,), (3,), (4,), (), (16, 3))
    )
    gaussians = GaussianMap(
        means,
        scales,
        rotations,
        opacities,
        sh,
        rng.random(COUNT).astype(np.float32),
        np.zeros(COUNT, np.uint8),
    )
    rows, head = gaussian_rows(gaussians), header("map", 0)
    message = to_message(rows, head)
    data = serialize_message(message)
    some = rows.copy()
    some["x"][::10] += 0.01
    maker, mirror = DeltaMaker(), RowMirror()
    mirror.apply(maker.make(rows))
    delta = maker.make(some)
    half = half_message(rows)
    return {
        "gaussians": COUNT,
        "sh_degree": 3,
        "packed_bytes": len(data),
        "rows_ms": milliseconds(lambda: gaussian_rows(gaussians)),
        "message_ms": milliseconds(lambda: to_message(rows, head)),
        "serialise_ms": milliseconds(lambda: serialize_message(message)),
        "deserialise_ms": milliseconds(lambda: deserialize_message(data, PointCloud2)),
        "unpack_ms": milliseconds(lambda: from_message(message)),
        "to_gaussians_ms": milliseconds(lambda: gaussians_from_rows(from_message(message))),
        "changed_tenth_bytes": delta.changed.nbytes,
        "find_changes_ms": milliseconds(lambda: maker.make(rows)),
        "apply_changes_ms": milliseconds(lambda: _applied(rows, delta)),
        "half_bytes": len(half.data),
        "half_pack_ms": milliseconds(lambda: half_message(rows)),
        "half_unpack_ms": milliseconds(lambda: rows_from_half(half)),
    }


def _applied(rows: Any, delta: Any) -> None:  # noqa: ANN401
    from reconx_ros.ros.deltas import RowMirror, complete_delta

    mirror = RowMirror()
    mirror.apply(complete_delta(1, rows))
    mirror.apply(delta)


def keyframe_bytes() -> dict[str, int]:
    """Return the size of a simulated 320x240 keyframe on the link, by format."""
    from rclpy.serialization import serialize_message

    from reconx_ros.ros.keyframe_message import keyframe_to_message
    from reconx_ros.simulation.simulate import simulate
    from reconx_ros.sources.config import SourceConfig
    from reconx_ros.sources.open import open_source

    sizes: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder) / "room", frames=4, width=WIDTH, height=HEIGHT)
        with open_source(Path(folder) / "room", SourceConfig()) as source:
            for frame in source.frames():
                for image, depth in (("jpeg", "png"), ("jpeg", "rvl"), ("webp", "rvl"), ("png", "png")):
                    message = keyframe_to_message(frame, "camera", "map", image, 90, depth)
                    sizes.setdefault(f"{image}+{depth}", []).append(len(serialize_message(message)))
    return {name: round(float(np.mean(found))) for name, found in sizes.items()}


def delays(folder: Path, keyframes: int, link: tuple[float, float] | None) -> dict[str, Any]:
    """Measure the delay from image stamps to points and map.

    Args:
        folder: for logs and maps.
        keyframes: to take.
        link: bits a second and seconds of delay each way, or ``None`` for onboard.
    """
    import rclpy
    import ros_frames

    ros_frames.WIDTH, ros_frames.HEIGHT, ros_frames.FOCAL = WIDTH, HEIGHT, FOCAL
    folder.mkdir()
    processes, relay = start(folder, link)
    node = rclpy.create_node("scene")
    clouds = Arrivals(node)
    try:
        first = drive(node, clouds, keyframes)
        for process in processes[::-1]:
            process.interrupt()
    finally:
        for process in processes:
            process.popen.kill()  # does nothing to those that have ended
    result = clouds.figures(first)
    if relay is not None:
        result["bytes_out"], result["bytes_in"] = relay.passed["out"], relay.passed["in"]
        relay.close()
    node.destroy_node()
    return result


def start(folder: Path, link: tuple[float, float] | None) -> tuple[list[Any], Any]:
    """Start the node, and for a link a worker and the relay; return processes and relay."""
    from ros_helpers import Process, ros_arguments
    from ros_relay import Relay

    domain = int(os.environ["ROS_DOMAIN_ID"])
    processes, relay, values = [], None, {"output": folder / "map", "min_keyframes": 1, "map_period": 0.5}
    if link is not None:
        relay = Relay(domain, domain + 1, link[1], link[0])
        mbits = 0.9 * link[0] / 1e6
        values |= {"worker": "offboard", "link_bandwidth": mbits}
        arguments = ros_arguments([], output=folder / "worker", link_bandwidth=mbits)
        there = {"ROS_DOMAIN_ID": str(domain + 1)}
        command = ["reconx_ros.ros.worker_node", *arguments]
        processes.append(Process(command, folder / "worker.log", **there))
    processes.append(Process(["reconx_ros.ros.node", *ros_arguments([], **values)], folder / "node.log"))
    return processes, relay


class Arrivals:
    """Notes when clouds arrive.

    Attributes:
        came: by topic, for each stamp the milliseconds until the first cloud with it.
    """

    def __init__(self, node: Any) -> None:  # noqa: ANN401
        from sensor_msgs.msg import PointCloud2

        from reconx_ros.ros.qos import reliable

        self.came: dict[str, dict[int, float]] = {"points": {}, "map_points": {}}
        for topic in self.came:
            note = partial(self._note, topic)
            node.create_subscription(PointCloud2, f"/reconx/{topic}", note, reliable(10))

    def figures(self, without: set[int]) -> dict[str, Any]:
        """Return the delays of all stamps but some."""
        result: dict[str, Any] = {"keyframes": len(self.came["points"]) - len(without)}
        for topic, found in self.came.items():
            late = [ms for stamp, ms in found.items() if stamp not in without]
            result[f"{topic}_ms"] = {
                "median": float(np.median(late)),
                "worst": float(max(late)),
                "count": len(late),
            }
        return result

    def _note(self, topic: str, message: Any) -> None:  # noqa: ANN401
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        self.came[topic].setdefault(stamp, (time.time_ns() - stamp) / 1e6)


def drive(node: Any, clouds: Arrivals, keyframes: int) -> set[int]:  # noqa: ANN401
    """Take keyframes one after another; return the stamps of those that met a cold optimiser."""
    from reconx_msgs.msg import MapStatus
    from ros_camera import DrivingCamera
    from ros_helpers import listen, spin_until

    statuses = listen(node, MapStatus, "/reconx/status")
    camera = DrivingCamera(node)
    assert camera.wait(60)
    spin_until(node, lambda: bool(statuses) and statuses[-1].worker == "idle", 120)
    camera.shoot(-1.0, 0)
    spin_until(node, lambda: bool(clouds.came["map_points"]), 60)
    first = set(clouds.came["points"])
    for index in range(keyframes):
        camera.shoot(0.4 * index, index)
        spin_until(node, lambda: False, 2.5)
    spin_until(node, lambda: False, 10)
    return first


def main() -> int:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keyframes", type=int, default=12)
    parser.add_argument("--mbits", type=float, default=20.0)
    parser.add_argument("--delay-ms", type=float, default=50.0)
    options = parser.parse_args()
    keep_alone()
    import rclpy

    from reconx_ros.machine import processor_name

    rclpy.init()
    link = (options.mbits * 1e6, options.delay_ms / 1e3)
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "machine": f"{processor_name()}, {os.cpu_count()} cores",
            "messages": messages(),
            "keyframe_bytes": keyframe_bytes(),
            "onboard": delays(Path(folder) / "onboard", options.keyframes, None),
            f"offboard_{options.mbits:g}_mbits_{options.delay_ms:g}_ms": delays(
                Path(folder) / "offboard", options.keyframes, link
            ),
        }
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
