r"""What planned trajectories see that no input saw, on procedural scenes and a recording.

    python benchmarks/trajectory.py [--bag FOLDER] [--json FILE] [--pictures FOLDER] [--scenes N]
        [--keyframes 2,4,8] [--frames 16] [--plan 'four: clip=4' --plan ...] [--shares]

A plan is a name and settings of ``PlanConfig``. For each, over the frames of its trajectory on a raster 64
pixels wide, medians over the scenes of

    hoped       share of pixels that it hopes to learn
    right       share of those that are truly unseen by every input
    new         cells of true surface (a cube of 5 cm in simulation, 1/40 of the depth of the scene in a
                recording) that are unseen by every input, at most ``--reach`` pixels from seen surface
    unseen      share of pixels without known surface
    inside      frames whose camera is inside a thing or a wall
    seconds     to plan, and ``cpu``, the same in seconds of one core (others may use the machine)

``--shares`` instead looks at random views beyond the keyframes: the PSNR of a push-pull fill of what is
truly unseen, by the share of the view that is unseen and by the distance to seen surface in pixels. From
these ``most_unseen`` and ``reach`` were chosen.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from trajectory_cases import Case, recorded, simulated_cases

from reconx_ros.camera import Camera
from reconx_ros.machine import processor_name
from reconx_ros.structure.candidates import beyond
from reconx_ros.structure.config import PlanConfig
from reconx_ros.structure.fills import push_pull
from reconx_ros.structure.hopes import looked_up
from reconx_ros.structure.plan import plan_trajectory
from reconx_ros.structure.survey import Sketch, coarse, survey
from reconx_ros.structure.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float32]
Row = dict[str, Any]

CELL = 0.05
NEAR = 8.0
HIDDEN = 1.03
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.95)
DISTANCES = (0, 2, 4, 6, 8, 12, 16, 24, 64)


class Truth:
    """What the inputs of a case truly saw."""

    def __init__(self, case: Case) -> None:
        """Look through all inputs, at twice the size of a coarse view."""
        self.case = case
        self._views = []
        for keyframe in case.keyframes:
            small = coarse(keyframe.camera)
            fine = small.resized(2 * small.width, 2 * small.height)
            depth = case.depth(fine)
            same = fine.resized(depth.shape[1], depth.shape[0])
            self._views.append(Sketch(same, same.camera_from_world, depth, depth, ~np.isfinite(depth)))

    def look(self, camera: Camera) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_], Floats]:
        """Return points [h, w, 3], which are there, which no input saw, and pixels to the nearest seen."""
        small = coarse(camera)
        depth = self.case.depth(small)
        there = np.isfinite(depth)
        points = small.unproject(np.where(there, depth, np.float32(1)))
        seen = np.zeros(depth.size, np.bool_)
        for view in self._views:
            far, front = looked_up(points.reshape(-1, 3), view, view.depth)
            seen |= far < HIDDEN * front
        unseen = there & ~seen.reshape(depth.shape)
        known = there & ~unseen
        away = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5) if known.any() else None
        return points, there, unseen, np.full(depth.shape, 1e3, np.float32) if away is None else away


def measure(case: Case, truth: Truth, config: PlanConfig, frames: int) -> tuple[Row, Trajectory]:
    """Plan and look at what the frames truly see."""
    seconds, cpu = [], []
    for _ in range(3):
        start, work = time.perf_counter(), time.process_time()
        trajectory = plan_trajectory(case.keyframes, frames, case.cloud, config)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - work)
    cells: set[tuple[int, ...]] = set()
    hoped = right = pixels = 0
    for clip in trajectory.clips:
        for hopes, camera in zip(clip.hopes, trajectory.cameras[clip.start : clip.stop], strict=True):
            points, there, unseen, away = truth.look(camera)
            chosen = points[unseen & (away <= NEAR)]
            cells |= set(map(tuple, np.floor(chosen / CELL).astype(int).tolist()))
            hoped, right, pixels = (
                hoped + int(np.count_nonzero((hopes > 0) & there)),
                right + int(np.count_nonzero((hopes > 0) & unseen)),
                pixels + hopes.size,
            )
    inside = 0
    if case.distance is not None and len(trajectory):
        inside = int((case.distance(np.stack([c.centre for c in trajectory.cameras])) <= 0).sum())
    unseen_share = [share for clip in trajectory.clips for share in clip.unseen]
    return {
        "frames": len(trajectory),
        "clips": len(trajectory.clips),
        "hoped": hoped / max(pixels, 1),
        "right": right / max(hoped, 1),
        "new": len(cells),
        "unseen": float(np.mean(unseen_share)) if unseen_share else 0.0,
        "inside": inside,
        "seconds": min(seconds),
        "cpu": min(cpu),
    }, trajectory


def shares(cases: Sequence[Case]) -> Row:
    """Fill random views beyond the keyframes by push-pull and compare with the truth."""
    by_share: dict[int, list[tuple[float, int]]] = defaultdict(list)
    by_distance: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for case in cases:
        truth, random = Truth(case), np.random.default_rng(0)
        known = survey(case.cloud, [keyframe.camera for keyframe in case.keyframes])
        if known is None or case.picture is None or case.distance is None:
            continue
        looks = [v for k in case.keyframes for v in beyond(k.camera, known.depth)]
        free = case.distance(np.stack([camera.centre for camera in looks])) > 0.1
        for at in random.permutation(np.flatnonzero(free))[:40]:
            _, there, unseen, away = truth.look(looks[at])
            image = torch.from_numpy(case.picture(coarse(looks[at]))).permute(2, 0, 1)[None]
            mask = torch.from_numpy(there & ~unseen)[None, None].float()
            error = (push_pull(image * mask, mask) - image).square().mean(1)[0].numpy()
            near = unseen & (away <= NEAR)
            if near.any():
                share = int(np.digitize(unseen.mean(), SHARES)) - 1
                by_share[share].append((float(error[near].sum()), int(near.sum())))
            for step in range(len(DISTANCES) - 1):
                ring = unseen & (away > DISTANCES[step]) & (away <= DISTANCES[step + 1])
                by_distance[step].append((float(error[ring].sum()), int(ring.sum())))
    return {
        "by unseen share of the view": [_level(by_share[n], SHARES, n) for n in sorted(by_share)],
        "by pixels to seen surface": [_level(by_distance[n], DISTANCES, n) for n in sorted(by_distance)],
    }


def _level(found: list[tuple[float, int]], edges: Sequence[float], at: int) -> Row:
    total, count = np.sum(found, axis=0)
    end = edges[at + 1] if at + 1 < len(edges) else 1.0
    return {
        "from": edges[at], "to": end, "views": len(found), "pixels": int(count),
        "psnr": round(float(-10 * np.log10(total / max(count, 1))), 2) if count else None,
    }  # fmt: skip


def draw(case: Case, plans: dict[str, Trajectory], file: Path) -> None:
    """Draw the cloud from above with the inputs (blue) and the frames of each plan (by clip)."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow to import)

    down = np.mean([k.camera.world_from_camera[:3, 1] for k in case.keyframes], axis=0)
    down /= np.linalg.norm(down)
    ahead = case.keyframes[0].camera.world_from_camera[:3, 2]
    ahead = ahead - (ahead @ down) * down
    ahead /= np.linalg.norm(ahead)
    across = np.stack([np.cross(down, ahead), ahead], axis=1)
    figure = Figure(figsize=(5 * len(plans), 6), layout="constrained")
    cloud = case.cloud.points[:: max(1, len(case.cloud) // 40_000)] @ across
    colors = case.cloud.colors[:: max(1, len(case.cloud) // 40_000)] / 255
    for number, (name, trajectory) in enumerate(plans.items()):
        axes = figure.add_subplot(1, len(plans), number + 1)
        axes.scatter(cloud[:, 0], cloud[:, 1], s=0.6, c=colors, linewidths=0)
        for keyframe in case.keyframes:
            _frustum(axes, keyframe.camera, across, "tab:blue", 0.6)
        for at, clip in enumerate(trajectory.clips):
            frames = trajectory.cameras[clip.start : clip.stop]
            color = f"C{1 + at % 9}"
            for camera in frames:
                _frustum(axes, camera, across, color, 0.4)
            axes.plot(*(np.stack([c.centre for c in frames]) @ across).T, color=color, lw=1.5)
        axes.set_aspect("equal")
        axes.set_title(name)
    figure.suptitle(f"{case.name}, {len(case.keyframes)} keyframes (blue), a colour for each clip")
    figure.savefig(file, dpi=80)


def _frustum(axes: "Axes", camera: Camera, across: Floats, color: str, length: float) -> None:
    corners = np.array([[0, camera.height / 2, 1], [camera.width - 1, camera.height / 2, 1]])
    rays = corners @ np.linalg.inv(camera.intrinsics).T @ camera.world_from_camera[:3, :3].T
    ends = (camera.centre + length * rays) @ across
    tip = camera.centre @ across
    axes.plot(*np.stack([ends[0], tip, ends[1]]).T, color=color, lw=0.8)


def cases(arguments: argparse.Namespace) -> Iterator[Case]:
    """Yield all scenes wanted."""
    for number in map(int, arguments.keyframes.split(",")):
        if arguments.scenes:
            yield from simulated_cases(number, arguments.scenes)
        if arguments.bag is not None:
            yield recorded(arguments.bag, number)


def parsed(text: str) -> tuple[str, PlanConfig]:
    """Read ``name: setting=value, ...``."""
    name, _, rest = text.partition(":")
    pairs = (part.split("=", 1) for part in rest.split(",") if part.strip())
    return name, PlanConfig.model_validate({key.strip(): yaml.safe_load(value) for key, value in pairs})


def main() -> None:
    """Print a table; write all rows and pictures on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bag", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--keyframes", default="2,4,8")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--plan", action="append")
    parser.add_argument("--shares", action="store_true")
    arguments = parser.parse_args()
    about: Row = {"machine": processor_name(), "frames": arguments.frames}
    if arguments.shares:
        found = shares(list(cases(arguments)))
        print(json.dumps(found, indent=1))
        about |= found
    else:
        default = ["between: trajectory=between", "uncertain: trajectory=uncertain"]
        plans = dict(map(parsed, arguments.plan or [*default, "window: trajectory=window"]))
        about["rows"] = run(arguments, plans)
    if arguments.json:
        arguments.json.write_text(json.dumps(about, indent=1) + "\n")


def run(arguments: argparse.Namespace, plans: dict[str, PlanConfig]) -> list[Row]:
    """Measure every plan in every scene."""
    rows: list[Row] = []
    for case in cases(arguments):
        truth, made = Truth(case), {}
        for name, config in plans.items():
            row, made[name] = measure(case, truth, config, arguments.frames)
            rows.append({"plan": name, "scene": case.name, "keyframes": len(case.keyframes), **row})
        if arguments.pictures is not None:
            name = f"{case.name.replace(' ', '_')}_{len(case.keyframes)}.png"
            draw(case, made, arguments.pictures / name)
    kinds = sorted({(row["scene"].split()[0], row["keyframes"]) for row in rows})
    for kind, number in kinds:
        for name in plans:
            some = [
                row for row in rows
                if (row["scene"].split()[0], row["keyframes"], row["plan"]) == (kind, number, name)
            ]  # fmt: skip
            figures = {key: np.median([row[key] for row in some]) for key in some[0] if key not in
                       ("plan", "scene", "keyframes", "inside")}  # fmt: skip
            figures["inside"] = sum(row["inside"] for row in some)
            text = "  ".join(f"{key} {value:.3g}" for key, value in figures.items())
            print(f"{kind:14} {number} keyframes {name:12} {text}")
    return rows


if __name__ == "__main__":
    main()
