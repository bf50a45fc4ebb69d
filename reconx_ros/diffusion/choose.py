"""Which synthesizers may film the unseen parts."""

from pathlib import Path

from reconx_ros.diffusion.config import SynthesisConfig
from reconx_ros.diffusion.protocol import NoSynthesis, Synthesizer


def contenders(config: SynthesisConfig, device: str) -> list[Synthesizer]:
    """Return the synthesizers that ``config.method`` allows, of ``auto`` the one that learns nothing last.

    ``auto`` has Wan-VACE run too where ``config.wan.model`` is a folder on this machine.

    Args:
        config: who may film.
        device: ``cpu`` or ``cuda``.

    Raises:
        SynthesisError: weights that were asked for cannot be loaded.
        MissingDependencyError: Wan-VACE needs a package that is not installed.
    """
    if config.method == "none":
        return [NoSynthesis()]
    if config.method == "wan-vace":
        return [_wan_vace(config, device)]
    from reconx_ros.diffusion.small.synthesizer import SmallSynthesizer  # noqa: PLC0415  (torch)

    small = SmallSynthesizer.load(config.small, device, config.seconds)
    if config.method == "small":
        return [small]
    if config.method == "push-pull":
        return [small.unlearned()]
    local = Path(config.wan.model).expanduser().is_dir()
    return [*([_wan_vace(config, device)] if local else []), small, small.unlearned()]


def _wan_vace(config: SynthesisConfig, device: str) -> Synthesizer:
    from reconx_ros.diffusion.wan.synthesizer import WanVaceSynthesizer  # noqa: PLC0415  (diffusers)

    return WanVaceSynthesizer.load(config.wan, device, config.seconds)
