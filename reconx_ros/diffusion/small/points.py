"""The structure encoder as a diffusers model, saved beside the model it was trained with."""

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin

from reconx_ros.diffusion.small.clouds import CloudSizes, PointNetwork


class PointEncoder(ModelMixin, PointNetwork, ConfigMixin):  # type: ignore[misc]
    """The network of ``clouds.py``: F(P) of the paper."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self, tokens: int = 256, width: int = 256, heads: int = 4, frequencies: int = 8, points: int = 2048
    ) -> None:
        """Create the encoder with random weights; what the sizes mean says ``clouds.CloudSizes``."""
        PointNetwork.__init__(self, CloudSizes(tokens, width, heads, frequencies, points))
