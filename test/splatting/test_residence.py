"""Where GPU memory runs out, everything moves to the CPU for good, and nothing is done twice.

There is no GPU here: the rasterizer ``reference`` stands for one, whose memory ends where a test says.
"""

import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from test_optimise import CONFIG as FORTY_STEPS
from test_optimise import assert_valid, camera, view_of, wall

from reconx_ros.splatting import rasterize as drawing
from reconx_ros.splatting import training_step
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.rasterize import rasterize, render_view
from reconx_ros.splatting.state import GaussianState

TRUTH = wall()
CONFIG = FORTY_STEPS.model_copy(update={"steps": 20, "rasterizer": "reference"})
WARNING = "out of GPU memory optimising 60 Gaussians at 20x15: going on on the CPU"


def started(rasterizer: str = "reference") -> GaussianOptimiser:
    optimiser = GaussianOptimiser(TRUTH, CONFIG.model_copy(update={"rasterizer": rasterizer}), "cpu")
    optimiser.add_views([view_of(TRUTH, gain=0.9)])
    return optimiser


def ends(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def once(first: Callable[..., object], then: Callable[..., object]) -> Callable[..., object]:
    """Do ``first`` at the first call, ``then`` at all others."""
    left = [first]

    def call(*arguments: object, **options: object) -> object:
        return (left.pop() if left else then)(*arguments, **options)

    return call


class Graph:
    """Notes the graph of each step, and how many were there when memory was given back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[weakref.ref[torch.Tensor]] = []
        self.left: list[int] = []
        monkeypatch.setattr(torch.cuda, "empty_cache", self._given_back)

    def draw(self, *arguments: object, **options: object) -> object:
        drawn = rasterize(*arguments, **options)
        self.made.append(weakref.ref(drawn.color))
        return drawn

    def _given_back(self) -> None:
        self.left.append(sum(one() is not None for one in self.made))


def test_the_graph_of_a_failed_step_is_gone_at_the_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    optimiser, graph = started(), Graph(monkeypatch)
    optimiser.run(steps=2)
    monkeypatch.setattr(training_step, "rasterize", graph.draw)
    monkeypatch.setattr(torch.autograd, "backward", once(ends, torch.autograd.backward))
    with pytest.warns(RuntimeWarning, match=WARNING) as caught:
        report = optimiser.run(steps=3)
    assert len(graph.made) == 1  # the GPU is not tried again
    assert graph.left == [0]
    assert len(caught) == 1
    assert (report.steps, report.total_steps, report.skipped_steps) == (3, 5, 0)
    assert_valid(optimiser.gaussians())


def test_after_it_steps_are_those_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    moved, other = started(), started("cpu")
    monkeypatch.setattr(training_step, "rasterize", ends)
    with pytest.warns(RuntimeWarning, match=WARNING):
        moved.run(steps=1)
    other.run(steps=1)  # nothing is dropped yet, but the failed step has drawn random numbers too
    moved._step.random.set_state(other._step.random.get_state())
    for optimiser in (moved, other):
        optimiser.run(steps=5)
    for first, second in zip(
        moved._state.parameters.tensors(), other._state.parameters.tensors(), strict=True
    ):
        torch.testing.assert_close(first, second)


@pytest.mark.parametrize("moved_already", [False, True])
def test_a_step_that_ends_while_it_is_taken_is_taken_once(
    monkeypatch: pytest.MonkeyPatch, moved_already: bool
) -> None:
    optimiser, whole = started(), GaussianState.step

    def partly(state: GaussianState, *arguments: object) -> None:
        if moved_already:
            whole(state, *arguments)
        ends()

    monkeypatch.setattr(GaussianState, "step", partly)
    with pytest.warns(RuntimeWarning, match=WARNING):
        report = optimiser.run(steps=1)
    assert report.total_steps == 1
    assert int(optimiser._state.adam.counts.max()) == int(moved_already)
    assert float(optimiser._views.exposures._steps[0]) == 1
    assert all(tensor.grad is None for tensor in optimiser._state.parameters.tensors())
    assert optimiser.run(steps=3).total_steps == 4
    assert_valid(optimiser.gaussians())


def test_memory_that_ends_in_a_snapshot_ends_it_for_steps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    optimiser = started()
    optimiser.add_views([view_of(TRUTH, 0.2)])
    optimiser.run(steps=1)
    monkeypatch.setitem(drawing._BACKENDS, "reference", ends)
    with pytest.warns(RuntimeWarning, match="looking at 60 Gaussians again: going on on the CPU"):
        assert_valid(optimiser.gaussians(evidence_views=1))
    assert [evidence is None for evidence in optimiser._views._evidence] == [True, False]  # the one due
    assert optimiser.run(steps=2).total_steps == 3


def test_what_comes_later_is_kept_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    optimiser = started()
    monkeypatch.setattr(training_step, "rasterize", ends)
    with pytest.warns(RuntimeWarning, match=WARNING):
        optimiser.run(steps=1)
    optimiser.add_views([view_of(TRUTH, 0.2)])
    optimiser.add_gaussians(wall(7, 3))
    assert optimiser.run(steps=4).gaussians == 67
    assert all(target.work is not None for target in optimiser._views.targets)


def test_a_picture_is_drawn_on_the_cpu_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(drawing._BACKENDS, "reference", ends)
    with pytest.warns(RuntimeWarning, match="out of GPU memory drawing 60 Gaussians at 20x15"):
        color = render_view(TRUTH, camera(), "reference")[0]
    np.testing.assert_array_equal(color, render_view(TRUTH, camera(), "cpu")[0])
