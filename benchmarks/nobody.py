r"""When is it better that nobody films? The contest's figures beside what filming brings held-out views.

    python benchmarks/nobody.py --data ../shared/data --output /tmp/nobody \
        --json benchmarks/results/nobody.json

Every case is reconstructed twice with preset fast, without filming and with the best contender of ``auto``
filming whatever the contest says of nobody. Cases that the JSON file holds are not run again.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from nobody_cases import LARGE_WIDTH, WIDTH, Case, cases
from nobody_rules import figures, summary
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.cli.progress import PlainProgress
from reconx_ros.config import ReconxConfig, changed, load_config
from reconx_ros.diffusion.choose import contenders
from reconx_ros.diffusion.contest import choose
from reconx_ros.diffusion.protocol import GeneratedFrame, Scene, Synthesizer
from reconx_ros.diffusion.synthesis import references_of
from reconx_ros.diffusion.trust import left_out
from reconx_ros.errors import ReconxError
from reconx_ros.evaluation.ablation import COMPARED, Figures, Remembered, covered_by_inputs, difference
from reconx_ros.evaluation.metrics import Mask
from reconx_ros.evaluation.task import Task, read_task, view_scores
from reconx_ros.geometry.choose import choose_geometry
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.machine import describe_machine
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.pipeline import reconstruct_keyframes
from reconx_ros.progress import Progress, Silent
from reconx_ros.splatting.unfilmed import unfilmed_map
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

PROGRESS = PlainProgress(60)
FILMED = 256
"""Pixels of a frame: as wide as a keyframe, up to the default, so that all contenders' frames are."""

SECONDS = 6000
"""Time to film in, so that a busy machine films as many frames as an idle one."""


