"""The views of an optimisation: which are drawn, and what their evidence becomes."""

from dataclasses import replace

import torch
from test_optimise import view_of, wall

from reconx_ros.geometry.protocol import GENERATED
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.training import TrainingSet


def test_frames_filmed_after_real_views_get_their_share_of_the_steps_and_no_more() -> None:
    views = TrainingSet(SplattingConfig(generated_share=0.15), torch.device("cpu"))
    real = view_of(wall())
    filmed = replace(real, provenance=GENERATED, filmed=True)
    views.add([real] * 5)
    views.add([real])
    views.add([filmed] * 8)
    drawn = [views.schedule.draw() for _ in range(140)]
    assert 0.05 < sum(view > 5 for view in drawn) / 140 <= 0.16
