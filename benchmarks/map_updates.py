"""What it costs to keep a map on another machine up to date while it is refined, and what that one sees.

    python benchmarks/map_updates.py [--json FILE] [--bag BAG] [--keyframes 6] [--mbits 18]

A recording is mapped keyframe by keyframe and refined in between, as the worker does. After each step
three senders say what they would send of the Gaussians: every change beyond the tolerances (``all``),
changes of six tolerances (``coarse``), and what ``reconx_worker`` sends at the given rate (``turn``).
Bytes are those on the link. The agreement is the PSNR between the map and what its receiver has, seen from
the newest keyframe; at the end the worker rests, and the turns that are left bring the rest.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reconx_ros.config import load_config
from reconx_ros.keyframes.select import select_evenly
from reconx_ros.machine import processor_name
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.ros.deltas import DeltaMaker, RowMirror
from reconx_ros.ros.half_rows import half_size
from reconx_ros.ros.latest_map import COARSE, LatestMap
from reconx_ros.ros.replies import MapReplies
from reconx_ros.ros.rows import gaussians_from_rows
from reconx_ros.ros.worker_node import TURN_S
from reconx_ros.simulation.simulate import simulate
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.splatting.rasterize import render_view

REFINEMENTS = 3
SECONDS = 1.5


def steps(bag: Path, count: int) -> Iterator[IncrementalMapper]:
    """Give the mapper after each keyframe and after each refinement."""
    with open_source(bag, SourceConfig()) as source:
        keyframes = select_evenly(source.frames(), count, 320)
    mapper = IncrementalMapper(load_config("fast"))
    for keyframe in keyframes:
        mapper.add(keyframe)
        yield mapper
        for _ in range(REFINEMENTS):
            mapper.refine(SECONDS)
            yield mapper


class Receiver:
    """What the other machine has of the Gaussians."""

    def __init__(self) -> None:
        self.mirror, self.bytes, self.psnr = RowMirror(), list[int](), list[float]()

    def take(self, delta: Any) -> None:  # noqa: ANN401
        """Take a delta; count its bytes."""
        self.mirror.apply(delta)
        self.bytes.append(len(delta.changed) * half_size(delta.changed.dtype))

    def look(self, mapper: IncrementalMapper) -> None:
        """Compare with the map."""
        snapshot = mapper.snapshot(whole=False)
        assert snapshot is not None
        assert self.mirror.rows is not None
        camera = snapshot.keyframes[-1].camera
        maps = (snapshot.gaussians, gaussians_from_rows(self.mirror.rows))
        wanted, seen = (np.clip(render_view(gaussians, camera)[0], 0, 1) for gaussians in maps)
        self.psnr.append(float(-10 * np.log10(np.mean((wanted - seen) ** 2) + 1e-12)))

    def figures(self) -> dict[str, float]:
        """Return bytes of updates after the first, which is whole, and the agreement."""
        later = np.array(self.bytes[1:])
        return {
            "updates": len(later),
            "total_bytes": int(later.sum()),
            "median_bytes": float(np.median(later)),
            "worst_bytes": int(later.max()),
            "median_psnr": float(np.median(self.psnr)),
            "worst_psnr": float(min(self.psnr)),
        }


def measure(bag: Path, keyframes: int, mbits: float) -> dict[str, Any]:
    """Map ``bag`` and send it three ways."""
    turn = LatestMap(round(TURN_S * mbits * 1e6 / 8))
    replies, makers = MapReplies(), {"all": (DeltaMaker(), 1.0), "coarse": (DeltaMaker(), COARSE)}
    exact = RowMirror()
    receivers = {name: Receiver() for name in ("all", "coarse", "turn")}
    mapper = None
    for mapper in steps(bag, keyframes):
        update = replies.make(0, mapper, "")
        assert update is not None
        exact.apply(update.gaussians)
        assert exact.rows is not None
        for name, (maker, coarse) in makers.items():
            receivers[name].take(maker.make(exact.rows, coarse))
        turn.take(update)
        given = turn.give(resting=False)
        assert given is not None
        receivers["turn"].take(given.gaussians)
        for receiver in receivers.values():
            receiver.look(mapper)
    result: dict[str, Any] = {name: receiver.figures() for name, receiver in receivers.items()}
    last = receivers["turn"]
    before = len(last.bytes)
    while (given := turn.give(resting=True)) is not None:
        last.take(given.gaussians)
    assert mapper is not None
    last.look(mapper)
    result["at_rest"] = {
        "turns": len(last.bytes) - before,
        "bytes": sum(last.bytes[before:]),
        "psnr": last.psnr[-1],
    }
    result["gaussians"] = len(last.mirror.rows) if last.mirror.rows is not None else 0
    return result


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--bag", type=Path, help="a recording; default: a simulated room")
    parser.add_argument("--keyframes", type=int, default=6)
    parser.add_argument("--mbits", type=float, default=18.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bag = options.bag
        if bag is None:
            bag = Path(folder) / "room"
            simulate(bag, frames=options.keyframes, width=320, height=240)
        figures = {
            "machine": f"{processor_name()}, {os.cpu_count()} cores",
            "bag": options.bag.name if options.bag else "simulated room",
            "keyframes": options.keyframes,
            "mbits": options.mbits,
            **measure(bag, options.keyframes, options.mbits),
        }
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
