"""Many pairs through the network: each image encoded once, batches, bounded memory."""

import hashlib
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.dust3r.model import Architecture, Dust3r, Encoded, PairOutput
from reconx_ros.machine import ran_out_of_memory

Floats = NDArray[np.float32]
Pair = tuple[int, int]
Result = TypeVar("Result")

CPU = torch.device("cpu")


class PairRunner:
    """Predicts pairs with the native network, in batches of equal sizes.

    Where memory runs out the batch is halved; where not even one pair fits a GPU, the network moves to
    the CPU for the rest of its life. Both are said by a warning.
    """

    def __init__(
        self, model: Dust3r, device: torch.device, dtype: torch.dtype, batch: int, encoded_views: int
    ) -> None:
        """Take ``model`` to ``device``.

        Args:
            model: with its weights, float32.
            device: where it runs.
            dtype: of encoder and decoder.
            batch: images or pairs at once.
            encoded_views: encoded images kept at a time; later ones push out those used longest ago.
        """
        self._model, self._device = model, device
        self._batch, self._most = batch, max(2, encoded_views)
        self._encoded: OrderedDict[bytes, Encoded] = OrderedDict()
        try:
            model.cast_trunk(dtype).to(device)
        except torch.OutOfMemoryError as err:
            self._to_cpu(str(err).splitlines()[0])

    @property
    def architecture(self) -> Architecture:
        """Return the sizes of the network."""
        return self._model.architecture

    @property
    def place(self) -> str:
        """Return where and how it runs, for messages."""
        return f"{self._device.type} in {str(self._model.dtype).removeprefix('torch.')}"

    def predict(self, images: Sequence[Floats], pairs: Sequence[Pair]) -> Iterator[tuple[Pair, PairOutput]]:
        """Yield each of ``pairs`` with its prediction of batch one, on the CPU; order may differ.

        Encoded images are remembered by what they show, from call to call: a live map encodes the new ones.

        Args:
            images: [3, h, w] in [-1, 1] each, of any sizes (multiples of the patch).
            pairs: indices of ``images``.

        Raises:
            GeometryError: memory does not even suffice for one pair on the CPU.
        """
        # In the order of the later view, so that in a sequence few images are in use at a time.
        order = sorted(pairs, key=lambda pair: (max(pair), min(pair), pair))
        keys = {view: _key(images[view]) for view in {view for pair in order for view in pair}}
        while order:
            # No more pairs at once than their images fit among the encoded ones.
            wanted = _alike(order, images, min(self._batch, self._most // 2))
            outputs = self._guarded(partial(self._forward, images, keys, wanted))
            if outputs is None:
                continue
            yield from zip(wanted, outputs, strict=True)
            order = [pair for pair in order if pair not in set(wanted)]

    @torch.inference_mode()
    def _forward(
        self, images: Sequence[Floats], keys: dict[int, bytes], pairs: Sequence[Pair]
    ) -> list[PairOutput]:
        self._encode({keys[view]: images[view] for pair in pairs for view in pair})
        first, second = (_stacked([self._encoded[keys[pair[side]]] for pair in pairs]) for side in (0, 1))
        output = self._model(first, second)
        points, confidence = [p.cpu() for p in output.points], [c.cpu() for c in output.confidence]
        return [
            PairOutput((points[0][n], points[1][n]), (confidence[0][n], confidence[1][n]))
            for n in range(len(pairs))
        ]

    def _encode(self, images: dict[bytes, Floats]) -> None:
        """Make sure that ``images`` are encoded; the others stay as long as there is room."""
        for key in images:
            if key in self._encoded:
                self._encoded.move_to_end(key)
        missing = [key for key in images if key not in self._encoded]
        while len(self._encoded) + len(missing) > self._most and len(self._encoded) > 0:
            oldest = next(iter(self._encoded))
            if oldest in images:
                break
            del self._encoded[oldest]
        while missing:
            shape = images[missing[0]].shape
            alike = [key for key in missing if images[key].shape == shape][: self._batch]
            batch = torch.from_numpy(np.stack([images[key] for key in alike])).to(self._device)
            encoded = self._model.encode(batch)
            for row, key in enumerate(alike):
                self._encoded[key] = Encoded(encoded.tokens[row : row + 1].clone(), encoded.grid)
            missing = [key for key in missing if key not in alike]

    def _guarded(self, work: Callable[[], Result]) -> Result | None:
        """Return what ``work`` gives, or ``None`` after making room where memory ran out."""
        try:
            return work()
        except (torch.OutOfMemoryError, RuntimeError, MemoryError) as err:
            if not ran_out_of_memory(err):
                raise
            reason = str(err).splitlines()[0][:120] if str(err) else type(err).__name__
        self._make_room(reason)  # outside the handler, whose traceback holds the tensors
        return None

    def _make_room(self, reason: str) -> None:
        self._encoded.clear()
        if self._batch > 1:
            self._batch //= 2
            self._say(f"{reason}; going on with {self._batch} pairs at once")
        elif self._device != CPU:
            self._to_cpu(reason)
        else:
            raise GeometryError(
                f"not even one pair of images fits the memory for DUSt3R ({reason}); close other programs, "
                "or set a smaller geometry.dust3r.resolution"
            )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _to_cpu(self, reason: str) -> None:
        self._device = CPU
        self._model.to(CPU).cast_trunk(torch.float32)
        self._say(f"{reason}; not one pair fits the GPU, so DUSt3R runs on the CPU")

    @staticmethod
    def _say(message: str) -> None:
        warnings.warn(f"out of memory: {message}", RuntimeWarning, stacklevel=4)


def _key(image: Floats) -> bytes:
    """Return what an image is remembered by."""
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest() + str(image.shape).encode()


def _alike(pairs: Sequence[Pair], images: Sequence[Floats], most: int) -> list[Pair]:
    """Return the first of ``pairs`` and those after it of the same sizes, up to ``most``."""

    def sizes(pair: Pair) -> tuple[tuple[int, ...], ...]:
        return images[pair[0]].shape, images[pair[1]].shape

    return [pair for pair in pairs if sizes(pair) == sizes(pairs[0])][: max(1, most)]


def _stacked(views: Sequence[Encoded]) -> Encoded:
    tokens: Tensor = torch.cat([view.tokens for view in views])
    return Encoded(tokens, views[0].grid)
