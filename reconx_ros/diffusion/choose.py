"""Which synthesizers may film the unseen parts."""

from reconx_ros.diffusion.config import SynthesisConfig
from reconx_ros.diffusion.protocol import NoSynthesis, Synthesizer


def contenders(config: SynthesisConfig, device: str) -> list[Synthesizer]:
    """Return the synthesizers that ``config.method`` allows; the last one learns nothing.

    Raises:
        SynthesisError: weights that were asked for cannot be loaded.
    """
    if config.method == "none":
        return [NoSynthesis()]
    from reconx_ros.diffusion.small.synthesizer import SmallSynthesizer  # noqa: PLC0415  (diffusers)

    small = SmallSynthesizer.load(config.small, device, config.seconds)
    found: list[Synthesizer] = [small, small.unlearned()]
    return found[1:] if config.method == "push-pull" else found if config.method == "auto" else found[:1]
