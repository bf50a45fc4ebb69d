"""`reconx render`: a finished map at given cameras."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconx_ros.cli.ending import ended
from reconx_ros.cli.progress import shown_progress

if TYPE_CHECKING:
    from reconx_ros.splatting.rasterize import Backend


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--cameras", type=click.Path(path_type=Path), required=True, help="Nerfstudio transforms.json."
)
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder for the PNGs.")
@click.option(
    "--rasterizer", type=click.Choice(["auto", "gsplat", "cpu"]), default="auto", show_default=True
)
def command(folder: Path, cameras: Path, output: Path, rasterizer: "Backend") -> int:
    """Render the map in FOLDER (or a splat .ply) at each camera: one PNG, named like the frame."""
    from reconx_ros.evaluation.render import render_cameras  # noqa: PLC0415  (torch: only for real work)

    with shown_progress() as progress:
        files = render_cameras(folder, cameras, output, backend=rasterizer, progress=progress)
        interrupted = progress.cancelled()
    click.echo(f"{len(files)} pictures -> {output}")
    return ended(interrupted, "the other cameras are not rendered")
