"""Options that several subcommands share, and the configuration they add up to."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from reconx_ros.config import PRESETS, ReconxConfig, load_config

Command = TypeVar("Command", bound=Callable[..., Any])


def config_options(command: Command) -> Command:
    """Add the options that choose the configuration; ``config_from`` reads them."""
    for option in reversed(
        [
            click.option("--preset", type=click.Choice(PRESETS), default="balanced", show_default=True),
            click.option(
                "--config", "config_file", type=click.Path(path_type=Path), help="YAML over the preset."
            ),
            click.option(
                "--geometry",
                type=click.Choice(["auto", "rgbd", "plane-sweep", "sparse", "dust3r"]),
                help="Where depth comes from.",
            ),
            click.option(
                "--synthesizer",
                type=click.Choice(["auto", "small", "push-pull", "wan-vace", "none"]),
                help="Who films the unseen.",
            ),
            click.option(
                "--adapt",
                type=click.FloatRange(min=0),
                help="Seconds to train the small model on the run's own keyframes first.",
            ),
            click.option("--rasterizer", type=click.Choice(["auto", "gsplat", "cpu"]), help="Who renders."),
            click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where it runs."),
            click.option("--steps", type=click.IntRange(min=0), help="Optimisation steps."),
        ]
    ):
        command = option(command)
    return command


def config_from(options: Mapping[str, Any]) -> ReconxConfig:
    """Return the configuration that the values of ``config_options`` describe.

    Raises:
        ConfigError: a value in the YAML file is unknown or out of range.
    """
    overrides: dict[str, Any] = {} if options.get("device") is None else {"device": options["device"]}
    for name, section, key in (
        ("geometry", "geometry", "method"),
        ("synthesizer", "synthesis", "method"),
        ("adapt", "synthesis", "adapt_seconds"),
        ("rasterizer", "splatting", "rasterizer"),
        ("steps", "splatting", "steps"),
    ):
        if options.get(name) is not None:
            overrides.setdefault(section, {})[key] = options[name]
    if options.get("distance_field") is not None:
        overrides["mapping"] = {"distance_field": {"voxel_size": options["distance_field"]}}
    return load_config(options["preset"], options["config_file"], overrides)


def index_list(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[int] | None:
    """Parse ``0,7,14`` into frame indices."""
    if value is None:
        return None
    try:
        indices = [int(part) for part in value.split(",")]
    except ValueError as err:
        raise click.BadParameter(f"'{value}' is not a list of frame numbers such as 0,7,14") from err
    if min(indices) < 0 or len(set(indices)) != len(indices):
        raise click.BadParameter(f"'{value}': frame numbers are distinct and not negative")
    return indices
