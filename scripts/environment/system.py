"""Packages of the operating system: found missing by use, installed by apt where the user is root."""

import ctypes
import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from console import SetupError, clean_environment, run, say

LIBRARIES = {
    "libusb-1.0.so.0": "libusb-1.0-0",  # open3d
    "libgomp.so.1": "libgomp1",  # open3d and OpenMP kernels of torch
    "libGL.so.1": "libgl1",  # open3d
    "libEGL.so.1": "libegl1",  # open3d
    "libX11.so.6": "libx11-6",  # open3d
}


def install_system_packages() -> None:
    """Install what is missing.

    Raises:
        SetupError: Something is missing and the user is not root (the message is the command to run), or it
            is still missing after the installation.
    """
    missing = missing_packages()
    if not missing:
        return
    names = " ".join(missing)
    if shutil.which("apt-get") is None:
        raise SetupError(
            f"missing on this system (names as on Debian): {names}; install them and run again"
        )
    if os.geteuid() != 0:
        raise SetupError(f"run this, then again: sudo apt-get update && sudo apt-get install -y {names}")
    say(f"installing by apt: {names}")
    _apt_install(missing)
    if still_missing := " ".join(missing_packages()):
        raise SetupError(f"apt installed {names}, but {still_missing} cannot be found or loaded")


def missing_packages() -> list[str]:
    """Return the Debian names of what is not there."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    absent = {
        "g++": shutil.which("g++") is None,
        f"{version}-venv": not _has_module("ensurepip"),
        f"{version}-dev": not Path(sysconfig.get_path("include"), "Python.h").is_file(),
        **{package: not _loads(library) for library, package in LIBRARIES.items()},
    }
    return [package for package, is_absent in absent.items() if is_absent]


def _apt_install(packages: list[str]) -> None:
    variables = {**clean_environment(), "DEBIAN_FRONTEND": "noninteractive"}
    try:
        # A fresh image has no package lists: without this, apt cannot locate any package.
        run(["apt-get", "update", "-q"], "apt-get update failed", variables)
    except SetupError as error:
        say(f"{error}; trying with the package lists at hand")
    run(
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages],
        f"apt could not install {' '.join(packages)}",
        variables,
    )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
