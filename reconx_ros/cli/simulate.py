"""`reconx simulate`: a bag of a procedural room."""

from pathlib import Path

import click

from reconx_ros.cli.progress import shown_progress


@click.command()
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder of the new bag."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Another seed, another room."
)
@click.option("--frames", type=click.IntRange(min=2), default=None, help="How many frames.")
@click.option("--rate", type=click.FloatRange(min=0.1), default=None, help="Frames a second.")
@click.option("--width", type=click.IntRange(min=32), default=640, show_default=True)
@click.option("--height", type=click.IntRange(min=32), default=480, show_default=True)
@click.option("--noise/--no-noise", default=False, help="Sensor noise, depth holes, exposure drift.")
@click.option("--overwrite", is_flag=True, help="Replace the bag if it exists.")
def command(
    output: Path,
    seed: int,
    frames: int | None,
    rate: float | None,
    width: int,
    height: int,
    noise: bool,
    overwrite: bool,
) -> None:
    """Write a ROS 2 bag of a furnished, textured room: exact poses, depth and colour."""
    from reconx_ros.simulation.simulate import simulate  # noqa: PLC0415  (torch: only for real work)

    given = {"frames": frames, "rate_hz": rate}
    with shown_progress() as progress:
        simulate(
            output,
            seed=seed,
            width=width,
            height=height,
            noise=noise,
            overwrite=overwrite,
            progress=progress,
            **{k: v for k, v in given.items() if v is not None},
        )
    click.echo(f"bag -> {output}")
