"""The maps of docs/measured.md: held-out views with filming and without, by the commands a user gives.

    python benchmarks/maps.py [--data ../shared/data] [--only 'redkitchen_bag 8'] [-o maps.json]

Runs ``reconx evaluate`` once a map in a process of its own, prints the figures and keeps them in
``benchmarks/results/maps.json``, case by case. ``cores_busy`` is the mean number of cores that others
kept busy meanwhile: the seconds are those of an idle machine where it is near zero.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "maps.json"
FERN = ("--image-width", "504", "--geometry", "plane-sweep")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Case:
    """A recording, how many of its frames are given, and what else is."""

    source: str
    inputs: int
    preset: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What ``--only`` compares with."""
        return f"{self.source} {self.inputs} {self.preset}"

    def arguments(self, synthesizer: str) -> list[str]:
        """Return what follows ``reconx``, without folders."""
        split = ["--inputs", str(self.inputs), "--hold-out", "every:8"]
        rest = ["--preset", self.preset, "--synthesizer", synthesizer, *self.options]
        return ["evaluate", self.source, *split, *rest]


CASES = (
    Case("redkitchen_bag", 2, "fast"),
    Case("redkitchen_bag", 4, "fast"),
    Case("redkitchen_bag", 8, "fast"),
    Case("redkitchen_bag", 8, "balanced"),
    Case("fern", 3, "balanced", FERN),
)


def busy_seconds() -> float:
    """Return the core seconds that all processes of this machine have had since it started."""
    user, nice, system, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system) / TICKS


def own_seconds() -> float:
    """Return the core seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measured(case: Case, synthesizer: str, data: Path, output: Path) -> dict[str, Any]:
    """Make and measure one map.

    Raises:
        CalledProcessError: ``reconx evaluate`` failed.
    """
    arguments = case.arguments(synthesizer)
    command = [*arguments[:1], str(data / case.source), *arguments[2:], "-o", str(output)]
    others, began = busy_seconds() - own_seconds(), time.monotonic()
    subprocess.run([sys.executable, "-m", "reconx_ros.cli.main", *command], check=True)
    seconds = time.monotonic() - began
    busy = (busy_seconds() - own_seconds() - others) / seconds
    metrics = json.loads((output / "metrics.json").read_text())
    report = json.loads((output / "report.json").read_text())
    kept = ("mean", "calibration", "gaussians", "seconds", "peak_memory_bytes", "machine")
    return {
        "command": " ".join(["reconx", *arguments]),
        **{key: metrics[key] for key in kept},
        "baselines": {name: _means(found) for name, found in metrics["baselines"].items() if found},
        "synthesis": report.get("synthesis"),
        "cores_busy": round(busy, 2),
    }


def _means(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "views"}


def main() -> None:
    """Measure the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RECONX_DATA", "../shared/data")))
    parser.add_argument("--only", default="", help="Cases whose name begins so.")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    results: dict[str, Any] = json.loads(given.output.read_text()) if given.output.exists() else {}
    for case in CASES:
        if not case.name.startswith(given.only):
            continue
        for synthesizer in ("none", "auto"):
            with tempfile.TemporaryDirectory() as folder:
                found = measured(case, synthesizer, given.data, Path(folder))
            results.setdefault(case.name, {})[synthesizer] = found
            given.output.write_text(json.dumps(results, indent=1) + "\n")
            figures = {key: round(value, 3) for key, value in found["mean"].items()}
            print(case.name, synthesizer, figures, found["seconds"], found["cores_busy"], flush=True)


if __name__ == "__main__":
    main()
