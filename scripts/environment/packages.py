"""Python packages: pinned in requirements/, torch first and by itself, then all others at once."""

import csv
import shutil
import sys
from pathlib import Path

from console import clean_environment, run, say
from stamps import Stamps, digest_of
from venv_python import VenvPython


def install_packages(root: Path, venv: VenvPython, stamps: Stamps, ros_requirements: Path) -> None:
    """Install what requirements/ pins, unless that is done already.

    Args:
        root: The repository.
        venv: The environment.
        stamps: Remembers what is done.
        ros_requirements: The requirements file of the ROS in use.
    """
    pins = root / "requirements"
    _install(venv, stamps, "torch", pins / "torch.txt")
    # torch is named again, so that nothing else can ask for another one.
    others = (pins / "core.txt", pins / "wan.txt", pins / "train.txt", ros_requirements, pins / "dev.txt")
    _install(venv, stamps, "packages", pins / "torch.txt", *others)


def install_project(root: Path, venv: VenvPython, stamps: Stamps) -> None:
    """Install reconx_ros itself, editable, unless its metadata is unchanged since."""
    metadata = ("pyproject.toml", "setup.py", "requirements/torch.txt", "requirements/core.txt")
    digest = digest_of(*(root / name for name in metadata))
    if stamps.done("project", digest):
        return
    say("installing reconx_ros (editable)")
    command = [*_pip_install(venv), "--no-deps", "--no-build-isolation", "-e", root]
    run(command, "reconx_ros could not be installed", _pip_environment(), quiet=True)
    stamps.record("project", digest)


def half_installed(site_packages: Path) -> list[Path]:
    """Return the .dist-info folders of packages that an interrupted run left incomplete.

    pip takes every package that has such a folder for installed, even one it was killed at.
    """
    return [info for info in site_packages.glob("*.dist-info") if not _is_complete(info)]


def _is_complete(info: Path) -> bool:
    """Tell whether all files of a package are there; pip writes INSTALLER after them and RECORD last."""
    if not (info / "INSTALLER").is_file() or not (info / "RECORD").is_file():
        return False
    with (info / "RECORD").open(newline="", encoding="utf-8") as record:
        names = [row[0] for row in csv.reader(record) if row]
    return all((info.parent / name).exists() for name in names if not name.endswith(".pyc"))


def _install(venv: VenvPython, stamps: Stamps, step: str, *requirements: Path) -> None:
    digest = digest_of(*requirements)
    if stamps.done(step, digest):
        return
    say(f"installing {', '.join(path.name for path in requirements)} (the first time takes a few minutes)")
    for info in half_installed(venv.site_packages):
        say(f"installing again, as it is incomplete: {info.stem}")
        shutil.rmtree(info)
    files = [word for path in requirements for word in ("-r", path)]
    run([*_pip_install(venv), *files], f"pip could not install {step}", _pip_environment())
    stamps.record(step, digest)


def _pip_install(venv: VenvPython) -> list[str | Path]:
    # Byte code is made when a module is first imported: making it for all takes longer than the rest.
    options = ["--no-compile", "--disable-pip-version-check"]
    quiet = [] if sys.stdout.isatty() else ["-q"]
    return [venv.executable, "-m", "pip", "install", *options, *quiet]


def _pip_environment() -> dict[str, str]:
    """Return our variables without PYTHONPATH: what a sourced ROS brings is not installed here."""
    variables = clean_environment()
    variables.pop("PYTHONPATH", None)
    return variables
