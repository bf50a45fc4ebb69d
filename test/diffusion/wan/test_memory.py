import sys
from pathlib import Path

import pytest
import torch

from reconx_ros.diffusion.wan.conditions import conditions
from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.diffusion.wan.memory import fitting_mode, memory_named, place, weight_bytes
from reconx_ros.diffusion.wan.studio import open_film
from reconx_ros.errors import MissingDependencyError, SynthesisError

from .tiny import config, nowhere, scene

GIGA = 2**30


@pytest.mark.parametrize(
    ("free", "mode"), [(24, "none"), (11, "none"), (10, "offload"), (9, "offload"), (8, "sequential")]
)
def test_the_fastest_mode_that_fits_is_taken(free: int, mode: str) -> None:
    weights, largest, working = 5 * GIGA, 3 * GIGA, 6 * GIGA
    assert fitting_mode(weights, largest, working, free * GIGA) == mode


def test_bytes_of_weights() -> None:
    assert weight_bytes(torch.nn.Linear(10, 4).half()) == 2 * 44


def test_a_layer_at_a_time_films_the_same(folder: Path, cache: Path) -> None:
    """The sequential mode, whose weights come to each layer only while it works, structure included."""
    import accelerate

    from .test_film import going_on, with_branch

    references, cloud, path = scene(5)
    given = conditions(references[:1], [each.resized(64, 32) for each in path.cameras], nowhere(cloud))
    plain, tokens = with_branch(open_film(folder, config(folder, cache), "cpu"), 0.7)
    wanted = plain(given, [], tokens, 0, going_on)
    hooked, _ = with_branch(open_film(folder, config(folder, cache), "cpu"), 0.7)
    for part in (hooked.pipeline.transformer, hooked.pipeline.vae):  # as enable_sequential_cpu_offload does
        accelerate.cpu_offload(part, "cpu", offload_buffers=len(part._parameters) > 0)
    assert hooked.pipeline.transformer.proj_out.weight.is_meta
    assert torch.equal(hooked(given, [], tokens, 0, going_on), wanted)


def test_tiles_are_switched_on_where_asked(folder: Path, cache: Path) -> None:
    film = open_film(folder, config(folder, cache, tiling=True), "cpu")
    assert film.pipeline.vae.use_tiling
    assert not open_film(folder, config(folder, cache), "cpu").pipeline.vae.use_tiling


def test_on_the_cpu_memory_modes_have_no_meaning(folder: Path, cache: Path) -> None:
    assert open_film(folder, config(folder, cache, memory="sequential"), "cpu").mode == "none"


def test_offloading_names_the_package_it_needs(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = open_film(folder, config(folder, cache), "cpu")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    how = config(folder, cache, memory="offload")
    with pytest.raises(MissingDependencyError, match=r"memory offload needs .*reconx_ros\[wan\]"):
        place(film.pipeline, how, "cuda")


def test_running_out_of_memory_says_what_to_change() -> None:
    with (
        pytest.raises(SynthesisError, match=r"memory filming 33 frames of 399360 pixels.*fewer pixels"),
        memory_named(WanConfig(), "none"),
    ):
        torch.empty(2**55)
    with (
        pytest.raises(SynthesisError, match="memory mode offload"),
        memory_named(WanConfig(), "offload"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
    with pytest.raises(RuntimeError, match="shapes"), memory_named(WanConfig(), "none"):
        raise RuntimeError("shapes do not match")
