"""Plane-sweep stereo against a depth camera, beside OpenCV's SGBM.

    python benchmarks/stereo.py BAG [--json FILE] [--plot FILE] [--fit] [--growth] [--scene NAME]

Depth comes from colour and poses alone; the bag's sensor depth is truth. Frames are evenly spaced over
the recording. ``equal`` is our most confident points, as many as SGBM finds. SGBM gets the same grey
images, depth range and refined poses, and of each view's neighbours the one with which it finds most.
``reliability`` compares the confidence c of all matches, also of those that are left out, with the share
that lies within 5 percent, in tenths of c; ``gap`` is their mean difference (the expected calibration
error). ``fused`` is the same of the points of the fused cloud: right is one that more depth images show
where it is than see through it.
``--fit`` fits the weights of c in ``geometry/stereo/evidence.py`` to other selections of frames of the same
bag. ``--growth`` measures seconds and peak memory for 2 to 32 keyframes instead, each in a process of its
own. ``--selections 24x320`` measures other numbers of keyframes and widths, ``--scene NAME`` keeps the
figures under ``scenes``; ``reconx simulate`` makes bags with exact depth. FILE keeps what it holds of the
other measurements.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sgbm import sgbm_depth

from reconx_ros.geometry.agreement import AGREES, CONTRADICTS, HIDDEN, MeasuredView, judge
from reconx_ros.geometry.config import FusionConfig, PlaneSweepConfig
from reconx_ros.geometry.fusion import CloudFusion, fuse
from reconx_ros.geometry.protocol import GeometryEstimate
from reconx_ros.geometry.stereo.evidence import LEAST_MARGIN, RIGHT, WEIGHTS, gather
from reconx_ros.geometry.stereo.room import PlaneSweepGeometry
from reconx_ros.geometry.stereo.survey import Survey, view_key
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.select import select_evenly
from reconx_ros.machine import processor_name
from reconx_ros.progress import Silent
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

MEASURED = ((8, 320), (16, 320), (8, 640), (16, 640))
FITTED = ((6, 320), (12, 320), (24, 320), (9, 640))
GROWTH = ((2, 4, 8, 16, 32), (320, 640))
BEFORE = 0.1
"""Relative distance by which a point must lie before the sensor's depth to be wrong."""

Floats = NDArray[np.float64]
Row = dict[str, Any]


def depth_of(points: NDArray[np.float32], keyframe: Keyframe) -> Floats:
    """Return the depth of ``points`` [..., 3] along the axis of a view."""
    pose = keyframe.camera.camera_from_world
    return np.asarray(points @ pose[2, :3] + pose[2, 3])


def measured(view: Keyframe) -> NDArray[np.float32]:
    """Return the depth that its camera measured, [H, W] metres, which all figures are against."""
    assert view.depth is not None, "the recording has no depth to compare with"
    return view.depth


def depth_view(keyframe: Keyframe, view: Keyframe) -> MeasuredView:
    """Return the measured depth of ``view``, taken as exact, seen by the camera of ``keyframe``."""
    depth = measured(view)
    return MeasuredView.of(keyframe.camera, depth, np.zeros_like(depth))


def figures(error: Floats, pixels: int) -> Row:
    """Lay out the relative errors of the points found among ``pixels`` with truth."""
    if not len(error):
        return {"complete": 0.0}
    return {
        "complete": round(len(error) / pixels, 4),
        "median": round(float(np.median(error)), 4),
        "within_5": round(float((error < 0.05).mean()), 4),
        "within_10": round(float((error < 0.10).mean()), 4),
    }


def matched(truth: list[Keyframe], config: PlaneSweepConfig) -> tuple[GeometryEstimate, Floats, int]:
    """Return what is found, error and C [N, 2] of its points, and the number of pixels with truth."""
    estimate = PlaneSweepGeometry(config).estimate(truth, Silent())
    samples, pixels = [], 0
    for view, keyframe, pointmap in zip(truth, estimate.keyframes, estimate.pointmaps, strict=True):
        depth = measured(view)
        known = np.isfinite(depth)
        pixels += int(known.sum())
        error = np.abs(depth_of(pointmap.points, keyframe) / depth - 1)
        both = known & pointmap.known
        samples.append(np.stack([error[both], pointmap.confidence[both]], axis=-1))
    return estimate, np.concatenate(samples), pixels


def compare(frames: list[Keyframe], count: int, width: int) -> tuple[Row, Floats]:
    """Measure one selection; also return error and C [N, 2] of all our matches."""
    truth = select_evenly(frames, count, width)
    estimate, ours, pixels = matched(truth, PlaneSweepConfig())
    theirs = sgbm_errors(truth)
    best = ours[np.argsort(-ours[:, 1], kind="stable")[: len(theirs)]]
    row = {
        "keyframes": count,
        "width": width,
        "ours": figures(ours[:, 0], pixels),
        "ours_c_0.5": figures(ours[ours[:, 1] >= 2, 0], pixels),
        "ours_c_0.8": figures(ours[ours[:, 1] >= 5, 0], pixels),
        "sgbm": figures(theirs, pixels),
        "equal": figures(best[:, 0], pixels),
        "free_space": free_space(estimate, truth),
        "fused": reliability(fused(estimate, truth)),
    }
    return row, matched(truth, PlaneSweepConfig(least_probability=0))[1]


