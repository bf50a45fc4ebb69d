"""The model that is loaded: one for all synthesizers that were made of it."""

import gc
from pathlib import Path

import torch

from reconx_ros.diffusion.wan.film import Film
from reconx_ros.diffusion.wan.studio import open_film


class Loaded:
    """Holds the one film there is; where half precision overflows, fp32 takes its place for everybody."""

    def __init__(self, film: Film, folder: Path, device: str) -> None:
        """Hold ``film``, that was opened in ``folder`` for ``device``."""
        self._film: Film | None = film
        self._config, self._prompts = film.config, (film.prompt, film.negative)
        self._folder, self._device = folder, device

    @property
    def film(self) -> Film:
        """The film, opened again where going over to fp32 failed. Keep no reference: there is room for one.

        Raises:
            SynthesisError: it cannot be opened any more.
        """
        if self._film is None:
            self._film = open_film(self._folder, self._config, self._device, self._prompts)
        return self._film

    def go_precise(self) -> None:
        """Load the weights in fp32 in place of what is loaded, which is given up first.

        The embeddings of the prompts stay: they are finite, and the text encoder is the largest part.

        Raises:
            SynthesisError: fp32 cannot be loaded; ``film`` is then as it was, loaded when asked for.
        """
        self._film = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        precise = self._config.model_copy(update={"dtype": "fp32"})
        self._film = open_film(self._folder, precise, self._device, self._prompts)
        self._config = precise
