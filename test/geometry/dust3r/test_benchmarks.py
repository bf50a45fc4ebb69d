"""The GPU script runs where there is no GPU, from a bare checkout, and without ROS."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_gpu_script_falls_back_to_the_cpu(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-X",
        "importtime",
        str(ROOT / "benchmarks" / "gpu" / "geometry.py"),
        "--tiny",
    ]
    command += ["--keyframes", "3", "--repeats", "1", "--json", str(tmp_path / "result.json")]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "rclpy" not in done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["where"] == "cpu in float32"
    assert result["end_to_end"]["pairs"] == 6
    assert result["pair"]["encode_ms_batch_8"] > 0
    assert result["end_to_end"]["align_s"] > 0
    assert result["stereo"]["same_as_cpu"] > 0.98
    again = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert json.loads(again.stdout) == result  # what is measured is not measured again
