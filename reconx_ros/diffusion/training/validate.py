"""How good a model is: held-out procedural clips and a real recording, beside the fills."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from reconx_ros.diffusion.small.clouds import PointNetwork
from reconx_ros.diffusion.small.network import SmallNetwork
from reconx_ros.diffusion.training.contest import Outcome, contest
from reconx_ros.diffusion.training.pairs import TARGETS, real_records
from reconx_ros.diffusion.training.records import Record, unpack
from reconx_ros.diffusion.training.shards import ClipStore
from reconx_ros.diffusion.training.sheet import contact_sheet
from reconx_ros.evaluation.interval import gain
from reconx_ros.progress import Progress
from reconx_ros.sources.config import SourceConfig
from reconx_ros.viewer.png import write_png

HOLES_AGAINST, COVERED_AGAINST = "push-pull", "push-pull-blur"
SHOWN = 10
"""Examples on a contact sheet."""


def validate(
    model: SmallNetwork | None,
    data: Path,
    real: Path | None,
    output: Path,
    progress: Progress,
    encoder: PointNetwork | None = None,
    source: SourceConfig | None = None,
) -> dict[str, Any]:
    """Measure a model, print a table, and write ``validation.json`` and contact sheets.

    Args:
        model: ``None`` measures the fills alone.
        data: clips of ``prepare`` that the model was not trained on.
        real: a recording with poses and depth.
        output: folder, made if need be.
        progress: told about every clip.
        encoder: of the structure; ``None`` leaves that branch out.
        source: topics, frames and times of the recording; found by type where not given.

    Returns:
        set → region → contender → gain in dB with its interval, and the mean PSNR.

    Raises:
        SourceError: no clips in ``data``, or too few frames in ``real``.
    """
    store = ClipStore(data)
    sets: dict[str, Sequence[Record] | ClipStore] = {"procedural": store}
    if real is not None:
        size = (int(store[0]["truth"].shape[-2]), int(store[0]["truth"].shape[-1]))
        sets |= {f"real {kind}": real_records(real, kind, size, source) for kind in TARGETS}
    output.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {}
    for name, records in sets.items():
        figures[name] = _measured(
            model, encoder, records, output / f"{name.replace(' ', '-')}.png", name, progress
        )
        Console().print(_table(name, figures[name]))
    (output / "validation.json").write_text(json.dumps(figures, indent=1))
    return figures


def _measured(
    model: SmallNetwork | None,
    encoder: PointNetwork | None,
    records: Sequence[Record] | ClipStore,
    sheet: Path,
    name: str,
    progress: Progress,
) -> dict[str, Any]:
    outcomes: list[Outcome] = []
    rows: list[NDArray[np.float32]] = []
    every = max(1, len(records) // SHOWN)
    for number in range(len(records)):
        example = unpack([records[number]])
        outcome = contest(model, example, encoder)
        if number % every == 0 and len(rows) < SHOWN:
            at = (number // every) % example.truth.shape[1]
            rows.append(contact_sheet(outcome, example.truth, at))
        outcomes.append(outcome)
        progress.update(name, number + 1, len(records))
    write_png(sheet, np.concatenate(rows))
    return {
        "holes": _gains([outcome.holes_db for outcome in outcomes], HOLES_AGAINST),
        "covered": _gains([outcome.covered_db for outcome in outcomes], COVERED_AGAINST),
        "hole_share": float(np.mean([1 - float(outcome.covered.mean()) for outcome in outcomes])),
    }


def _gains(rows: list[dict[str, Any]], against: str) -> dict[str, Any]:
    table = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return {
        name: {"psnr": float(np.nanmean(values)), **asdict(gain(values, table[against]))}
        for name, values in table.items()
    }


def _table(name: str, figures: dict[str, Any]) -> Table:
    table = Table(title=f"{name}: {100 * figures['hole_share']:.0f} % of pixels are holes")
    table.add_column("fill")
    for region, against in (("holes", HOLES_AGAINST), ("covered", COVERED_AGAINST)):
        table.add_column(f"{region} dB", justify="right")
        table.add_column(f"over {against}", justify="right")
    for fill in figures["holes"]:
        cells = []
        for region in ("holes", "covered"):
            row = figures[region][fill]
            cells += [f"{row['psnr']:.2f}", f"{row['mean']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"]
        table.add_row(fill, *cells)
    return table
