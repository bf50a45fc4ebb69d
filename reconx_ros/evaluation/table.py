"""The figures as a table on the terminal."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

COLUMNS = {"psnr": ("PSNR", "{:.2f}"), "ssim": ("SSIM", "{:.3f}"), "flip": ("FLIP", "{:.3f}")}


def print_table(metrics: dict[str, Any], output: Path, console: Console | None = None) -> None:
    """Print the means of ours and the baselines over all pixels and over covered ones."""
    console = console or Console()
    covered = [view["covered"] for view in metrics["views"]]
    share = f"{100 * sum(covered) / len(covered):.0f} % of pixels" if covered else "none"
    table = Table(title=f"{len(covered)} held-out views; covered: {share}")
    table.add_column("map")
    for suffix in ("", " covered"):
        for title, _ in COLUMNS.values():
            table.add_column(title + suffix, justify="right")
    for name, figures in _rows(metrics).items():
        table.add_row(name, *_cells(figures))
    console.print(table)
    if metrics.get("calibration"):
        off = metrics["calibration"]["expected_error"]
        console.print(f"confidence is off by {off:.3f} on average (0: calibrated)")
    console.print(f"figures: {output / 'metrics.json'}   pictures: {output / 'comparison'}", soft_wrap=True)


def _rows(metrics: dict[str, Any]) -> dict[str, dict[str, Any] | None]:
    baselines = metrics["baselines"]
    return {"ours": metrics["mean"], "points": baselines["points"], "TSDF mesh": baselines["tsdf"]}


def _cells(figures: dict[str, Any] | None) -> list[str]:
    values = [
        ((figures or {}).get(key + suffix), form)
        for suffix in ("", "_covered")
        for key, (_, form) in COLUMNS.items()
    ]
    return ["-" if value is None else form.format(value) for value, form in values]
