"""Which synthesizer films the unseen parts."""

from reconx_ros.diffusion.config import SynthesisConfig
from reconx_ros.diffusion.protocol import NoSynthesis, Synthesizer


def choose_synthesizer(config: SynthesisConfig) -> Synthesizer:
    """Return the synthesizer that ``config.method`` names; ``auto`` takes the best one available.

    No generative model ships with this version, so ``auto`` is ``none``: the map holds only what
    the cameras saw.
    """
    return NoSynthesis()
