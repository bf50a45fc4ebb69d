"""`reconx reconstruct`: a recording or a folder of images to a map on disk."""

from pathlib import Path
from typing import Any

import click

from reconx_ros.cli.ending import ended
from reconx_ros.cli.options import config_from, config_options, index_list
from reconx_ros.cli.progress import shown_progress


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder for the map.")
@click.option("--views", callback=index_list, help="Use exactly these frames, e.g. 0,7,14.")
@click.option("--keyframes", type=click.IntRange(min=1), help="Use this many frames, spread evenly.")
@click.option("--resume", is_flag=True, help="Go on from the map in the output folder.")
@click.option(
    "--distance-field",
    type=click.FloatRange(min=0, min_open=True),
    metavar="METRES",
    help="Also write voxels of this size with distances to obstacles.",
)
@config_options
def command(
    source: Path,
    output: Path,
    views: list[int] | None,
    keyframes: int | None,
    resume: bool,
    **options: object,
) -> int:
    """Turn SOURCE into a Gaussian map.

    SOURCE is a rosbag2 folder, an .mcap, .db3 or ROS 1 .bag file, or a folder with a Nerfstudio
    transforms.json, a COLMAP model, or photos alone: their cameras are then found first.
    """
    if views is not None and keyframes is not None:
        raise click.UsageError("--views and --keyframes exclude each other: give one of them")
    config = config_from(options)
    from reconx_ros.cli.reconstruction import Request, run  # noqa: PLC0415  (torch: only for real work)

    with shown_progress() as progress:
        result = run(Request(source, output, config, views, keyframes, resume), progress)
    report = result.report
    _say(report, len(result.gaussians), len(result.cloud), output)
    return ended(report["cancelled"], "the map is saved as far as it was optimised", report["partial"])


def _say(report: dict[str, Any], gaussians: int, points: int, output: Path) -> None:
    seconds = sum(report["seconds"].values())
    click.echo(f"geometry is {report['geometry']}: {report['geometry_reason']}")
    click.echo(f"{gaussians:,} Gaussians and {points:,} points in {seconds:.1f} s -> {output}")
