"""Without a prior the map holds only what was seen."""

import numpy as np

from reconx_ros.diffusion.choose import contenders
from reconx_ros.diffusion.config import SynthesisConfig
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.progress import Silent
from reconx_ros.structure.trajectory import Trajectory


def test_none_generates_nothing() -> None:
    rows, bytes_ = np.zeros((0, 3), np.float32), np.zeros(0, np.uint8)
    empty = PointCloud(rows, rows.astype(np.uint8), rows, rows[:, 0], bytes_, np.zeros(0, np.int32))
    (synthesizer,), _ = contenders(SynthesisConfig(method="none"), "cpu")
    assert synthesizer.name == "none"
    assert synthesizer.generate([], empty, Trajectory(()), Silent()) == ()