@dataclass
class Recorder:
    """A contender whose frames are kept."""

    inner: Synthesizer
    frames: list[GeneratedFrame | None] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the contender."""
        return self.inner.name

    @property
    def clip(self) -> int:
        """Of the contender."""
        return self.inner.clip

    def generate(
        self,
        references: Sequence[Reference],
        cloud: PointCloud,
        trajectory: Trajectory,
        progress: Progress,
    ) -> tuple[GeneratedFrame, ...]:
        """Film as the contender does, and keep the last frame, if there is one."""
        found = self.inner.generate(references, cloud, trajectory, progress)
        self.frames.append(found[-1] if found else None)
        return found

    def believed(self, said: NDArray[np.float32], right: NDArray[np.bool_]) -> Synthesizer:
        """Return the contender as it is corrected."""
        return self.inner.believed(said, right)

    def grounded(self, scene: Scene) -> Synthesizer:
        """Return the contender that keeps to ``scene``."""
        return self.inner.grounded(scene)


def contest(references: Sequence[Reference], config: ReconxConfig, file: Path) -> dict[str, Any]:
    """Return the report of the contest; what all showed of each keyframe goes to ``file``."""
    running = [Recorder(each) for each in contenders(config.synthesis, "cpu")[0]]
    drawn: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def unfilmed(near: Sequence[Reference]) -> Scene:
        scene = unfilmed_map(near, config.splatting, config.device)

        def shown(camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            drawn.append(scene(camera))
            return drawn[-1]

        return shown

    _, report = choose(running, references, config.synthesis, Silent(), unfilmed)
    asked = left_out(len(references), config.synthesis.trust.keyframes)
    filmed = [at for at in range(len(asked)) if running[0].frames[at] is not None]
    kept: dict[str, Any] = {}
    for at, (number, (color, alpha)) in enumerate(zip([asked[i] for i in filmed], drawn, strict=True)):
        others = [each for i, each in enumerate(references) if i != number]
        kept |= _shot(at, running, filmed[at], references[number], others)
        kept |= {f"{at} color": color, f"{at} alpha": alpha}
    np.savez_compressed(file, **kept)
    return report


def _shot(
    at: int, running: Sequence[Recorder], turn: int, truth: Reference, others: Sequence[Reference]
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    frames = [frame for each in running if (frame := each.frames[turn]) is not None]
    for each, frame in zip(running, frames, strict=True):  # of a keyframe that one filmed all did
        kept |= {
            f"{at} {each.name} {name}": getattr(frame, name) for name in ("image", "confidence", "depth")
        }
    last = frames[-1]
    photo = truth.resized(last.camera.height, last.camera.width).image
    behind = np.mean([each.image.mean(axis=(0, 1)) for each in others], axis=0) / 255
    return {**kept, f"{at} seen": last.seen, f"{at} photo": photo, f"{at} behind": behind}


def compared(case: Case, output: Path) -> dict[str, Any]:
    """Return the contest's figures and the held-out views' without filming and with."""
    own = {"synthesis": {"seconds": SECONDS, "small": {"width": min(case.width, FILMED)}}}
    method = {"geometry": {"method": "plane-sweep"}} if case.stereo else {}
    config = load_config("fast", None, {**own, **method})
    task = read_task(case.source, config, str(case.inputs), case.held_out, PROGRESS, case.width)
    room = Remembered(choose_geometry(task.config.geometry, task.keyframes, task.split.metric))
    references = references_of(room.estimate(task.keyframes, PROGRESS).usable())
    rows = contest(references, task.config, output / f"{case.name}.npz")["contest"]
    films = max(rows, key=lambda name: (rows[name]["gain_db"], name == "push-pull"))
    made = {method: _made(task, room, method) for method in ("none", films)}
    covered = covered_by_inputs(task.split, made["none"])
    without, filmed = (_figures(task, made[each], covered) for each in ("none", films))
    return {
        "scene": case.scene,
        "inputs": case.inputs,
        "hold_out": case.held_out,
        "image_width": case.width,
        "views": len(without),
        "unseen": 1 - float(np.mean([mask.mean() for mask in covered])),
        "films": films,
        "frames": made[films].report["generated_frames"],
        "contest": rows,
        "without": _means(without),
        "filmed": _means(filmed),
        "gain": {name: difference(filmed, without, name) for name in COMPARED},
    }


def _made(task: Task, room: Remembered, method: str) -> Reconstruction:
    own = changed(task.config, {"synthesis": {"method": method}})
    return reconstruct_keyframes(task.keyframes, own, PROGRESS, task.split.metric, geometry=room)


def _figures(task: Task, result: Reconstruction, covered: list[Mask]) -> list[Figures]:
    return [one.json() for one in view_scores(task, result, covered, task.config.drawing, Silent())]


def _means(rows: Sequence[Figures]) -> dict[str, float | None]:
    values = {name: [value for row in rows if (value := row[name]) is not None] for name in COMPARED}
    return {name: float(np.mean(each)) if each else None for name, each in values.items()}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--data", type=Path, required=True, help="folder with the recordings")
    made.add_argument("--output", type=Path, required=True, help="folder of rooms and contest frames")
    made.add_argument("--json", type=Path, required=True, help="file that gets the figures")
    made.add_argument("--cases", default="", help="only those of these names, as in fox 3,fern 2")
    return made


def write(file: Path, found: dict[str, dict[str, Any]], output: Path) -> None:
    """Write all cases, with what rules say of the frames kept in ``output``, and what rules gain."""
    for name, case in found.items():
        if "gain" in case and (frames := output / f"{name}.npz").exists():
            case["rules"] = figures(frames, case["films"])
    settings = {"preset": "fast", "image_width": WIDTH, "large_image_width": LARGE_WIDTH}
    content = {"machine": describe_machine(), **settings, "cases": found, "summary": summary(found)}
    file.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def main() -> None:
    """Run what is missing; what is measured is written as soon as it is."""
    arguments = parser().parse_args()
    found = json.loads(arguments.json.read_text())["cases"] if arguments.json.exists() else {}
    arguments.output.mkdir(parents=True, exist_ok=True)
    for case in cases(arguments):
        if case.name in found:
            continue
        try:
            found[case.name] = compared(case, arguments.output)
        except ReconxError as err:
            found[case.name] = {"scene": case.scene, "inputs": case.inputs, "error": str(err)}
        print(case.name, found[case.name], flush=True)
        write(arguments.json, found, arguments.output)
    write(arguments.json, found, arguments.output)


if __name__ == "__main__":
    main()
