"""The GPU training script in pieces, at tiny size on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reconx_ros.diffusion.small.weights import load_network

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu" / "train_small.py"


def piece(output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    small = ["--tiny", "--clips", "2", "--batch", "2", "--steps", "3", "--minutes", "2"]
    command = [sys.executable, str(SCRIPT), "-o", str(output), *small, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_a_piece_goes_on_where_the_one_before_stopped(tmp_path: Path) -> None:
    first = piece(tmp_path / "one", "--steps", "2")
    assert first.returncode == 0, first.stderr[-2000:]
    second = piece(tmp_path / "two", "--after", str(tmp_path / "one"))
    assert second.returncode == 0, second.stderr[-2000:]
    told = [json.loads((tmp_path / name / "piece.json").read_text()) for name in ("one", "two")]
    assert [each["step"] for each in told] == [2, 3]
    assert [each["piece"] for each in told] == [0, 1]
    states = [load_file(tmp_path / name / "state-0.safetensors") for name in ("one", "two")]
    assert states[0].keys() == states[1].keys()
    assert float(states[1]["step/head.weight"]) == 3
    average = dict(load_network(tmp_path / "two" / "model").named_parameters())
    for name, value in average.items():
        assert torch.equal(value, states[1][f"average/{name}"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "-o", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no CUDA device" in done.stderr
