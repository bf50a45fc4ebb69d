"""`reconx train structure`: the paper's structure attention, trained beside a frozen Wan-VACE."""

from pathlib import Path

import click

from reconx_ros.cli.stoppable import stoppable


@click.command()
@click.option("--weights", required=True, help="Wan-VACE: a diffusers folder, or a Hugging Face id.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of `train prepare`.")
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps in all.")
@click.option("--batch", type=click.IntRange(min=1), help="Clips a step.")
@click.option("--frames", type=click.IntRange(min=1), help="Most frames of each clip; 4k + 1 are used.")
@click.option("--learning-rate", type=float, help="At its highest.")
@click.option("--gate", type=click.FloatRange(0, 1, max_open=True), help="tanh(λ) to begin with.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the weights and the order of the clips.")
@click.option("--resume", is_flag=True, help="Go on with the run in --output.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
def structure(
    weights: str, data: Path, output: Path, resume: bool, device: str, **options: int | float | None
) -> None:
    """Train encoder, attentions and gates of the structure branch; Wan-VACE itself stays as it is.

    bfloat16 on CUDA, float32 on the CPU. Ctrl-C or SIGTERM saves the state after the step and stops.
    """
    from reconx_ros.diffusion.wan.config import WanConfig  # noqa: PLC0415  (pydantic)
    from reconx_ros.diffusion.wan.train_config import StructureTrainingConfig  # noqa: PLC0415
    from reconx_ros.diffusion.wan.train_structure import WEIGHTS, train_structure  # noqa: PLC0415  (torch)

    config = StructureTrainingConfig(
        **{name: value for name, value in options.items() if value is not None}
    )
    wan = WanConfig(model=weights, dtype="bf16" if device == "cuda" else "fp32")
    with stoppable() as progress:
        done = train_structure(wan, data, output, config, resume, device, progress)
    click.echo(f"step {done.step} of {config.steps} -> {output / WEIGHTS}")
