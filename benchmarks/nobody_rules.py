"""What rules say of the cases of ``nobody.py``, and what each of them would have gained.

A rule is a figure of the contest and the least of it from which is filmed: 0, or the value that gained most
in all *other* scenes, so that no scene's outcome has a say in its own threshold. Scenes weigh alike.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.diffusion.look import Floats, Mask, decibels, exposed, mean
from reconx_ros.diffusion.protocol import EXPLAINED
from reconx_ros.diffusion.reliability import is_right

WEAK = 0.9
"""Alpha below which the map shows a pixel weakly."""

ALWAYS = -99.0

Shot = dict[str, Any]


def figures(file: Path, films: str) -> dict[str, float | None]:
    """Return by rule what the frames in ``file`` say of ``films``, mean over left-out keyframes."""
    kept = dict(np.load(file))
    count = sum(name.endswith(" photo") for name in kept)
    shots = [_shot(kept, at, films) for at in range(count)]
    return {name: mean([figure(shot) for shot in shots]) for name, figure in FIGURES.items()}


def _shot(kept: dict[str, NDArray[Any]], at: int, films: str) -> Shot:
    """Return the differences of both, the film's confidence, the map's alpha, and holes."""
    image = kept[f"{at} {films} image"].astype(np.float32) / np.float32(255)
    size = (image.shape[1], image.shape[0])
    photo, color, alpha, seen = (
        cv2.resize(kept[f"{at} {name}"].astype(np.float32), size)
        for name in ("photo", "color", "alpha", "seen")
    )
    photo, covered = photo / 255, seen > 0.5
    shown = np.clip(color + (1 - alpha[..., None]) * kept[f"{at} behind"].astype(np.float32), 0, 1)
    film, map_ = exposed(image, photo, covered), exposed(shown, photo, covered)
    confidence = kept[f"{at} {films} confidence"]
    holes = ~covered & (confidence > 0)
    right = (is_right(film, photo), is_right(map_, photo))
    return {
        "film": film - photo,
        "map": map_ - photo,
        "right": right,
        "confidence": confidence,
        "holes": holes,
        "shown": holes & (alpha >= EXPLAINED),
        "weak": holes & (alpha >= EXPLAINED) & (alpha < WEAK),
    }


def _over(shot: Shot, where: Mask) -> float:
    return decibels(shot["film"][where]) - decibels(shot["map"][where])


def _mixed(shot: Shot, where: Mask, share: float | NDArray[np.float32] = 0.5) -> float:
    mixture: Floats = shot["map"] + share * (shot["film"] - shot["map"])
    return decibels(mixture[where]) - decibels(shot["map"][where])


def _more_right(shot: Shot) -> float:
    film, map_ = (each[shot["shown"]] for each in shot["right"])
    return float(film.mean() - map_.mean()) if len(film) else float("nan")


FIGURES: dict[str, Callable[[Shot], float]] = {
    "over": lambda shot: _over(shot, shot["shown"]),
    "over_weak": lambda shot: _over(shot, shot["weak"]),
    "over_all_holes": lambda shot: _over(shot, shot["holes"]),
    "mixed": lambda shot: _mixed(shot, shot["shown"]),
    "mixed_quarter": lambda shot: _mixed(shot, shot["shown"], 0.25),
    "mixed_by_confidence": lambda shot: _mixed(shot, shot["shown"], shot["confidence"][..., None]),
    "mixed_all_holes": lambda shot: _mixed(shot, shot["holes"]),
    "more_right": _more_right,
}

Case = dict[str, Any]


def summary(cases: dict[str, Case]) -> dict[str, Any]:
    """Return for every rule how often it was wrong and what it gained, in dB over all held-out pixels."""
    known = [{**case, "name": name} for name, case in cases.items() if "rules" in case]
    rules = [("always", "over", ALWAYS), ("never", "over", -ALWAYS)]
    rules += [("over -0.5", "over", -0.5), ("over -1", "over", -1.0)]
    rules += [(f"{name} 0", name, 0.0) for name in FIGURES]
    scenes = _scenes(known)
    found = {name: _outcome(known, dict.fromkeys(scenes, least), rule) for name, rule, least in rules}
    for name in FIGURES:
        fitted = {scene: _fitted(known, name, scene) for scene in scenes}
        found[f"{name} fitted"] = {**_outcome(known, fitted, name), "least": fitted}
    return {"cases": len(known), "scenes": len(scenes), "best": _best(known), "rules": found}


def _scenes(cases: Sequence[Case]) -> list[str]:
    return sorted({case["scene"] for case in cases})


def _gain(case: Case) -> float:
    return float(case["gain"]["psnr"]["mean"])


def _films(case: Case, rule: str, least: float) -> bool:
    figure = case["rules"][rule]
    return figure is None or figure >= least


def _best(cases: Sequence[Case]) -> float:
    """Return what who knows the outcome gains."""
    return _over_scenes(cases, [max(_gain(case), 0.0) for case in cases])


def _over_scenes(cases: Sequence[Case], gains: Sequence[float]) -> float:
    scenes = _scenes(cases)
    mine = [[g for case, g in zip(cases, gains, strict=True) if case["scene"] == scene] for scene in scenes]
    return float(np.mean([np.mean(each) for each in mine]))


def _outcome(cases: Sequence[Case], least: dict[str, float], rule: str) -> dict[str, Any]:
    films = [_films(case, rule, least[case["scene"]]) for case in cases]
    gains = [_gain(case) for case in cases]
    pairs, names = list(zip(films, gains, strict=True)), [case["name"] for case in cases]
    return {
        "gain": _over_scenes(cases, [gain if film else 0.0 for film, gain in pairs]),
        "right": sum(film == (gain >= 0) for film, gain in pairs),
        "lost": {n: round(-g, 3) for n, (film, g) in zip(names, pairs, strict=True) if film and g < 0},
        "missed": {n: round(g, 3) for n, (film, g) in zip(names, pairs, strict=True) if not film and g > 0},
    }


def _fitted(cases: Sequence[Case], rule: str, without: str) -> float:
    """Return the least figure that gains most in all scenes but one; of equals that nearest to 0."""
    others = [case for case in cases if case["scene"] != without]
    values = sorted({case["rules"][rule] for case in others if case["rules"][rule] is not None})
    between = [(low + high) / 2 for low, high in pairwise(values)]
    tried = [ALWAYS, *between, -ALWAYS]
    scenes = _scenes(others)

    def gained(least: float) -> float:
        return float(_outcome(others, dict.fromkeys(scenes, least), rule)["gain"])

    best: float = max(tried, key=lambda least: (round(gained(least), 9), -abs(least)))
    return best
