"""Confidence of a map against what it gets wrong, in bins, over the views held out of evaluations.

    reconx evaluate redkitchen_bag --inputs 8 --hold-out every:8 --preset fast --output FOLDER
    python benchmarks/confidence.py FOLDER... [--json FILE]

For each tenth of confidence: pixels, their mean confidence, the share that is right (depth within 5 % of
the sensor's and colour within 0.1 of the photo's), mean colour error, and median relative depth error, of
the runs in all FOLDERs together (medians: their mean by pixels); then the mean gap of confidence and share.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

MEANS = ("confidence", "right", "colour_error", "depth_error")
Bin = dict[str, float]


def merged(runs: Sequence[Sequence[Bin]]) -> list[Bin]:
    """Return the bins of several runs as one list, from low to high confidence."""
    made: list[Bin] = []
    for low in sorted({one["low"] for bins in runs for one in bins}):
        same = [one for bins in runs for one in bins if one["low"] == low]
        pixels = sum(one["pixels"] for one in same)
        means = {name: sum(one[name] * one["pixels"] for one in same) / pixels for name in MEANS}
        made.append({"low": low, "high": same[0]["high"], "pixels": pixels, **means})
    return made


def gap(bins: Sequence[Bin]) -> float:
    """Return the mean distance of the share that is right from the confidence, by pixels."""
    pixels = sum(one["pixels"] for one in bins)
    return sum(one["pixels"] * abs(one["right"] - one["confidence"]) for one in bins) / pixels


def main() -> None:
    """Print a table; write it on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = [
        json.loads((folder / "metrics.json").read_text())["calibration"] for folder in arguments.folders
    ]
    bins = merged([one["bins"] for one in found if one])
    print("| confidence | pixels | mean | right | colour error | depth error |\n|---|---|---|---|---|---|")
    for one in bins:
        shares = f"{one['confidence']:.2f} | {one['right']:.2f}"
        errors = f"{one['colour_error']:.3f} | {one['depth_error']:.2%}"
        print(f"| {one['low']:.1f}-{one['high']:.1f} | {one['pixels']:.0f} | {shares} | {errors} |")
    print(f"mean gap {gap(bins):.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"bins": bins, "gap": gap(bins)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
