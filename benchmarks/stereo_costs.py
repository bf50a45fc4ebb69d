"""Matching costs of plane-sweep stereo against each other and OpenCV's SGBM, with a depth camera as truth.

    python benchmarks/stereo_costs.py BAG [--json FILE]

Eight keyframes of 320 pixels, one run: ZNCC (7 x 7 and 5 x 5) and census (the share of the signs in the
window that differ, doubled, so that 1 is unrelated as in ZNCC; ``x 2`` is twice that), planes that face
the image and slanted ones fitted to them. ``best`` are the most confident 40 percent of the pixels with
truth, ``all`` everything that agrees with another view. FILE is that of benchmarks/stereo.py; the rest of
it is kept.
"""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from stereo import Floats, Row, figures, matched, sgbm_errors

from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.stereo import depth_map
from reconx_ros.geometry.stereo.depth_map import StereoView
from reconx_ros.geometry.stereo.tensor.match import match
from reconx_ros.geometry.stereo.tensor.volume import Cost
from reconx_ros.geometry.stereo.winner import Winner
from reconx_ros.keyframes.select import select_evenly
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

COUNT, WIDTH = 8, 320
BEST = 0.4


def census(radius: int, scale: float) -> Cost:
    """Return the census cost: ``scale`` times twice the share of the window's signs that differ."""
    side = range(-radius, radius + 1)
    steps = [(y, x) for y in side for x in side if (y, x) != (0, 0)]

    def cost(image: torch.Tensor, warped: torch.Tensor, _: int, __: float) -> torch.Tensor:
        differ = torch.zeros_like(warped)
        for step in steps:
            one, two = (torch.roll(i, step, (2, 3)) > i for i in (image, warped))
            differ += one != two
        return (2 * scale / len(steps) * differ)[:, 0]

    return cost


def by_torch(
    cost: Cost,
    view: StereoView,
    others: Sequence[StereoView],
    transfers: Floats,
    planes: Floats,
    config: PlaneSweepConfig,
) -> Winner:
    """Match a view with another cost."""
    greys = [other.grey for other in others]
    return match(
        view.grey, greys, transfers.astype(np.float32), planes.astype(np.float32), config, "cpu", cost
    )


VARIANTS: dict[str, tuple[PlaneSweepConfig, Cost | None]] = {
    "zncc 7x7, facing": (PlaneSweepConfig(slanted=False), None),
    "zncc 7x7, slanted": (PlaneSweepConfig(), None),
    "zncc 5x5, slanted": (PlaneSweepConfig(window=5), None),
    "census 5x5, slanted": (PlaneSweepConfig(), census(2, 1)),
    "census 7x7, slanted": (PlaneSweepConfig(), census(3, 1)),
    "census 7x7 x 2, slanted": (PlaneSweepConfig(), census(3, 2)),
}


def main() -> None:
    """Print the figures; write them on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bag", type=Path)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    with open_source(arguments.bag, SourceConfig()) as source:
        truth = select_evenly(source.frames(), COUNT, WIDTH)
    rows: dict[str, Row] = {}
    ours = depth_map._match
    for name, (config, cost) in VARIANTS.items():
        everything = config.model_copy(update={"least_probability": 0.0})
        way = partial(by_torch, cost) if cost else ours
        with patch.object(depth_map, "_match", way):
            _, samples, pixels = matched(truth, everything)
        samples = samples[samples[:, 1] > 1]
        best = samples[np.argsort(-samples[:, 1], kind="stable")[: int(BEST * pixels)]]
        rows[name] = {"best": figures(best[:, 0], pixels), "all": figures(samples[:, 0], pixels)}
        print(name, rows[name], flush=True)
    rows["sgbm"] = {"all": figures(sgbm_errors(truth), pixels)}
    print("sgbm", rows["sgbm"], flush=True)
    if arguments.json:
        held = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
        arguments.json.write_text(json.dumps({**held, "costs": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
