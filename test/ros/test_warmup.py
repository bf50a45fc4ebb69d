"""The worker's warm-up reaches every kernel that the first keyframes would otherwise wait for."""

from reconx_ros.config import load_config
from reconx_ros.geometry.agreement import _judge
from reconx_ros.geometry.stereo.cpu.semi_global import add_path
from reconx_ros.geometry.stereo.cpu.volume import fill
from reconx_ros.geometry.stereo.cpu.winner import winners
from reconx_ros.ros.warmup import warm_up


def test_stereo_is_warm_where_it_is_configured() -> None:
    warm_up(load_config("fast", None, {"geometry": {"method": "plane-sweep"}}))
    for kernel in (fill, add_path, winners, _judge):
        assert kernel.signatures, kernel.py_func.__name__  # compiled, or read from disk where it was kept
