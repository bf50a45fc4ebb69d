"""The GPU script says what is missing where there is no GPU; its parts agree where they can run."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from reconx_ros.splatting import model

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu" / "splatting.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPT.parent)  # as for a script that is run
    spec = importlib.util.spec_from_file_location("gpu_splatting", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(torch.cuda.is_available(), reason="shows what happens without a CUDA device")
def test_without_cuda_one_line_says_so(tmp_path: Path) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-X", "importtime", str(SCRIPT), "--json", str(tmp_path / "result.json")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    told = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 1
    (line,) = told
    assert line.startswith(
        "benchmarks/gpu/splatting.py measures CUDA and cannot run here: torch finds no CUDA device"
    )
    assert not done.stdout and not any(tmp_path.iterdir())
    assert "rclpy" not in done.stderr


def test_what_it_compares_agrees_for_the_reference(script: ModuleType) -> None:
    row = script.agreements(script.scene(300, 1), script.cameras((48, 32))[3], "reference", "cpu")
    assert row["within"] and row["opaque_within"] and row["blind_within"], row
    assert max(row["color_largest"], row["opaque_color_largest"]) < 1e-3
    assert row["blind_color_largest"] == row["blind_gradient_means"] == 0


def test_the_tolerance_for_opaque_gaussians_is_what_another_clip_takes(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "ALPHA_MAX", 0.999)  # of gsplat 1.5; our kernels keep theirs
    row = script.agreements(script.scene(1000, 1), script.cameras((60, 40))[3], "reference", "cpu")
    assert row["within"] and row["opaque_within"], row
    worst = max(value for name, value in row.items() if name.startswith("opaque_gradient"))
    assert script.TOLERANCE["gradient"] < worst < script.CLIPPED["gradient"]
    assert 1e-3 < row["opaque_color_largest"] < 0.15


def test_its_steps_train(script: ModuleType) -> None:
    truth, size = script.scene(300, 1), (48, 32)
    views = script.training_views(truth, size, "cpu")
    made = script.optimiser(truth, views, device="cpu", steps=60)
    before = script.psnr_between(made, truth, size, "cpu")
    assert script.step_times(made, 60) > 0
    assert script.psnr_between(made, truth, size, "cpu") > before + 6
    lean = script.optimiser(truth, views, device="cpu", **script.LEAN)
    assert lean.run(steps=2).skipped_steps == 0
