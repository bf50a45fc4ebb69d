"""The `dust3r` package of the method's authors behind the interface of ``PairRunner``."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.errors import GeometryError, MissingDependencyError
from reconx_ros.geometry.dust3r.model import Architecture, PairOutput
from reconx_ros.machine import ran_out_of_memory

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
        """Yield each of ``pairs`` with its prediction (``PairRunner.predict``).

        Where a pair does not fit the GPU, the network moves to the CPU for the rest of its life.

        Raises:
            GeometryError: a pair does not fit the memory of the CPU either.
        """
        for pair in pairs:
            yield pair, self._forward(images, pair)

    def _forward(self, images: Sequence[Floats], pair: Pair) -> PairOutput:
        try:
            with torch.inference_mode():
                one, two = self._model(*(self._view(images[view], view) for view in pair))
        except (torch.OutOfMemoryError, RuntimeError, MemoryError) as err:
            if not ran_out_of_memory(err):
                raise
            reason = str(err).splitlines()[0][:120] if str(err) else type(err).__name__
        else:
            return PairOutput(
                (one["pts3d"][0].float().cpu(), two["pts3d_in_other_view"][0].float().cpu()),
                (one["conf"][0].float().cpu(), two["conf"][0].float().cpu()),
            )
        self._to_cpu(reason)  # outside the handler, whose traceback holds the tensors
        return self._forward(images, pair)

    def _to_cpu(self, reason: str) -> None:
        if self._device.type == "cpu":
            raise GeometryError(
                f"not even one pair of images fits the memory for DUSt3R ({reason}); close other programs, "
                "or set a smaller geometry.dust3r.resolution"
            )
        self._device = torch.device("cpu")
        self._model.to(self._device)
        self.place = "cpu, dust3r package"
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        warnings.warn(
            f"out of memory: {reason}; not one pair fits the GPU, so DUSt3R runs on the CPU",
            RuntimeWarning,
            stacklevel=3,
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
