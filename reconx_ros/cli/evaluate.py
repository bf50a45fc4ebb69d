"""`reconx evaluate`: held-out views, beside plain baselines."""

from pathlib import Path

import click

from reconx_ros.cli.ending import ended
from reconx_ros.cli.options import config_from, config_options
from reconx_ros.cli.progress import shown_progress


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--inputs", default="all", show_default=True, help="How many input views, evenly spaced, or 'all'."
)
@click.option("--hold-out", default="every:8", show_default=True, help="every:N, or frame numbers 3,10.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder for the figures."
)
@click.option(
    "--image-width",
    type=click.IntRange(min=32),
    help="Reduce all frames to this many pixels first, held-out ones too (LLFF: 504).",
)
@click.option("--ablate", is_flag=True, help="Run the method without each of its parts instead.")
@config_options
def command(
    source: Path,
    inputs: str,
    hold_out: str,
    output: Path,
    image_width: int | None,
    ablate: bool,
    **options: object,
) -> int:
    """Reconstruct SOURCE without the held-out frames, then measure on those.

    Writes metrics.json and pictures: truth, ours, coloured points, TSDF mesh, error. With --ablate it
    writes ablation.json and ablation.png: what each part of the method brings.
    """
    config = config_from(options)
    from reconx_ros.evaluation.ablation import ablate as measure_parts  # noqa: PLC0415  (torch)
    from reconx_ros.evaluation.protocol import evaluate  # noqa: PLC0415  (torch: only for real work)

    with shown_progress() as progress:
        measure = measure_parts if ablate else evaluate
        found = measure(source, config, inputs, hold_out, output, progress, image_width)
        interrupted = progress.cancelled()
    damaged = found["partial"] and not interrupted
    return ended(interrupted, f"{output} holds what was measured by then", damaged)
