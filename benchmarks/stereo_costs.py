"""Matching costs of plane-sweep stereo against each other and OpenCV's SGBM, with a depth camera as truth.

    python benchmarks/stereo_costs.py BAG [--json FILE]

Eight keyframes of 320 pixels, one run: ZNCC (7 x 7 and 5 x 5) and census (the share of the signs in the
window that differ, doubled, so that 1 is unrelated as in ZNCC; ``x`` a factor: the
penalties of depth steps stay as they are), planes that face
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

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray
from stereo import Row, figures, matched, sgbm_errors

from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.stereo import depth_map
from reconx_ros.geometry.stereo.volume import LEVELS, UNSEEN, cost_volume
from reconx_ros.keyframes.select import select_evenly
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

COUNT, WIDTH = 8, 320
BEST = 0.4


@njit(nogil=True)  # type: ignore[untyped-decorator]
def signs(image: NDArray[np.float32], radius: int) -> NDArray[np.uint64]:
    """Return for each pixel a bit for each other pixel of its window: whether that is brighter."""
    height, width = image.shape
    bits = np.zeros((height, width), np.uint64)
    for y in range(radius, height - radius):
        for x in range(radius, width - radius):
            word, middle = np.uint64(0), image[y, x]
            for v in range(y - radius, y + radius + 1):
                for u in range(x - radius, x + radius + 1):
                    if u != x or v != y:
                        word = (word << np.uint64(1)) | np.uint64(image[v, u] > middle)
            bits[y, x] = word
    return bits


def census_volume(
    image: NDArray[np.float32],
    others: Sequence[NDArray[np.float32]],
    transfers: NDArray[np.float32],
    planes: NDArray[np.float32],
    radius: int,
    _: float,
    best_share: float,
    scale: float,
) -> NDArray[np.uint8]:
    """Return the cost volume of census, as ``stereo.volume.cost_volume`` does that of ZNCC."""
    x, y = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in image.shape[::-1]))
    pixels, own = np.stack([x, y, np.ones_like(x)], axis=-1), signs(image, radius)
    gain = 2 * scale / ((2 * radius + 1) ** 2 - 1)
    volume = np.empty((*image.shape, len(planes)), np.uint8)
    for d, w in enumerate(planes):
        costs = np.full((len(others), *image.shape), np.nan, np.float32)
        for k, (other, t) in enumerate(zip(others, transfers, strict=True)):
            at = pixels @ t[:, :3].T + w * t[:, 3]
            u, v = at[..., 0] / at[..., 2], at[..., 1] / at[..., 2]
            inside = (at[..., 2] > 0) & (u >= 0) & (v >= 0)
            inside &= (u <= other.shape[1] - 1) & (v <= other.shape[0] - 1)
            inside[:, :radius] = inside[:, -radius:] = False
            warped = cv2.remap(other, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            differ = np.bitwise_count(signs(warped, radius) ^ own)
            costs[k][inside] = gain * differ[inside]
        ranked, seen = np.sort(costs, axis=0), np.isfinite(costs).sum(axis=0)
        used = np.maximum(np.ceil(best_share * seen), 1)
        rank = np.arange(len(others))[:, None, None]
        total = np.where(rank < used, np.nan_to_num(ranked), 0).sum(axis=0)
        levels = np.clip(total / used * LEVELS + 0.5, 0, UNSEEN - 1)
        volume[..., d] = np.where(seen > 0, levels, UNSEEN)
    return volume


VARIANTS: dict[str, tuple[PlaneSweepConfig, float | None]] = {
    "zncc 7x7, facing": (PlaneSweepConfig(slanted=False), None),
    "zncc 7x7, slanted": (PlaneSweepConfig(), None),
    "zncc 5x5, slanted": (PlaneSweepConfig(window=5), None),
    "census 5x5, slanted": (PlaneSweepConfig(window=5), 1.0),
    "census 7x7, slanted": (PlaneSweepConfig(), 1.0),
    "census 7x7 x 2, slanted": (PlaneSweepConfig(), 2.0),
    "census 7x7 x 0.5, slanted": (PlaneSweepConfig(), 0.5),
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
    for name, (config, scale) in VARIANTS.items():
        everything = config.model_copy(update={"least_probability": 0.0, "device": "cpu"})
        way = partial(census_volume, scale=scale) if scale else cost_volume
        with patch.object(depth_map, "cost_volume", way):
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
