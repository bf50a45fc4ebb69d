"""Training in several processes: real ones, started by PyTorch's launcher."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reconx_ros.diffusion.training.config import TrainingConfig
from reconx_ros.diffusion.training.loop import begin, learn, move
from reconx_ros.diffusion.training.shards import ClipStore
from reconx_ros.diffusion.training.state import STATE
from reconx_ros.diffusion.training.team import Team
from reconx_ros.errors import SynthesisError

pytest.importorskip("accelerate", reason="accelerate (of the extra `train`) is not installed")

LAUNCH = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
"""What `accelerate launch` comes to for several GPUs; it starts several processes on a CPU by MPI alone."""


def launched(clips: Path, output: Path) -> subprocess.CompletedProcess[str]:
    train = ["-m", "reconx_ros.cli.main", "train", "run", "--data", str(clips), "--output", str(output)]
    run = [*train, "--steps", "2", "--batch", "2", "--learning-rate", "1e-3"]
    return subprocess.run(
        [sys.executable, *LAUNCH, *run], capture_output=True, text=True, check=False, timeout=300
    )


def in_one_process(clips: Path, config: TrainingConfig) -> dict[str, torch.Tensor]:
    """Train with the mean of the gradients of two shares."""
    training, store = begin(config, "cpu"), ClipStore(clips)
    for _ in range(config.steps):
        shares = []
        for index in range(2):
            learn(training, store, config, Team("cpu", index, 2))
            shares.append([value.grad for _, value in training.named()])
        for (_, value), one, other in zip(training.named(), *shares, strict=True):
            value.grad = None if one is None or other is None else (one + other) / 2
        move(training, config)
    return {name: value.detach() for name, value in training.named()}


def test_two_processes_share_the_steps_and_hold_the_same_average(clip_folder: Path, tmp_path: Path) -> None:
    """The same steps, done by one process that averages the gradients of both shares, give the same."""
    done = launched(clip_folder, tmp_path / "both")
    assert done.returncode == 0, done.stderr[-2000:]
    found = load_file(tmp_path / "both" / STATE)
    expected = in_one_process(clip_folder, TrainingConfig(steps=2, batch=2, learning_rate=1e-3))
    alone = dict(begin(TrainingConfig(steps=2), "cpu").named())
    moved = 0.0
    for name, value in expected.items():
        torch.testing.assert_close(found[f"model/{name}"], value, atol=2e-6, rtol=1e-4, msg=name)
        moved = max(moved, float((value - alone[name]).detach().abs().max()))
    assert moved > 5e-6


def test_clips_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(SynthesisError, match="batch 3 for 2 processes: take a multiple"):
        Team("cpu", 1, 2).share([1, 2, 3])
    assert [Team("cpu", index, 2).share([1, 2, 3, 4]) for index in (0, 1)] == [[1, 3], [2, 4]]
    assert Team("cpu").share([1, 2, 3]) == [1, 2, 3]


def test_a_process_started_alone_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Team.join("cpu") == Team("cpu")
