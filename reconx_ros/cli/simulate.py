"""`reconx simulate`: a bag of a procedural room."""

from pathlib import Path
from typing import Literal

import click

from reconx_ros.cli.ending import ended
from reconx_ros.cli.progress import shown_progress


@click.command()
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder of the new bag."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another room.")
@click.option("--frames", type=int, default=60, show_default=True, help="How many frames.")
@click.option("--rate", type=float, default=3.0, show_default=True, help="Frames a second.")
@click.option("--width", type=int, default=640, show_default=True, help="Pixels.")
@click.option("--height", type=int, default=480, show_default=True, help="Pixels.")
@click.option("--noise", is_flag=True, help="Sensor noise, depth holes, exposure drift.")
@click.option("--raw", is_flag=True, help="Raw colour images instead of JPEG.")
@click.option("--storage", type=click.Choice(["mcap", "sqlite3"]), default="mcap", show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace the bag if it exists.")
def command(
    output: Path,
    seed: int,
    frames: int,
    rate: float,
    width: int,
    height: int,
    noise: bool,
    raw: bool,
    storage: Literal["mcap", "sqlite3"],
    overwrite: bool,
) -> int:
    """Write a ROS 2 bag of a furnished, textured room: exact poses, depth and colour."""
    from reconx_ros.simulation.simulate import simulate  # noqa: PLC0415  (torch: only for real work)

    with shown_progress() as progress:
        simulate(
            output,
            seed=seed,
            frames=frames,
            rate_hz=rate,
            width=width,
            height=height,
            noise=noise,
            raw=raw,
            storage=storage,
            overwrite=overwrite,
            progress=progress,
        )
        interrupted = progress.cancelled()
    click.echo(f"bag -> {output}")
    return ended(interrupted, "the bag holds the frames made by then")
