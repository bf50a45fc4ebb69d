r"""Regularisers that the optimiser does not have, beside those it has: what each brings on held-out views.

    python benchmarks/regularisers.py ../shared/data/fern --inputs 3 --geometry plane-sweep --width 504

Every variant starts from the same cloud, as in ``splatting_quality.py``, whose figures these are. Parts
of the optimiser are turned off one at a time by their settings; the others below are added to all of it.

- entropy, opacity, size: the gradient of the entropy of each opacity, of each opacity, or of each log
  scale, times this weight and the learning rate, is taken off after each step (a decoupled penalty: Adam
  would undo its size).
- normals: |grad 1/D - grad 1/z| z, weighted by confidence, over pixels whose depths are within 5 % of
  their neighbours' (of a plane, inverse depth is affine, and its gradient over it the normal).
- relocation: every 50 steps, Gaussians of opacity below 0.05, or below 0.2, go where opaque ones are
  (Kheradmand et al. 2024, with two Gaussians in one place).
- unpooling: after a third and two thirds of the steps, a Gaussian twice as far from its three nearest as
  usual gets new ones half way to them (Zhu et al. 2024); on surfaces: from 1.5 times as far on, and only to
  neighbours on the same surface.
- anti-aliasing: opacities make up for what the low-pass filter adds (Yu et al. 2024), always.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from regulariser_parts import ACTED, ADDED
from splatting_quality import parse_variant, prepare, run

from reconx_ros.config import load_config
from reconx_ros.machine import processor_name

OFF = (
    "base",
    "no dropout: dropout=0",
    "no image gradients: gradient_weight=0",
    "no outliers: outliers=0",
    "no reprojected views: pseudo_views=0",
    "no guessed depth: guess_stride=0",
    "no exposure: exposure=false",
    "no depth: depth_weight=0",
    "no coverage: coverage_weight=0",
    "no shape limits: limits.max_growth=1e6 limits.max_anisotropy=1e6 limits.max_scale=1e3",
    "harmonics at once: sh_interval=1",
    "colour alone: sh_degree=0",
)


def main() -> None:
    """Print a row a variant; write them on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--geometry")
    parser.add_argument("--width", type=int, help="of the input images")
    parser.add_argument("--only", action="append", help="name of a variant; all where there is none")
    parser.add_argument("--json", type=Path, help="file that gets the figures of this case beside others")
    args = parser.parse_args()
    common: dict[str, Any] = {"geometry": {"method": args.geometry}} if args.geometry else {}
    if args.width:
        common["keyframes"] = {"image_width": args.width}
    case = prepare(
        args.source, args.inputs, "every:8", load_config(args.preset, None, common), args.width, False
    )
    rows: dict[str, dict[str, float]] = {}
    for text in (*OFF, *ADDED):
        name, settings = parse_variant(text)
        if args.only and name not in args.only:
            continue
        ACTED.clear()
        if name in ADDED:
            rows[name] = run(case, load_config(args.preset, None, common), **ADDED[name])
            rows[name].update(acted=ACTED["gaussians"])
        else:
            rows[name] = run(case, load_config(args.preset, None, {**common, "splatting": settings}))
        print(
            f"{case.name}  {name:24s} " + "  ".join(f"{k} {v:g}" for k, v in rows[name].items()), flush=True
        )
    if args.json:
        old = json.loads(args.json.read_text()) if args.json.exists() else {}
        made = {**old.get("cases", {}), case.name: {**old.get("cases", {}).get(case.name, {}), **rows}}
        about = {"machine": processor_name(), "preset": args.preset, "cases": made}
        args.json.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
