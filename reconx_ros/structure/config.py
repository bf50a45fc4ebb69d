"""Configuration of the path that the unseen parts are filmed along."""

from typing import Literal

from pydantic import Field

from reconx_ros.settings import Settings

SHORT_CLIP = 2
"""Frames of an uncertain clip where nobody says otherwise."""

Plan = Literal["between", "uncertain", "window"]


class PlanConfig(Settings):
    """Where the camera goes; lengths are shares of the median depth of what the keyframes see.

    Measured with ``benchmarks/trajectory.py`` and ``trajectory_map.py``: clips of 4 frames see a third
    more unseen surface than clips of 8 and help the map more; with ``venture`` 0.3 some cameras were
    inside things that nobody had seen, with 0.1 none. A plain fill is 3.5 dB worse at 7 pixels of 64 from
    known surface than next to it (``reach``), but near known surface hardly worse in views that are 60 %
    unseen than in those that are 25 %: ``most_unseen`` is there so that frames are not wasted.
    """

    trajectory: Plan = Field(
        "uncertain",
        description="between: from keyframe to keyframe; uncertain: wherever most is to be learnt, between "
        "keyframes and beyond; window: a turn on the spot as far as the inputs reach",
    )
    clip: int | None = Field(
        None,
        ge=2,
        description="frames of an uncertain clip, where not given as many as who films likes best: 2 for "
        "the small model (short ones are more and see more places), a whole window for Wan-VACE",
    )
    least_unseen: float = Field(
        0.1, ge=0, le=1, description="share of a view that must be unseen for it to be worth filming"
    )
    most_unseen: float = Field(
        0.6, ge=0, le=1, description="share of unseen pixels beyond which nothing can be said"
    )
    reach: float = Field(
        0.125, gt=0, le=1, description="of the image width: how far from known surface a fill is plausible"
    )
    clearance: float = Field(0.08, ge=0, description="distance the path keeps from known surface")
    venture: float = Field(
        0.1, ge=0, description="distance from a keyframe up to which space that no view saw may be entered"
    )
