"""Which synthesizers may film the unseen parts."""

from pathlib import Path

from reconx_ros.diffusion.config import SynthesisConfig
from reconx_ros.diffusion.protocol import NoSynthesis, Synthesizer
from reconx_ros.errors import MissingDependencyError, SynthesisError

WAN = "wan-vace"


def contenders(config: SynthesisConfig, device: str) -> tuple[list[Synthesizer], dict[str, str]]:
    """Return the synthesizers that ``config.method`` allows, and who of ``auto`` is left out, and why.

    Of ``auto`` the one that learns nothing comes last. Wan-VACE runs too where ``config.wan.model`` is a
    folder on this machine that can be loaded and the device is a GPU (``not_asked``).

    Args:
        config: who may film.
        device: ``cpu`` or ``cuda``.

    Raises:
        SynthesisError: weights that were asked for cannot be loaded.
        MissingDependencyError: Wan-VACE needs a package that is not installed.
    """
    if config.method == "none":
        return [NoSynthesis()], {}
    if config.method == "wan-vace":
        return [_wan_vace(config, device)], {}
    from reconx_ros.diffusion.small.synthesizer import SmallSynthesizer  # noqa: PLC0415  (torch)

    small = SmallSynthesizer.load(config.small, device, config.seconds)
    if config.method == "small":
        return [small], {}
    if config.method == "push-pull":
        return [small.unlearned()], {}
    absent = not_asked(config, device)
    running: list[Synthesizer] = [small, small.unlearned()]
    if wan_may_film(config, device):
        try:
            running.insert(0, _wan_vace(config, device))
        except (SynthesisError, MissingDependencyError) as err:
            absent = {WAN: str(err)}
    return running, absent


def wan_may_film(config: SynthesisConfig, device: str) -> bool:
    """Tell whether Wan-VACE is among those that ``config.method`` allows on ``device``."""
    return config.method == "wan-vace" or (_wan_is_here(config) and not not_asked(config, device))


def not_asked(config: SynthesisConfig, device: str) -> dict[str, str]:
    """Return who is here but left out of ``auto``, and why: on a CPU Wan-VACE films for hours."""
    if _wan_is_here(config) and not device.startswith("cuda"):
        return {WAN: "too slow on the CPU; --synthesizer wan-vace films with it all the same"}
    return {}


def _wan_is_here(config: SynthesisConfig) -> bool:
    return config.method == "auto" and Path(config.wan.model).expanduser().is_dir()


def _wan_vace(config: SynthesisConfig, device: str) -> Synthesizer:
    from reconx_ros.diffusion.wan.synthesizer import WanVaceSynthesizer  # noqa: PLC0415  (diffusers)

    return WanVaceSynthesizer.load(config.wan, device, config.seconds)
