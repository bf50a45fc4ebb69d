"""`reconx simulate`: a recording of a walk through a procedural scene, with exact poses and depth."""

from pathlib import Path

from reconx_ros.errors import ConfigError
from reconx_ros.progress import Progress, Silent
from reconx_ros.simulation.bag import Storage, check_output, write_bag
from reconx_ros.simulation.sensor import HANDHELD, SensorNoise

SCENES = ("room",)


def simulate(
    output: Path,
    *,
    scene: str = "room",
    seed: int = 0,
    frames: int = 60,
    rate_hz: float = 3.0,
    width: int = 640,
    height: int = 480,
    noise: bool = False,
    raw: bool = False,
    storage: Storage = "mcap",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the bag of a simulated RGB-D camera carried once around a procedural scene.

    When ``progress`` asks to stop, the bag holds the frames made so far.

    Args:
        output: the bag folder to make.
        scene: one of ``SCENES``.
        seed: of the scene, the path and the noise.
        frames: number of frames.
        rate_hz: frames a second of recording.
        width: pixels.
        height: pixels.
        noise: simulate sensor noise, exposure drift and depth holes; otherwise only the rounding to
            8 bits and whole millimetres.
        raw: write raw colour images instead of JPEG.
        storage: ``mcap`` or ``sqlite3``.
        overwrite: replace a bag that is at ``output``.
        progress: told about every frame.

    Raises:
        ConfigError: an option is unknown or out of range.
        SourceError: ``output`` is taken or cannot be written.
    """
    _check(scene, seed, frames, rate_hz, width, height)
    check_output(Path(output), overwrite)
    # Slow to import: the command line must be able to list the options without it.
    from reconx_ros.simulation.film import film  # noqa: PLC0415

    errors = HANDHELD if noise else SensorNoise()
    recording = film(scene, seed, frames, rate_hz, width, height, errors, progress or Silent())
    write_bag(Path(output), recording, storage=storage, raw=raw, overwrite=overwrite)


def _check(scene: str, seed: int, frames: int, rate_hz: float, width: int, height: int) -> None:
    if scene not in SCENES:
        raise ConfigError(f"scene '{scene}' is unknown; choose one of {', '.join(SCENES)}")
    ranges = {"seed": (seed, 0, 2**31), "frames": (frames, 1, 100_000), "rate_hz": (rate_hz, 0.01, 1000)}
    ranges |= {"width": (width, 16, 8192), "height": (height, 16, 8192)}
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise ConfigError(f"{name} = {value} is out of range; it must be from {low} to {high}")
