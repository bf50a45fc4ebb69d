"""Random looks: any pattern in any colours, for training data that must not favour one style."""

from dataclasses import replace

import numpy as np
import torch

from reconx_ros.simulation.builder import SceneBuilder
from reconx_ros.simulation.materials import PATTERNS
from reconx_ros.simulation.scene import Scene

_WHOLE_FACE = ("painting", "poster", "window", "books", "rug", "facade")


def random_look(builder: SceneBuilder, large: bool = False) -> int:
    """Add a material of random pattern, colours and period; return its row.

    Args:
        builder: of the scene.
        large: for walls and floors: longer periods, and no pattern that fills a face once.
    """
    random = builder.random
    names = [name for name in PATTERNS if not (large and name in _WHOLE_FACE)]
    period = float(np.exp(random.uniform(*((-2.3, -0.5) if large else (-3.2, -1.0)))))
    return builder.material(names[int(random.integers(len(names)))], _palette(random), period)


def _palette(random: np.random.Generator) -> list[str]:
    """Three sRGB colours around one hue, a pale one, a middling one and a dark or contrasting one."""
    base = random.uniform(0.15, 0.9, 3)
    grey = base.mean()
    base = grey + (base - grey) * random.uniform(0.0, 0.8) ** 1.5
    others = [np.clip(base * random.uniform(0.35, 1.5) + random.normal(0, 0.12, 3), 0.02, 0.97)]
    others.append(np.clip(random.uniform(0.02, 0.97, 3) * random.uniform(0.4, 1.0), 0.02, 0.97))
    return ["".join(f"{round(255 * channel):02x}" for channel in colour) for colour in (base, *others)]


def repainted(scene: Scene, seed: int, share: float = 0.5) -> Scene:
    """Return the scene with a random share of its materials in new colours and patterns.

    Args:
        scene: a batch of one; what glows keeps its look.
        seed: of the choice.
        share: how many of the materials change.
    """
    random = np.random.default_rng([seed, 11])
    source = SceneBuilder(seed + 7919)
    table = scene.materials
    chosen = torch.from_numpy(random.random(table.pattern.shape[1]) < share) & (table.glow[0] == 0)
    for _ in range(int(chosen.sum())):
        random_look(source, large=bool(random.integers(2)))
    if not bool(chosen.any()):
        return scene
    fresh = source.build().materials
    pattern, colours, seeds = table.pattern.clone(), table.colours.clone(), table.seed.clone()
    pattern[0, chosen], colours[0, chosen] = fresh.pattern[0], fresh.colours[0]
    seeds[0, chosen] = fresh.seed[0]
    return replace(scene, materials=replace(table, pattern=pattern, colours=colours, seed=seeds))
