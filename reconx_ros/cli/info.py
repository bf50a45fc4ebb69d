"""`reconx info`: the environment on one screen, for bug reports."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import click

from reconx_ros import __version__
from reconx_ros.machine import processor_name

PACKAGES = (
    *("numpy", "torch", "numba", "gsplat", "open3d", "opencv-python-headless", "diffusers", "transformers"),
    *("safetensors", "pycolmap", "rosbags", "pydantic", "viser"),
)


@click.command()
def command() -> None:
    """Print versions, processor, GPU and ROS as this program finds them."""
    for name, value in _rows():
        click.echo(f"{name:<24}{value}")


def _rows() -> list[tuple[str, str]]:
    return [
        ("reconx_ros", __version__),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        ("system", platform.platform()),
        ("processor", f"{processor_name()}, {os.cpu_count()} cores"),
        ("gpu", _gpu()),
        ("ros", _ros()),
        *((name, _version(name)) for name in PACKAGES),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _gpu() -> str:
    import torch  # noqa: PLC0415  (slow to import)

    if not torch.cuda.is_available():
        return "none (CUDA is not available; the CPU rasterizer is used)"
    return f"{torch.cuda.get_device_name()} (CUDA {torch.version.cuda})"


def _ros() -> str:
    distro = os.environ.get("ROS_DISTRO")
    try:
        import rclpy  # noqa: PLC0415
    except ImportError as err:
        return f"rclpy cannot be imported: {err}"
    return f"{distro or 'from Python packages'} ({rclpy.__file__})"
