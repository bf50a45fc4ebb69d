"""The small model's network as a diffusers model: ``from_pretrained``, ``save_pretrained``, a config."""

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin

from reconx_ros.diffusion.small.network import Sizes, SmallNetwork


class SmallModel(ModelMixin, SmallNetwork, ConfigMixin):  # type: ignore[misc]
    """The network of ``network.py``."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        references: int = 2,
        widths: tuple[int, ...] = (16, 48, 96, 192),
        time_width: int = 64,
        token_width: int = 128,
        structure_width: int = 256,
        heads: int = 2,
    ) -> None:
        """Create the model with random weights; what the sizes mean says ``network.Sizes``."""
        sizes = Sizes(references, tuple(widths), time_width, token_width, structure_width, heads)
        SmallNetwork.__init__(self, sizes)
