"""The ablation as tables on the terminal and as bars."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from reconx_ros.evaluation.rungs import FULL, GROUND

REGIONS = {"all": "", "covered": "_covered", "uncovered": "_uncovered"}
"""Pixels, and the suffix of their figures."""

WIDE = 110
"""Characters that the tables need."""

Row = dict[str, Any]


def print_rungs(rows: Sequence[Row], file: Path, console: Console | None = None) -> None:
    """Print PSNR with what each rung gains over the one it is compared with, then SSIM and FLIP."""
    console = console or Console()
    if not console.is_terminal:  # a file or a pipe has no width to keep to
        console.width = max(console.width, WIDE)
    console.print(_decibels(rows))
    console.print(_others(rows))
    for row in rows:
        console.print(f"{row['name']}: {row['what']}", style="dim", soft_wrap=True, markup=False)
    console.print(f"figures: {file}", soft_wrap=True)


def plot_rungs(rows: Sequence[Row], picture: Path) -> None:
    """Draw what each rung gains, in covered and uncovered pixels, with 95 % intervals."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow to import)

    figure = Figure(figsize=(9, 0.36 * len(rows) + 1.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, region in zip(axes, ("uncovered", "covered"), strict=True):
        for place, row in enumerate(rows):
            gain = row["difference"][f"psnr_{region}"]
            if gain is None:
                continue
            spread = [[gain["mean"] - gain["low"]], [gain["high"] - gain["mean"]]]
            colour = "tab:orange" if row["against"] == FULL else "tab:blue"
            axis.barh(place, gain["mean"], xerr=spread, color=colour, ecolor="0.3", capsize=2)
        axis.axvline(0, color="0.3", linewidth=0.8)
        axis.grid(axis="x", color="0.9")
        axis.set_axisbelow(True)
        axis.set(xlabel="dB", title=f"{region} pixels")
    axes[0].set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes[0].invert_yaxis()
    figure.suptitle(f"PSNR against {GROUND} (blue), against {FULL} (orange)", fontsize=10)
    figure.savefig(picture, dpi=110)


def _decibels(rows: Sequence[Row]) -> Table:
    table = Table(title="PSNR, dB (95 % interval over views)", box=SIMPLE, pad_edge=False)
    table.add_column("rung", no_wrap=True)
    table.add_column("films")
    for region in REGIONS:
        table.add_column(region, justify="right")
    for region in ("covered", "uncovered"):
        table.add_column(f"gain, {region}", justify="right", no_wrap=True)
    for row in rows:
        means = [_number(row["mean"][f"psnr{suffix}"], 2) for suffix in REGIONS.values()]
        gains = [_gain(row, f"psnr_{region}") for region in ("covered", "uncovered")]
        table.add_row(row["name"], row["synthesizer"], *means, *gains)
        if row["name"] == FULL:
            table.add_section()
    return table


def _others(rows: Sequence[Row]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("rung", no_wrap=True)
    names = [f"{figure}{suffix}" for figure in ("ssim", "flip") for suffix in REGIONS.values()]
    for figure in ("SSIM", "FLIP"):
        for region in REGIONS:
            table.add_column(f"{figure} {region}", justify="right")
    for row in rows:
        table.add_row(row["name"], *(_number(row["mean"][name], 3) for name in names))
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _gain(row: Row, name: str) -> str:
    gain = row["difference"][name]
    if gain is None or row["name"] == row["against"]:
        return "-"
    return f"{gain['mean']:+.2f} [{gain['low']:+.2f}, {gain['high']:+.2f}]"
