r"""What stereo does with focal lengths that are wrong: refuses them, or how sure it is of what it finds.

    python benchmarks/wrong_focal.py ../shared/data --json benchmarks/results/wrong_focal.json

All focal lengths are given 0.8 to 1.25 times as long as recorded. ``refused`` is the factor that the
error suggests, null where the geometry is kept, and ``said`` the one that a warning names. Of what is kept:
``kept``, the share of all pixels, ``sure``, that of c >= 0.8, and ``confidence``, the mean c. Where there
is a depth camera, ``wrong`` is the share of those of c >= 0.5 that are more than 5 % off it, and ``median``
the median of their errors.
"""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from stereo import depth_of

from reconx_ros.errors import GeometryError
from reconx_ros.evaluation.hold_out import parse_hold_out
from reconx_ros.evaluation.split import read_split
from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.protocol import map_confidence
from reconx_ros.geometry.stereo.derivatives import zoomed
from reconx_ros.geometry.stereo.evidence import RIGHT
from reconx_ros.geometry.stereo.room import PlaneSweepGeometry
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.machine import processor_name
from reconx_ros.progress import Silent
from reconx_ros.sources.config import SourceConfig

FACTORS = (0.8, 0.9, 0.95, 0.98, 1.0, 1.02, 1.05, 1.1, 1.25)
CASES = (("redkitchen_bag", 4, 320), ("redkitchen_bag", 8, 320), ("fern", 3, 252))
"""Source, number of inputs (every 8th frame is held out, as in colour_alone.py), width."""

SURE = 0.8

Row = dict[str, float | None]


def measure(truth: Sequence[Keyframe], metric: bool, factor: float) -> Row:
    """Return what stereo makes of views said to have focal lengths ``factor`` times as long."""
    views = [replace(view, camera=zoomed(view.camera, factor)) for view in truth]
    try:
        found = PlaneSweepGeometry(PlaneSweepConfig(), metric).estimate(views, Silent())
    except GeometryError as error:
        return {"refused": suggested(str(error), factor)}
    confidence = np.stack([pointmap.confidence for pointmap in found.pointmaps])
    known, c = np.stack([p.known for p in found.pointmaps]), map_confidence(confidence)
    row: Row = {
        "refused": None,
        "said": suggested(" ".join(found.notes), factor),
        "kept": round(float(known.mean()), 4),
        "sure": round(float((c >= SURE).mean()), 4),
        "confidence": round(float(c[known].mean()), 4) if known.any() else None,
    }
    pairs = zip(truth, found.keyframes, found.pointmaps, strict=True)
    depth = [(view.depth, depth_of(pointmap.points, keyframe)) for view, keyframe, pointmap in pairs]
    errors = [np.abs(ours / sensor - 1) for sensor, ours in depth if sensor is not None]
    if errors:
        wrong = np.stack(errors)[(c >= 0.5) & np.isfinite(errors)]
        row["wrong"] = round(float((wrong > RIGHT).mean()), 4) if len(wrong) else None
        row["median"] = round(float(np.median(wrong)), 4) if len(wrong) else None
    return row


def suggested(line: str, factor: float) -> float | None:
    """Return the factor of the recorded focal length that a line about a given one names, if it does."""
    match = re.search(r"is ([\d.]+) pixels.*one of ([\d.]+) ", line)
    return None if match is None else round(factor * float(match[2]) / float(match[1]), 3)


def main() -> None:
    """Measure every case; print a row for each factor."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    args = parser.parse_args()
    cases: dict[str, Any] = {}
    for name, inputs, width in CASES:
        split = read_split(args.data / name, SourceConfig(), parse_hold_out("every:8"), inputs, Silent())
        split, rows = split.reduced(width), cases.setdefault(f"{name} {inputs}", {})
        for factor in FACTORS:
            rows[f"{factor:g}"] = measure(split.inputs, split.metric, factor)
            print(f"{name} {inputs} x {factor:<5g}", json.dumps(rows[f"{factor:g}"]), flush=True)
    if args.json:
        content = {"machine": processor_name(), "cases": cases}
        args.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
