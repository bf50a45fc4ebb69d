"""Batches, caches, memory: the runner with a real, tiny network."""

import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.errors import GeometryError, MissingDependencyError
from reconx_ros.geometry.dust3r.config import Dust3rConfig
from reconx_ros.geometry.dust3r.load import load_predictor
from reconx_ros.geometry.dust3r.model import Dust3r, Encoded, PairOutput
from reconx_ros.geometry.dust3r.package import PackageRunner
from reconx_ros.geometry.dust3r.runner import PairRunner

CPU = torch.device("cpu")
Floats = NDArray[np.float32]


def pictures(*sizes: tuple[int, int]) -> list[Floats]:
    random = np.random.default_rng(0)
    return [random.uniform(-1, 1, (3, *size)).astype(np.float32) for size in sizes]


def runner(model: Dust3r, batch: int = 4, encoded_views: int = 64) -> PairRunner:
    return PairRunner(model, CPU, torch.float32, batch, encoded_views)


def test_batches_give_what_single_pairs_give_whatever_their_sizes(tiny: Callable[..., Dust3r]) -> None:
    images = pictures((32, 48), (48, 32), (32, 48), (32, 48), (16, 16))
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    model = tiny("linear")
    found = dict(runner(model, batch=3).predict(images, pairs))
    assert sorted(found) == pairs
    for i, j in ((0, 1), (2, 3), (4, 0)):
        with torch.inference_mode():
            one, two = (model.encode(torch.from_numpy(images[v])[None]) for v in (i, j))
            alone = model(one, two)
        for side, view in enumerate((i, j)):
            assert found[i, j].points[side].shape == (*images[view].shape[1:], 3)
            assert torch.allclose(found[i, j].points[side], alone.points[side][0], atol=1e-4)
            assert torch.allclose(found[i, j].confidence[side], alone.confidence[side][0], atol=1e-4)


class Counting(Dust3r):
    """Counts the images that are encoded, and refuses batches of more than ``fits``."""

    encoded: int
    fits: int

    @staticmethod
    def of(model: Dust3r, fits: int = 99) -> "Counting":
        model.__class__ = Counting
        assert isinstance(model, Counting)
        model.encoded, model.fits = 0, fits
        return model

    def encode(self, images: Tensor) -> Encoded:
        self.encoded += len(images)
        return super().encode(images)

    def forward(self, first: Encoded, second: Encoded) -> PairOutput:
        if len(first.tokens) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return super().forward(first, second)


def test_each_image_is_encoded_once_and_a_window_needs_few_at_a_time(tiny: Callable[..., Dust3r]) -> None:
    images = pictures(*[(16, 32)] * 12)
    window = [(a, b) for a in range(12) for b in range(12) if 0 < abs(a - b) <= 2]
    model = Counting.of(tiny("linear"))
    assert len(list(runner(model).predict(images, window))) == len(window)
    assert model.encoded == 12
    small = Counting.of(tiny("linear"))
    held = runner(small, batch=2, encoded_views=4)
    most = 0
    for _ in held.predict(images, window):
        most = max(most, len(held._encoded))
    assert most <= 4
    assert small.encoded == 12  # a window of two needs three images at a time
    everything = [(a, b) for a in range(12) for b in range(12) if a != b]
    list(held.predict(images, everything))
    assert small.encoded > 24  # all pairs through a small cache: encoded again, never more at a time


def test_a_live_map_encodes_the_new_image_alone(tiny: Callable[..., Dust3r]) -> None:
    images = pictures(*[(16, 32)] * 4)
    model = Counting.of(tiny("linear"))
    held = runner(model)
    before = dict(held.predict(images[:3], [(0, 1), (1, 2)]))
    assert model.encoded == 3
    again = [images[3], images[2], images[1]]  # the same images at other places
    after = dict(held.predict(again, [(0, 1), (2, 1)]))
    assert model.encoded == 4
    assert torch.equal(after[2, 1].points[0], before[1, 2].points[0])


def test_out_of_memory_halves_the_batch_and_says_so(tiny: Callable[..., Dust3r]) -> None:
    images = pictures(*[(16, 16)] * 5)
    pairs = [(a, b) for a in range(5) for b in range(5) if a != b]
    whole = dict(runner(tiny("linear")).predict(images, pairs))
    with pytest.warns(RuntimeWarning, match=r"out of memory: CUDA out of memory") as said:
        halved = dict(runner(Counting.of(tiny("linear"), fits=2), batch=8).predict(images, pairs))
    assert [str(w.message).rpartition("on with ")[2] for w in said] == [
        "4 pairs at once",
        "2 pairs at once",
    ]
    assert sorted(halved) == pairs
    assert all(torch.allclose(whole[p].points[1], halved[p].points[1], atol=1e-4) for p in pairs)


def only_on_cpu(held: PairRunner) -> Callable[..., Any]:
    forward = held._forward

    def guarded(*arguments: object) -> list[PairOutput]:
        if held._device != CPU:
            raise torch.OutOfMemoryError("full")
        return forward(*arguments)  # type: ignore[arg-type]

    return guarded


