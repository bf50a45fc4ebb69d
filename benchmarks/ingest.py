"""Feed 640x480 colour and depth at 30 Hz into the real node while it reconstructs, and measure.

    python benchmarks/ingest.py [--seconds 600] [--json FILE]

Three processes: a camera (rgb8 and 16UC1 over Fast DDS), the node as a user runs it (with its
worker), and this one, which listens to ``~/status``. The node's image callbacks are timed from
within; nothing else about it is changed. Slopes of memory are those of the second half.
"""
# ruff: noqa: PLC0415  each of the three processes imports what it needs, no more

import argparse
import array
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from ros_alone import ROOT, keep_alone

sys.path.insert(0, str(ROOT))

from reconx_ros.machine import describe_machine

RATE_HZ = 30.0
SPEED = 0.3
"""Metres a second along the wall."""
DISTANCE = 2.0
"""Metres to the wall."""


@dataclass(frozen=True)
class Walk:
    """How a camera is led along a textured wall, there and back.

    Attributes:
        width: of its images.
        height: of its images.
        rate_hz: images a second of its time.
        length: metres before it turns back.
        faster: its seconds a second of ours; above 1 it publishes /clock.
    """

    width: int = 640
    height: int = 480
    rate_hz: float = RATE_HZ
    length: float = 8.0
    faster: float = 1.0

    @property
    def focal(self) -> float:
        """In pixels, of a Kinect's field of view."""
        return 525.0 * self.width / 640