def sgbm_errors(truth: list[Keyframe]) -> Floats:
    """Return the relative errors of SGBM, over all views."""
    survey = Survey(PlaneSweepConfig())
    survey.begin(truth, range(len(truth)))
    grey = [cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY) for view in truth]
    errors = []
    for i, view in enumerate(survey.views):
        around = survey.around(i)
        depths = [
            sgbm_depth(view.camera, survey.views[j].camera, (grey[i], grey[j]), around.near, around.far)
            for j in around.neighbours
        ]
        if depths:
            best = max(depths, key=lambda depth: int(np.isfinite(depth).sum()))
            error = np.abs(best / measured(truth[i]) - 1)
            errors.append(error[np.isfinite(error)])
    return np.concatenate(errors)


def free_space(estimate: GeometryEstimate, truth: list[Keyframe]) -> Row:
    """Return the share of the fused cloud that a depth camera sees through, before and after carving."""
    views = list(zip(estimate.keyframes, estimate.pointmaps, strict=True))
    fusion = CloudFusion(FusionConfig())
    for keyframe, pointmap in views:
        fusion.merge(keyframe, pointmap)
    before = seen_through(fusion, estimate, truth)
    for keyframe, pointmap in views:
        fusion.carve(keyframe, pointmap)
    after = seen_through(fusion, estimate, truth)
    return {"merged": before, "carved": after}


def fused(estimate: GeometryEstimate, truth: list[Keyframe]) -> Floats:
    """Return error (0 right, 1 wrong) and C [N, 2] of the fused points that a depth image can judge."""
    cloud = fuse(estimate, FusionConfig())
    exact, counts = np.zeros(len(cloud), np.float32), np.zeros((4, len(cloud)), int)
    for keyframe, view in zip(estimate.keyframes, truth, strict=True):
        verdict = judge(cloud.points, exact, depth_view(keyframe, view), RIGHT)
        for kind in (AGREES, CONTRADICTS, HIDDEN):
            counts[kind] += verdict == kind
    wrong = counts[AGREES] <= counts[CONTRADICTS]
    return np.stack([wrong, cloud.confidence], axis=-1)[counts.any(axis=0)].astype(np.float64)


def seen_through(fusion: CloudFusion, estimate: GeometryEstimate, truth: list[Keyframe]) -> Row:
    """Return points, and the share that at least one depth image has more than 10 percent before it."""
    points = fusion.cloud().points
    wrong = np.zeros(len(points), bool)
    for keyframe, view in zip(estimate.keyframes, truth, strict=True):
        verdict = judge(points, np.zeros(len(points), np.float32), depth_view(keyframe, view), BEFORE)
        wrong |= verdict == CONTRADICTS
    return {"points": len(points), "share": round(float(wrong.mean()), 4)}


def reliability(samples: Floats, bins: int = 10) -> Row:
    """Return in tenths of c what is said and what is right, and the mean difference."""
    error, said = samples[:, 0], 1 - 1 / samples[:, 1]
    known = said > 0
    error, said = error[known], said[known]
    index = np.minimum((said * bins).astype(int), bins - 1)
    rows, gap = [], 0.0
    for b in range(bins):
        mine = index == b
        if mine.sum() >= 100:
            mean, right = float(said[mine].mean()), float((error[mine] < RIGHT).mean())
            gap += abs(mean - right) * float(mine.mean())
            share = round(float(mine.mean()), 4)
            rows.append({"share": share, "c": round(mean, 4), "right": round(right, 4)})
    return {"gap": round(gap, 4), "bins": rows}


