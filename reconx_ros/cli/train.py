"""`reconx train`: make clips, train the small model on them, measure it."""

import json
from pathlib import Path

import click

from reconx_ros.cli.progress import shown_progress
from reconx_ros.cli.stoppable import stoppable
from reconx_ros.cli.train_structure import structure
from reconx_ros.config import load_config
from reconx_ros.sources.config import SourceConfig

SOURCE_OPTION = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="YAML as for reconstruct; of its section source, the topics, frames and times of a recording.",
)


@click.group()
def command() -> None:
    """Train the view synthesis model that ships with the package, or one of your own."""


command.add_command(structure)


@command.command()
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder of the clips.")
@click.option("--clips", type=click.IntRange(min=1), default=1500, show_default=True, help="How many.")
@click.option("--frames", type=click.IntRange(min=1), help="Targets a clip: 4, or 1 of a recording.")
@click.option("--width", type=click.IntRange(min=32), default=128, show_default=True, help="Pixels.")
@click.option("--height", type=click.IntRange(min=32), default=96, show_default=True, help="Pixels.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="First scene.")
@click.option(
    "--source", type=click.Path(path_type=Path), help="Your bag or folder with poses and depth, instead."
)
@SOURCE_OPTION
def prepare(
    output: Path,
    clips: int,
    frames: int | None,
    width: int,
    height: int,
    seed: int,
    source: Path | None,
    config_file: Path | None,
) -> None:
    """Render training clips of procedural scenes, or cut them from a recording of your own.

    Goes on where it was stopped.
    """
    if source is not None:
        held = _recorded(output, source, _source(config_file), (height, width), frames or 1)
        click.echo(f"{held} clips -> {output}")
        return
    from reconx_ros.diffusion.training.shards import prepare as fill  # noqa: PLC0415  (torch)
    from reconx_ros.simulation.clips import ClipConfig  # noqa: PLC0415

    with stoppable() as progress:
        held = fill(output, clips, ClipConfig((height, width), frames or 4), seed, progress)
    click.echo(f"{held} clips -> {output}")


def _recorded(output: Path, source: Path, config: SourceConfig, size: tuple[int, int], frames: int) -> int:
    from reconx_ros.diffusion.training.recorded import recorded  # noqa: PLC0415  (torch)
    from reconx_ros.diffusion.training.shards import keep  # noqa: PLC0415

    kind = {"source": str(source.resolve()), "size": list(size), **config.model_dump(exclude_defaults=True)}
    with stoppable() as progress:
        return keep(output, recorded(source, config, size, frames), kind, progress, frames)


def _source(config_file: Path | None) -> SourceConfig:
    return load_config("balanced", config_file, {}).source


@command.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of `train prepare`.")
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps in all.")
@click.option("--batch", type=click.IntRange(min=1), help="Clips a step.")
@click.option("--frames", type=click.IntRange(min=1), help="Frames of each clip.")
@click.option("--flow", type=click.FloatRange(0, 1), help="Share of steps that learn flow matching.")
@click.option("--structure", is_flag=True, default=None, help="Train the structure branch too.")
@click.option(
    "--structure-gate", type=click.FloatRange(0, 1, max_open=True), help="It begins as open as this."
)
@click.option("--structure-rate", type=float, help="It learns so many times faster than the rest.")
@click.option("--start", type=click.Path(path_type=Path), help="Begin with the weights of another run.")
@click.option("--learning-rate", type=float, help="At its highest.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the weights and the order of the clips.")
@click.option("--resume", is_flag=True, help="Go on with the run in --output.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
def run(
    data: Path, output: Path, resume: bool, device: str, start: Path | None, **options: int | float | None
) -> None:
    """Train; Ctrl-C or SIGTERM saves the state after the step and stops."""
    from reconx_ros.diffusion.training.config import TrainingConfig  # noqa: PLC0415  (pydantic)
    from reconx_ros.diffusion.training.loop import train  # noqa: PLC0415  (torch)

    config = TrainingConfig(**{name: value for name, value in options.items() if value is not None})
    with stoppable() as progress:
        done = train(data, output, config, resume, device, progress, start)
    click.echo(f"step {done.step} of {config.steps} -> {output}")


@command.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Clips not trained on.")
@click.option("--real", type=click.Path(path_type=Path), help="A bag or folder with poses and depth.")
@click.option(
    "--run", "folder", type=click.Path(path_type=Path), help="Its folder; without it, fills only."
)
@click.option("--without-structure", is_flag=True, help="Leave the structure branch out.")
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="For the figures.")
@SOURCE_OPTION
def validate(
    data: Path,
    real: Path | None,
    folder: Path | None,
    without_structure: bool,
    output: Path,
    config_file: Path | None,
) -> None:
    """Measure a model beside fills that learn nothing: a table, JSON and contact sheets."""
    from reconx_ros.diffusion.small.weights import load_encoder, load_network  # noqa: PLC0415  (torch)
    from reconx_ros.diffusion.training.loop import ENCODER, MODEL  # noqa: PLC0415
    from reconx_ros.diffusion.training.validate import validate as measure  # noqa: PLC0415

    model = None if folder is None else load_network(folder / MODEL)
    encoder = None if folder is None or without_structure else load_encoder(folder / ENCODER)
    with shown_progress() as progress:
        measure(model, data, real, output, progress, encoder, _source(config_file))
    click.echo(f"figures -> {output}")


@command.command()
@click.option("--run", "folder", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Clips not trained on.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder of the weights."
)
def export(folder: Path, data: Path, output: Path) -> None:
    """Make weights of a run: averaged, half precision, with calibrated confidence."""
    from reconx_ros.diffusion import reliability  # noqa: PLC0415  (torch)
    from reconx_ros.diffusion.small.export import export as write  # noqa: PLC0415  (diffusers)
    from reconx_ros.diffusion.small.names import CURVES  # noqa: PLC0415
    from reconx_ros.diffusion.small.weights import load_encoder, load_network  # noqa: PLC0415
    from reconx_ros.diffusion.training.calibrate import calibrate  # noqa: PLC0415
    from reconx_ros.diffusion.training.loop import ENCODER, MODEL  # noqa: PLC0415

    model, encoder = load_network(folder / MODEL), load_encoder(folder / ENCODER)
    with shown_progress() as progress:
        curves, tests = calibrate(model, data, folder / "reliability.png", progress)
    size = write(model, encoder, output)
    reliability.save(curves, output / CURVES)
    (folder / "reliability.json").write_text(json.dumps(tests, indent=1))
    for name, test in tests.items():
        click.echo(f"{name}: calibration gap {test['expected_error']:.3f} on clips not fitted to")
    click.echo(f"{size / 1e6:.1f} MB -> {output}")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
def plot(folder: Path) -> None:
    """Draw the curves of a run to curves.png in its FOLDER."""
    from reconx_ros.diffusion.training.sheet import plot_curves  # noqa: PLC0415  (torch)

    plot_curves(folder / "log.csv", folder / "curves.png")
    click.echo(f"curves -> {folder / 'curves.png'}")