class Camera:
    """Publishes a camera that looks at a textured wall and moves along it, there and back."""

    def __init__(self, walk: Walk = Walk()) -> None:
        import rclpy
        from geometry_msgs.msg import TransformStamped
        from rosgraph_msgs.msg import Clock
        from sensor_msgs.msg import CameraInfo, Image
        from tf2_msgs.msg import TFMessage

        from reconx_ros.ros.qos import reliable

        self._walk, width, height, focal = walk, walk.width, walk.height, walk.focal
        rclpy.init()
        node = rclpy.create_node("camera")
        self._clock = node.create_publisher(Clock, "/clock", reliable()) if walk.faster > 1 else None
        self._colour = node.create_publisher(Image, "image", reliable(5))
        self._depth = node.create_publisher(Image, "depth", reliable(5))
        self._info = node.create_publisher(CameraInfo, "camera_info", reliable(5))
        self._tf = node.create_publisher(TFMessage, "/tf", reliable(100))
        self._transforms = TFMessage(transforms=[TransformStamped(child_frame_id="camera")])
        self._image = Image(height=height, width=width, encoding="rgb8", step=width * 3)
        self._measured = Image(height=height, width=width, encoding="16UC1", step=width * 2)
        depth = np.full((height, width), DISTANCE * 1000, np.uint16)
        self._measured.data = array.array("B", depth.tobytes())
        k = [focal, 0.0, (width - 1) / 2, 0.0, focal, (height - 1) / 2, 0.0, 0.0, 1.0]
        self._calibration = CameraInfo(width=width, height=height, k=k)
        pixels = int(walk.length * focal / DISTANCE) + width
        coarse = np.random.default_rng(0).integers(0, 255, (60, pixels // 8, 3), dtype=np.uint8)
        self._wall = cv2.resize(coarse, (pixels, height), interpolation=cv2.INTER_CUBIC)

    def run(self, seconds: float) -> None:
        """Publish so many seconds of the camera's time."""
        publishers = (self._colour, self._depth, self._info, self._tf)
        deadline = time.monotonic() + 20
        while not all(p.get_subscription_count() for p in publishers) and time.monotonic() < deadline:
            time.sleep(0.05)
        begin, first, rate = time.monotonic(), time.time_ns(), self._walk.rate_hz
        for index in range(round(seconds * rate)):
            time.sleep(max(0.0, begin + index / rate / self._walk.faster - time.monotonic()))
            stamp = time.time_ns() if self._clock is None else first + round(index / rate * 1e9)
            self._tell(stamp)
            self._publish(SPEED * index / rate, stamp)

    def _tell(self, stamp: int) -> None:
        from reconx_ros.ros.messages import header

        if self._clock is not None:
            from rosgraph_msgs.msg import Clock

            self._clock.publish(Clock(clock=header("", stamp).stamp))

    def _publish(self, travelled: float, stamp: int) -> None:
        from reconx_ros.ros.messages import header

        length = self._walk.length
        there = travelled % (2 * length)
        x = min(there, 2 * length - there)
        left = round(x * self._walk.focal / DISTANCE)
        self._image.data = array.array("B", self._wall[:, left : left + self._walk.width].tobytes())
        for message in (self._image, self._measured, self._calibration):
            message.header = header("camera", stamp)
        (transform,) = self._transforms.transforms
        transform.header = header("map", stamp)
        transform.transform.translation.x, transform.transform.rotation.w = x, 1.0
        self._tf.publish(self._transforms)
        self._info.publish(self._calibration)
        self._depth.publish(self._measured)
        self._colour.publish(self._image)


class Probe:
    """Runs the node with its image callbacks timed."""

    def __init__(self) -> None:
        self.spent: list[float] = []
        self.delay: list[float] = []
        self.window: list[tuple[float, float]] = []

    def timed(self, take: Callable[..., None]) -> Callable[..., None]:
        """Return the callback ``take``, timed."""

        def callback(ingest: object, kind: str, payload: bytes) -> None:
            came = time.perf_counter()
            self.window[min(len(self.window), 1) :] = [(came, time.process_time())]
            seconds, nanoseconds = np.frombuffer(payload, "<u4", count=2, offset=4)
            self.delay.append(time.time() - float(seconds) - float(nanoseconds) * 1e-9)
            take(ingest, kind, payload)
            self.spent.append(time.perf_counter() - came)

        return callback

    def run(self, report: Path, arguments: list[str]) -> int:
        """Run the node; write the figures at its end."""
        from reconx_ros.ros import node
        from reconx_ros.ros.ingest import Ingest

        Ingest.colour = self.timed(Ingest.colour)  # type: ignore[method-assign]
        Ingest.depth = self.timed(Ingest.depth)  # type: ignore[method-assign]
        code = node.main(arguments)
        (wall0, cpu0), (wall1, cpu1) = self.window[0], self.window[-1]
        figures = {
            "callbacks": len(self.spent),
            "callback_ms": milliseconds(self.spent),
            "delay_ms": milliseconds(self.delay),
            "cpu_share": (cpu1 - cpu0) / max(wall1 - wall0, 1e-9),
        }
        report.write_text(json.dumps(figures))
        return code


def milliseconds(seconds: list[float]) -> dict[str, float]:
    """Return median, 99th percentile and worst."""
    values = np.array(seconds) * 1e3
    return {
        "median": float(np.median(values)),
        "p99": float(np.percentile(values, 99)),
        "worst": float(values.max()),
    }


def slope(samples: list[dict[str, float]], name: str, after: float) -> dict[str, float] | None:
    """Return a straight line's growth an hour, with its standard error, of the samples after a time.

    ``None`` where there are too few to tell.
    """
    kept = [each for each in samples if each["seconds"] >= after]
    if len(kept) < 5:
        return None
    hours: NDArray[np.float64] = np.array([each["seconds"] for each in kept]) / 3600
    values = np.array([each[name] for each in kept])
    (growth, _), covariance = np.polyfit(hours, values, 1, cov=True)
    return {"an_hour": round(float(growth), 2), "error": round(float(covariance[0, 0] ** 0.5), 2)}


def watch(camera: "subprocess.Popen[bytes]") -> dict[str, Any]:
    """Follow ``~/status`` until the camera ends; return what the last one says, and what has grown."""
    import rclpy
    from reconx_msgs.msg import MapStatus

    from reconx_ros.ros.qos import reliable

    rclpy.init()
    node = rclpy.create_node("watcher")
    statuses: list[Any] = []
    node.create_subscription(MapStatus, "/reconx/status", statuses.append, reliable())
    begun = told = time.monotonic()
    end, samples = float("inf"), list[dict[str, float]]()
    while time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.2)
        if end == float("inf") and camera.poll() is not None:
            end = time.monotonic() + 1.5
        if statuses and time.monotonic() - told > 5:
            told, now = time.monotonic(), statuses[-1]
            samples.append({"seconds": told - begun, **memory_of(now)})
            print(f"  {now.frames_received} images, {now.keyframes} keyframes, {now.gaussians} Gaussians")
    last = statuses[-1]
    return {
        "received": last.frames_received,
        "keyframes": last.keyframes,
        "gaussians": last.gaussians,
        "maps_published": last.map_version,
        "dropped": dict(zip(last.drop_reasons, list(last.drop_counts), strict=True)),
        **memory_of(last),
        "growth": {name: slope(samples, name, (told - begun) / 2) for name in memory_of(last)},
        "worker_restarts": last.worker_restarts,
    }


def memory_of(status: Any) -> dict[str, float]:  # noqa: ANN401  (a message)
    """Return the MiB that both processes hold."""
    return {
        "memory_mb": status.memory_bytes / 2**20,
        "worker_memory_mb": status.worker_memory_bytes / 2**20,
    }


def measure(seconds: float) -> dict[str, Any]:
    """Run camera and node for so long and return every figure."""
    keep_alone()
    with tempfile.TemporaryDirectory() as folder:
        report, me = Path(folder) / "probe.json", [sys.executable, str(Path(__file__))]
        parameters = ["--ros-args", "-p", f"output:={folder}/map"]
        node = subprocess.Popen([*me, "--probe", str(report), *parameters])
        camera = subprocess.Popen([*me, "--camera", "--seconds", str(seconds)])
        figures = watch(camera)
        node.send_signal(signal.SIGINT)
        node.wait(180)
        figures |= json.loads(report.read_text())
    return {
        "machine": describe_machine(),
        "seconds": seconds,
        "published": round(seconds * RATE_HZ),
        **figures,
    }


def show(figures: dict[str, Any]) -> None:
    """Print the figures."""
    print(f"published {figures['published']} colour and depth images at {RATE_HZ:g} Hz")
    print(f"received  {figures['received']} colour images, {figures['callbacks']} callbacks in all")
    for name, what in (("callback_ms", "in a callback"), ("delay_ms", "from stamp to callback")):
        ms = figures[name]
        line = f"median {ms['median']:.2f} ms, p99 {ms['p99']:.2f} ms, worst {ms['worst']:.1f} ms"
        print(f"{what}: {line}")
    for name, growth in figures["growth"].items():
        print(f"{name}: " + (f"{growth['an_hour']:+g} MB an hour" if growth else "too short to tell"))
    dropped = ", ".join(f"{reason} {count}" for reason, count in figures["dropped"].items())
    print(f"dropped by reason: {dropped or 'none'}")
    print(f"map: {figures['keyframes']} keyframes, {figures['gaussians']} Gaussians")
    print(f"ROS process: {figures['cpu_share']:.0%} of one core, {figures['memory_mb']:.0f} MB")
    print(f"worker process: {figures['worker_memory_mb']:.0f} MB")


def main() -> int:
    """Measure, or play one of the other parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--camera", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--probe", type=Path, help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    if options.camera:
        Camera().run(options.seconds)
        return 0
    if options.probe:
        return Probe().run(options.probe, [sys.argv[0], *rest])
    figures = measure(options.seconds)
    show(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
