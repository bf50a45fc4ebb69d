r"""The small model against fills that learn nothing: quality, speed, and what it brings the finished map.

    reconx train prepare -o clips --clips 80 --seed 900000
    python benchmarks/synthesis.py quality --clips clips --real ../shared/data/redkitchen_bag \
        --json benchmarks/results/synthesis.json --sheet /tmp/synthesis.png
    python benchmarks/synthesis.py speed --clips clips --json benchmarks/results/synthesis.json
    python benchmarks/synthesis.py lean --real ../shared/data/redkitchen_bag \
        --json benchmarks/results/synthesis.json
    reconx train prepare -o other --clips 32 --seed 950000
    python benchmarks/synthesis.py reliability --clips other --sheet benchmarks/results/reliability.png \
        --json benchmarks/results/synthesis.json
    python benchmarks/synthesis.py downstream --data ../shared/data \
        --json benchmarks/results/synthesis.json --output /tmp/downstream

Each part writes its own section of the JSON file, as it goes, and leaves the others as they are; so parts
of a part can be run one by one (``--cases``).

``quality``: held-out procedural clips, and clips of three frames that follow each other, from a real
recording and from walks through procedural rooms: between two references, and beyond them. Every
contender predicts the same frames in the same run; means and 95 % intervals are over clips (those of a
recording overlap, so that their intervals are narrow). ``speed``: on this machine, seconds of an 8-frame
clip and what else one waits for. ``reliability``: how often pixels are right, by their confidence, on clips
that the shipped curves were not fitted to. ``lean``: what ``small/lean.py`` costs. ``downstream``:
held-out PSNR of the map, ``auto`` against ``none``; ``adapt`` and ``grounding``: what these options change
of it.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
from pathlib import Path
from typing import Any

import synthesis_downstream
import synthesis_lean
import synthesis_options
import synthesis_quality
import synthesis_reliability
import synthesis_speed

from reconx_ros.config import overlaid
from reconx_ros.diffusion.small.synthesizer import WEIGHTS
from reconx_ros.machine import describe_machine

PARTS = {
    "quality": synthesis_quality.measure,
    "speed": synthesis_speed.measure,
    "lean": synthesis_lean.measure,
    "reliability": synthesis_reliability.measure,
    "downstream": synthesis_downstream.measure,
    "adapt": synthesis_options.adapt,
    "grounding": synthesis_options.grounding,
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("part", choices=PARTS)
    made.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the model")
    made.add_argument("--json", type=Path, help="file that gets the figures")
    made.add_argument("--clips", type=Path, help="held-out clips of `reconx train prepare`")
    made.add_argument("--most", type=int, default=80, help="of these clips, the first so many")
    made.add_argument("--real", type=Path, help="recording with poses and depth")
    made.add_argument("--rooms", type=int, default=2, help="procedural rooms to walk through")
    made.add_argument("--steps", default="4,10", help="of the samplers beside the mean")
    made.add_argument("--sheet", type=Path, help="PNG of a contact sheet")
    made.add_argument("--data", type=Path, help="folder with redkitchen_bag, fern and fox")
    made.add_argument("--output", type=Path, help="folder of the maps' figures and pictures")
    made.add_argument(
        "--cases", default="", help="only cases whose name holds one of these, as in fern,fox"
    )
    made.add_argument("--synthesizer", default="auto", help="what is compared with none")
    made.add_argument("--anyway", action="store_true", help="also where the small model films on faith")
    return made


def write(file: Path, part: str, figures: dict[str, Any]) -> None:
    """Put ``figures`` into their section of the JSON file, in place of those of the same name."""
    content = json.loads(file.read_text()) if file.exists() else {}
    content = overlaid(content, {part: {"machine": describe_machine(), **figures}})
    file.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def main() -> None:
    """Run one part; what is measured is written as soon as it is."""
    arguments = parser().parse_args()
    for figures in PARTS[arguments.part](arguments):
        if arguments.json:
            write(arguments.json, arguments.part, figures)


if __name__ == "__main__":
    main()
