"""`reconx export`: the surfaces of a finished map as a dense cloud."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="The .ply to write.")
@click.option(
    "--spacing",
    type=click.FloatRange(min=0, min_open=True),
    default=0.005,
    show_default=True,
    metavar="UNITS",
    help="At most one point in a cube of this side; metres where the map has them.",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Of the Gaussians to use.",
)
@click.option("--generated", is_flag=True, help="Take what was filmed or guessed too, marked as such.")
def command(folder: Path, output: Path, spacing: float, min_confidence: float, generated: bool) -> None:
    """Write points on the surfaces of the map in FOLDER (or a splat .ply), denser than cloud.ply.

    Each point has colour, normal, confidence in [0, 1] and provenance (0 observed, 1 generated).
    """
    from reconx_ros.mapping.densify import densified  # noqa: PLC0415 - scipy, only for real work
    from reconx_ros.mapping.folder import load_map  # noqa: PLC0415
    from reconx_ros.mapping.ply import save_cloud  # noqa: PLC0415

    cloud = densified(load_map(folder), spacing, min_confidence, generated)
    save_cloud(output, cloud)
    click.echo(f"{len(cloud):,} points -> {output}")
