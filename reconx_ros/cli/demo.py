"""`reconx demo`: a simulated robot, DDS, the real node, the finished map and pictures of it."""

import json
import shutil
from pathlib import Path

import click

from reconx_ros.cli.ending import ended
from reconx_ros.cli.progress import shown_progress
from reconx_ros.config import PRESETS
from reconx_ros.errors import MapError
from reconx_ros.progress import Progress

SETTLE_S = 45.0
VIEWS = 6


@click.command()
@click.option("--output", "-o", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option(
    "--preset", type=click.Choice(PRESETS), default="fast", show_default=True, help="Of the node."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the room.")
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=SETTLE_S,
    show_default=True,
    help="Most seconds of refinement after the last frame.",
)
def command(output: Path, preset: str, seed: int, settle: float) -> int:
    """Show the whole chain on this machine; nothing is downloaded.

    A furnished room is filmed by a simulated RGB-D camera, its bag is played over DDS in real time
    into the node in another process, and the map is compared with frames the node did not use.
    """
    from reconx_ros.mapping.folder import check_writable  # noqa: PLC0415  (torch: only for real work)

    check_writable(output)
    output = output.resolve()
    with shown_progress() as progress:
        bag = _recording(output, seed, progress)
        seconds = _map(bag, output, preset, settle, progress)
        interrupted = progress.cancelled()
        if not interrupted:
            _compare(bag, output, progress, seconds)
    return ended(interrupted, f"the map so far is in {output}")


def _recording(output: Path, seed: int, progress: Progress) -> Path:
    """Return the bag of room ``seed``, made anew only where it is not there yet."""
    from reconx_ros.simulation.simulate import simulate  # noqa: PLC0415

    bag, made = output / f"room{seed}", output / f".room{seed}"
    if not (bag / "metadata.yaml").is_file():
        shutil.rmtree(made, ignore_errors=True)
        simulate(made, seed=seed, progress=progress)
        shutil.rmtree(bag, ignore_errors=True)
        made.rename(bag)
    return bag


def _map(bag: Path, output: Path, preset: str, settle: float, progress: Progress) -> float:
    """Map ``bag`` live; return the seconds from the first image to the saved map."""
    from reconx_ros.ros.demo import map_live  # noqa: PLC0415  (rclpy: only here)

    for name in ("map.ply", "cloud.ply", "report.json"):
        (output / name).unlink(missing_ok=True)
    seconds = map_live(bag, output, preset, settle, progress)
    if not (output / "map.ply").is_file():
        raise MapError(f"the node saved no map; {output / 'node.log'} says why")
    return seconds


def _compare(bag: Path, output: Path, progress: Progress, seconds: float) -> None:
    from reconx_ros.evaluation.unseen import score_unseen  # noqa: PLC0415
    from reconx_ros.mapping.folder import load  # noqa: PLC0415

    report = load(output).report
    unseen = score_unseen(output, bag, set(report["stamps_ns"]), VIEWS, progress)
    figures = {"seconds": seconds, "views": list(unseen.names), **unseen.mean.json()}
    (output / "demo.json").write_text(json.dumps(figures, indent=2) + "\n")
    click.echo(
        f"\nFrom first image to saved map in {seconds:.0f} s: {report['gaussians']:,} Gaussians of "
        f"{len(report['keyframes'])} keyframes.\nOn {len(unseen.names)} frames the node did not use: "
        f"{unseen.mean.psnr:.1f} dB PSNR, {unseen.mean.psnr_covered:.1f} dB where the keyframes looked.\n\n"
        f"  {output / 'map.ply'}: the Gaussians, for any splat viewer (SuperSplat, viser)\n"
        f"  {output / 'cloud.ply'}: the points, for Open3D, MeshLab, CloudCompare\n"
        f"  {unseen.sheet}: the true frames beside the map"
    )
