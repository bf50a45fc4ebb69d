"""Models that a run saved."""

from pathlib import Path

from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.points import PointEncoder
from reconx_ros.errors import SynthesisError


def load_model(folder: Path) -> SmallModel:
    """Return the model saved in ``folder``.

    Raises:
        SynthesisError: there is none, or it cannot be read.
    """
    try:
        model: SmallModel = SmallModel.from_pretrained(folder, low_cpu_mem_usage=False).eval()
    except (OSError, ValueError, RuntimeError) as err:
        raise SynthesisError(f"{folder} holds no model of ours: {err}") from err
    return model


def load_encoder(folder: Path) -> PointEncoder | None:
    """Return the structure encoder saved in ``folder``, ``None`` where the run has none.

    Raises:
        SynthesisError: it cannot be read.
    """
    if not folder.exists():
        return None
    try:
        encoder: PointEncoder = PointEncoder.from_pretrained(folder, low_cpu_mem_usage=False).eval()
    except (OSError, ValueError, RuntimeError) as err:
        raise SynthesisError(f"{folder} holds no structure encoder of ours: {err}") from err
    return encoder