def test_no_room_for_one_pair_on_the_gpu_goes_to_the_cpu_then_gives_up(
    tiny: Callable[..., Dust3r], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, model = pictures((16, 16), (16, 16)), Counting.of(tiny("linear"), fits=0)
    held = PairRunner(model, CPU, torch.bfloat16, 1, 8)
    held._device = torch.device("meta")  # stands for a GPU: what lies there is not computed
    monkeypatch.setattr(held, "_forward", only_on_cpu(held))
    with (
        pytest.warns(RuntimeWarning, match="not one pair fits the GPU, so DUSt3R runs on the CPU"),
        pytest.raises(GeometryError, match="not even one pair of images fits the memory"),
    ):
        list(held.predict(images, [(0, 1)]))
    assert model.dtype == torch.float32
    model.fits = 9
    assert len(list(held.predict(images, [(0, 1)]))) == 1
    assert held.place == "cpu in float32"


def test_other_errors_are_not_taken_for_a_lack_of_memory(tiny: Callable[..., Dust3r]) -> None:
    with pytest.raises(RuntimeError, match="size"):
        list(runner(tiny("linear")).predict(pictures((16, 16), (3, 3)), [(0, 1)]))


def test_the_package_is_asked_for_but_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dust3r", None)
    with pytest.raises(MissingDependencyError, match="needs the dust3r package"):
        PackageRunner("x", CPU, None)


class Published(torch.nn.Module):
    """The interface of the package's model over the native network."""

    head_type = "linear"
    native: Dust3r

    def __init__(self, model: Dust3r) -> None:
        super().__init__()
        self.model = model
        self.patch_embed = types.SimpleNamespace(img_size=(64, 64), patch_size=(16, 16))

    @staticmethod
    def from_pretrained(weights: str) -> "Published":
        if weights != "tiny":
            raise OSError("no such file")
        return Published(Published.native)

    fits = True

    def to(self, device: torch.device) -> "Published":
        self.fits = True
        return super().to(device)

    def forward(self, one: dict[str, Any], two: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        if not self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        output = self.model(self.model.encode(one["img"]), self.model.encode(two["img"]))
        first = {"pts3d": output.points[0], "conf": output.confidence[0]}
        return first, {"pts3d_in_other_view": output.points[1], "conf": output.confidence[1]}


@pytest.fixture
def published(tiny: Callable[..., Dust3r], monkeypatch: pytest.MonkeyPatch) -> type[Published]:
    """The package installed, with the native network in it."""
    module = types.ModuleType("dust3r.model")
    module.AsymmetricCroCo3DStereo = Published  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dust3r", types.ModuleType("dust3r"))
    monkeypatch.setitem(sys.modules, "dust3r.model", module)
    Published.native = tiny("linear")
    return Published


def test_the_package_without_memory_goes_to_the_cpu_then_gives_up(published: type[Published]) -> None:
    packaged, (image,) = PackageRunner("tiny", CPU, None), pictures((32, 32))
    packaged._model.fits = False
    with pytest.raises(GeometryError, match=r"not even one pair .* \(CUDA out of memory"):
        list(packaged.predict([image, image], [(0, 1)]))
    packaged._device = torch.device("meta")  # stands for a GPU: nothing is computed there
    with pytest.warns(RuntimeWarning, match="not one pair fits the GPU, so DUSt3R runs on the CPU"):
        ((pair, _),) = packaged.predict([image, image], [(0, 1)])
    assert pair == (0, 1)
    assert packaged.place == "cpu, dust3r package"


def test_settings_that_the_package_does_not_know_are_said(published: type[Published]) -> None:
    load_predictor.cache_clear()
    config = Dust3rConfig(weights="tiny", implementation="package", device="cpu", batch=2)
    with pytest.warns(RuntimeWarning, match=r"geometry\.dust3r\.batch = 2 is for implementation 'native'"):
        assert load_predictor(config).place == "cpu, dust3r package"
    load_predictor.cache_clear()


def test_the_package_answers_like_the_native_network(
    tiny: Callable[..., Dust3r], published: type[Published]
) -> None:
    packaged = PackageRunner("tiny", CPU, None)
    assert packaged.architecture.resolution == 64
    assert packaged.architecture.head == "linear"
    images = pictures((16, 32), (32, 16))
    native = dict(runner(tiny("linear")).predict(images, [(0, 1), (1, 0)]))
    for pair, output in packaged.predict(images, [(0, 1), (1, 0)]):
        assert torch.allclose(output.points[1], native[pair].points[1], atol=1e-5)
        assert torch.allclose(output.confidence[0], native[pair].confidence[0], atol=1e-5)
    with pytest.raises(GeometryError, match=r"cannot load geometry\.dust3r\.weights = 'absent'"):
        PackageRunner("absent", CPU, None)


def test_no_warning_where_nothing_is_wrong(tiny: Callable[..., Dust3r]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(runner(tiny("dpt")).predict(pictures((32, 32), (32, 32)), [(0, 1), (1, 0)]))
