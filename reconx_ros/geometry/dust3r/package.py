"""The `dust3r` package of the method's authors behind the interface of ``PairRunner``."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.errors import GeometryError, MissingDependencyError
from reconx_ros.geometry.dust3r.model import Architecture, PairOutput

Floats = NDArray[np.float32]
Pair = tuple[int, int]


class PackageRunner:
    """Predicts pairs one by one with the installed `dust3r` package (CC BY-NC-SA 4.0)."""

    def __init__(self, weights: str, device: torch.device, resolution: int | None) -> None:
        """Load ``weights`` as the package does.

        Raises:
            MissingDependencyError: the package is not installed.
            GeometryError: it cannot load the weights.
        """
        try:
            from dust3r.model import AsymmetricCroCo3DStereo  # noqa: PLC0415
        except ImportError as err:
            raise MissingDependencyError(
                f"geometry.dust3r.implementation 'package' needs the dust3r package ({err}); put a clone "
                "of naver/dust3r on PYTHONPATH, or choose 'native'"
            ) from err
        try:
            self._model = AsymmetricCroCo3DStereo.from_pretrained(weights).to(device).eval()
        except Exception as err:  # whatever the package raises: the weights are the only input
            raise GeometryError(
                f"the dust3r package cannot load geometry.dust3r.weights = '{weights}' "
                f"({type(err).__name__}: {err})"
            ) from err
        self._device = device
        self.architecture = _architecture(self._model, resolution)
        self.place = f"{device.type}, dust3r package"

    def predict(self, images: Sequence[Floats], pairs: Sequence[Pair]) -> Iterator[tuple[Pair, PairOutput]]:
        """Yield each of ``pairs`` with its prediction (``PairRunner.predict``)."""
        for pair in pairs:
            with torch.inference_mode():
                one, two = self._model(*(self._view(images[view], view) for view in pair))
            yield (
                pair,
                PairOutput(
                    (one["pts3d"][0].float().cpu(), two["pts3d_in_other_view"][0].float().cpu()),
                    (one["conf"][0].float().cpu(), two["conf"][0].float().cpu()),
                ),
            )

    def _view(self, image: Floats, index: int) -> dict[str, Any]:
        shape = torch.tensor([image.shape[1:]], dtype=torch.int32)
        tensor = torch.from_numpy(image)[None].to(self._device)
        return {"img": tensor, "true_shape": shape, "idx": [index], "instance": [str(index)]}


def _architecture(model: Any, resolution: int | None) -> Architecture:  # noqa: ANN401
    """Return what preprocessing must know of the package's model: resolution, patch, kind of head."""
    size = np.ravel(getattr(model.patch_embed, "img_size", 512))
    patch = np.ravel(getattr(model.patch_embed, "patch_size", 16))
    head: Literal["dpt", "linear"] = "linear" if getattr(model, "head_type", "") == "linear" else "dpt"
    return Architecture(resolution=resolution or int(size.max()), head=head, patch=int(patch[0]))
