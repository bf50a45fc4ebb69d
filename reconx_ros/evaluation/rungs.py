"""The rungs of the ablation: each is a configuration, said as what it changes in the full one.

The ladder climbs from the observed map to the whole method, as the paper's ablation does; after it the
whole method without one part at a time. Without its confidence a generated frame is taken for a photo:
every pixel teaches, with weight 1, whether a real view has looked there or not. Up to ``+ confidence``
the prior is taken on faith; the last step of the ladder measures it on the run's own keyframes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reconx_ros.config import ReconxConfig, changed, overlaid
from reconx_ros.errors import ConfigError

Changes = dict[str, Any]

GROUND, FULL = "GS only", "full"
"""What the ladder's rungs, and what those without a part, are compared with."""

ON_FAITH = "+ confidence"
"""The rung before the full method: the prior films without a contest."""


@dataclass(frozen=True)
class Rung:
    """One row of the ablation.

    Attributes:
        name: short, as tables show it.
        what: one line that says what differs.
        against: name of the rung it is compared with.
        change: laid over the full configuration.
    """

    name: str
    what: str
    against: str
    change: Changes = field(default_factory=dict)


NO_STRUCTURE: Changes = {
    "synthesis": {"small": {"structure_guidance": 0.0}, "wan": {"structure_guidance": 0.0}}
}
STRUCTURE_RUNGS = ("+ structure", "- structure")
NO_CONFIDENCE: Changes = {"splatting": {"generated_confidence": "uniform", "generated_seen": 1.0}}
NO_TRIAL: Changes = {"synthesis": {"trust": {"keyframes": 0}}}

WITHOUT = (
    Rung("- structure", "without structure tokens", FULL, NO_STRUCTURE),
    Rung("- confidence", "all generated pixels weigh 1, seen or not", FULL, NO_CONFIDENCE),
    Rung(
        "- confidence unseen",
        "generated pixels weigh 1 where no view looked, and nothing elsewhere",
        FULL,
        {"splatting": {"generated_confidence": "uniform"}},
    ),
    Rung(
        "- seen mask",
        "generated pixels teach seen surfaces too, by their confidence",
        FULL,
        {"splatting": {"generated_seen": 1.0}},
    ),
    Rung(
        "- model",
        "the push-pull fill, which learns nothing, films in its place",
        FULL,
        {"synthesis": {"method": "push-pull"}},
    ),
    Rung(
        "- planning",
        "the path goes from keyframe to keyframe, not where most is to be learnt",
        FULL,
        {"synthesis": {"plan": {"trajectory": "between"}}},
    ),
    Rung(
        "- generated Gaussians",
        "generated frames are views to learn from; no Gaussian starts there",
        FULL,
        {"splatting": {"generated_gaussians": False}},
    ),
    Rung(
        "- generated views",
        "Gaussians start where generated frames say; nothing is learnt from the frames",
        FULL,
        {"splatting": {"generated_weight": 0.0}},
    ),
    Rung(
        "- guessed depth",
        "no Gaussian starts where depth is unknown, in real and generated views alike",
        FULL,
        {"splatting": {"guess_stride": 0}},
    ),
    Rung("- reprojection", "no reprojected real views", FULL, {"splatting": {"pseudo_views": 0}}),
)
"""``full`` without one part at a time."""


def ladder(method: str) -> tuple[Rung, ...]:
    """Return the rungs from the observed map to the whole method, ``method`` filming."""
    faith = overlaid({"synthesis": {"method": method}}, NO_TRIAL)
    plain = overlaid(faith, NO_CONFIDENCE)
    return (
        Rung(GROUND, "nothing is generated", GROUND, {"synthesis": {"method": "none"}}),
        Rung(
            "+ synthesis",
            f"{method} films, without structure; all its pixels weigh 1",
            GROUND,
            overlaid(plain, NO_STRUCTURE),
        ),
        Rung("+ structure", "the structure tokens of the cloud steer it", GROUND, plain),
        Rung(
            ON_FAITH,
            "its pixels weigh what they are expected to be worth, and only where no view looked",
            GROUND,
            faith,
        ),
        Rung(FULL, "as configured: its success on the keyframes decides and calibrates", GROUND),
    )


def rungs(config: ReconxConfig, only: Sequence[str] | None = None) -> list[Rung]:
    """Return the rungs for ``config``, those named in ``only`` where given.

    In the ladder ``auto`` is the small model until it has to show what it is worth. Rungs about structure
    tokens are left out where who films has no branch for them.

    Raises:
        ConfigError: ``config`` leaves synthesis out, so that nothing is there to be taken away.
    """
    method = config.synthesis.method
    if method == "none" or config.synthesis.frames == 0:
        raise ConfigError("--ablate needs a synthesizer; synthesis.method is none or synthesis.frames is 0")
    found = [*ladder("small" if method == "auto" else method), *WITHOUT]
    asked = [rung for rung in found if only is None or rung.name in only]
    return [rung for rung in asked if _has_structure(config) or rung.name not in STRUCTURE_RUNGS]


def _has_structure(config: ReconxConfig) -> bool:
    """Tell whether who films takes structure tokens: the fill does not, Wan-VACE with weights for it."""
    with_branch = {"push-pull": False, "wan-vace": config.synthesis.wan.structure is not None}
    return with_branch.get(config.synthesis.method, True)


def applied(rung: Rung, config: ReconxConfig) -> ReconxConfig:
    """Return the whole configuration of a rung."""
    return changed(config, rung.change)