def plot(rows: dict[str, Row], file: Path) -> None:
    """Draw the reliability of c, and how many matches have it."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, (above, below) = plt.subplots(
        2, 1, figsize=(5, 6), sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    for name, curve in rows.items():
        c = [row["c"] for row in curve["bins"]]
        above.plot(c, [row["right"] for row in curve["bins"]], "o-", label=f"{name} ({curve['gap']:.3f})")
        below.plot(c, [row["share"] for row in curve["bins"]], "o-")
    above.plot([0, 1], [0, 1], "k:", label="as said")
    above.set(ylabel=f"share within {RIGHT:.0%} of the sensor's depth", xlim=(0, 1), ylim=(0, 1))
    above.legend(title="keyframes x width (gap)")
    below.set(xlabel="confidence c", ylabel="share of matches", ylim=(0, None))
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def fit(frames: list[Keyframe]) -> dict[str, float]:
    """Return the weights of c: logistic regression, each selection of frames counting the same."""
    names = [name for name in WEIGHTS if name != "prior"]
    rows, right, weight = list[Floats](), list[NDArray[np.bool_]](), list[Floats]()
    for count, width in FITTED:
        truth = select_evenly(frames, count, width)
        room = PlaneSweepGeometry(PlaneSweepConfig())
        room.estimate(truth, Silent())
        before = len(rows)
        views = room._survey.views
        for index, view in enumerate(views):
            own = room._known.get(view_key(view))
            if own is None:
                continue
            around = room._survey.around(index).neighbours
            maps = (room._known.get(view_key(views[other])) for other in around)
            features = gather(own, [m for m in maps if m is not None]).features
            error = np.abs(own.depth / measured(truth[index]) - 1)
            known = np.isfinite(error)
            known &= (features["agrees"] > 0) & (features["margin"] >= LEAST_MARGIN)
            seen = [features[name][known] for name in names]
            rows.append(np.stack([np.ones(known.sum()), *seen], axis=-1))
            right.append(error[known] < RIGHT)
        total = sum(len(r) for r in rows[before:])
        weight += [np.full(len(r), 1 / total) for r in rows[before:]]
    x, y, w = np.concatenate(rows), np.concatenate(right), np.concatenate(weight)
    solution = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ solution))
        hessian = (x * (w * p * (1 - p))[:, None]).T @ x
        solution += np.linalg.solve(hessian + 1e-9 * np.eye(len(hessian)), x.T @ (w * (y - p)))
    return dict(zip(["prior", *names], solution.round(2).tolist(), strict=True))


def one_run(bag: Path, count: int, width: int, queue: "multiprocessing.Queue[Row]") -> None:
    """Time one run with warm kernels; report the peak of resident memory, and what the run added."""
    with open_source(bag, SourceConfig()) as source:
        frames = select_evenly(source.frames(), 32, width)
    PlaneSweepGeometry(PlaneSweepConfig()).estimate(frames[:2], Silent())
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    start, used = time.perf_counter(), time.process_time()
    PlaneSweepGeometry(PlaneSweepConfig()).estimate(frames[:count], Silent())
    seconds, used = time.perf_counter() - start, time.process_time() - used
    peak = resident("VmHWM")
    queue.put(
        {
            "keyframes": count,
            "width": width,
            "seconds": round(seconds, 2),
            "cpu_seconds": round(used, 2),
            "peak_mb": round(peak / 1024),
            "growth_mb": round((peak - before) / 1024),
        }
    )


def resident(name: str) -> int:
    """Return ``VmRSS`` (now) or ``VmHWM`` (peak) of this process in kibibytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def growth(bag: Path) -> list[Row]:
    """Measure all sizes, each in a fresh process."""
    context, rows = multiprocessing.get_context("spawn"), []
    for width in GROWTH[1]:
        for count in GROWTH[0]:
            queue = context.Queue()
            process = context.Process(target=one_run, args=(bag, count, width, queue))
            process.start()
            rows.append(queue.get())
            process.join()
            print(rows[-1], flush=True)
    return rows


def accuracy(
    frames: list[Keyframe], selections: Sequence[tuple[int, int]], picture: Path | None
) -> dict[str, Any]:
    """Measure every selection of frames; draw the reliability curves."""
    rows, curves = [], {}
    for count, width in selections:
        row, samples = compare(frames, count, width)
        rows.append(row)
        curves[f"{count} x {width}"] = reliability(samples)
        print(json.dumps(row, indent=1), *curves[f"{count} x {width}"]["bins"], sep="\n", flush=True)
    if picture:
        plot(curves, picture)
    return {"depth": rows, "reliability": curves}


def asked(selections: str) -> list[tuple[int, int]]:
    """Read ``8x320,16x640``."""
    pairs = [pair.split("x") for pair in selections.split(",") if pair]
    return [(int(count), int(width)) for count, width in pairs]


def main() -> None:
    """Print the figures; write them on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bag", type=Path)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--plot", type=Path, help="draw the reliability curves to this PNG")
    parser.add_argument("--fit", action="store_true", help="fit the weights of c and stop")
    parser.add_argument("--selections", default="", help="keyframes x width, as in 8x320,16x320")
    parser.add_argument("--scene", help="name to keep the figures under")
    parser.add_argument("--growth", action="store_true", help="measure seconds and memory instead")
    arguments = parser.parse_args()
    with open_source(arguments.bag, SourceConfig()) as source:
        frames = list(source.frames())
    if arguments.fit:
        print(fit(frames))
        return
    if arguments.growth:
        result: Row = {"growth": growth(arguments.bag)}
    else:
        result = accuracy(frames, asked(arguments.selections) or MEASURED, arguments.plot)
    if arguments.json:
        held = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
        if arguments.scene:
            result = {"scenes": {**held.get("scenes", {}), arguments.scene: result}}
        content = {**held, "machine": processor_name(), **result}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
