r"""Held-out views from colour alone: dense stereo against points of features, by the same optimiser.

    python benchmarks/colour_alone.py ../shared/data --json benchmarks/results/colour_alone.json

Depth is hidden. Every case is run from the cloud of ``--geometry plane-sweep`` and from triangulated SIFT
points (``--geometry sparse``): the same frames, settings and seed. Nothing is filmed. Figures are those of
``splatting_quality.py``; what is covered is said by the inputs' sensor depth where there is one, else by
the cloud of stereo for both. FILE keeps what it holds of other cases. ``--pictures`` also draws the first
held-out views.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from splatting_quality import Case, prepare, run

from reconx_ros.config import ReconxConfig, load_config
from reconx_ros.machine import processor_name

Rows = dict[str, dict[str, float]]

CASES = (
    ("fern", 3, 504),
    ("fox", 3, 360),
    ("fox", 6, 360),
    ("fox", 9, 360),
    ("redkitchen_bag", 4, None),
    ("redkitchen_bag", 8, None),
)
"""Source, number of inputs, and the width all images are reduced to (None: inputs as by the preset)."""

VARIANTS = ("plane-sweep", "sparse")
"""Geometries compared."""


def configured(preset: str, geometry: str, width: int | None) -> ReconxConfig:
    """Return the configuration of one run."""
    common: dict[str, Any] = {"geometry": {"method": geometry}}
    if width:
        common["keyframes"] = {"image_width": width}
    return load_config(preset, None, common)


def measure(source: Path, inputs: int, width: int | None, preset: str, pictures: Path | None) -> Rows:
    """Run all variants of a case."""
    rows: Rows = {}
    covered = None
    for geometry in VARIANTS:
        config = configured(preset, geometry, width)
        case = prepare(source, inputs, "every:8", config, width, corrupt=False)
        covered = covered or case.covered
        case, shown = replace(case, covered=covered), list[Any]()
        rows[geometry] = {"points": len(case.cloud), **run(case, config, shown)}
        print(f"{case.name:20s} {geometry:12s}", json.dumps(rows[geometry]), flush=True)
        if pictures:
            draw(case, shown, pictures / f"{source.name}_{inputs}_{geometry}.jpg")
    return rows


def draw(case: Case, shown: list[Any], file: Path) -> None:
    """Draw up to three held-out views above what the map shows."""
    file.parent.mkdir(parents=True, exist_ok=True)
    truth = [view.image for view in case.split.held_out[:3]]
    made = [np.uint8(255 * np.clip(image, 0, 1)) for image in shown[:3]]
    sheet = np.concatenate([np.concatenate(truth, axis=1), np.concatenate(made, axis=1)])
    cv2.imwrite(str(file), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def keep(file: Path, preset: str, name: str, case: dict[str, Any]) -> None:
    """Write the figures of a case beside those of others."""
    held = json.loads(file.read_text())["cases"] if file.exists() else {}
    content = {"machine": processor_name(), "preset": preset, "cases": {**held, name: case}}
    file.write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Run every case; print a row each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="", help="cases, as in fern:3,fox:6")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of held-out views")
    args = parser.parse_args()
    only = set(filter(None, args.only.split(",")))
    for name, inputs, width in CASES:
        if only and f"{name}:{inputs}" not in only:
            continue
        case = measure(args.data / name, inputs, width, args.preset, args.pictures)
        if args.json:
            keep(args.json, args.preset, f"{name} {inputs}", {"width": width, **case})


if __name__ == "__main__":
    main()
