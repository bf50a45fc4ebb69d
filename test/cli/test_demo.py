"""`reconx demo` on a small recording: player, node and listener are real processes over DDS."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from reconx_ros.mapping.folder import load


def test_the_demo_ends_with_a_map_and_its_figures(small_bag: Path, tmp_path: Path) -> None:
    shutil.copytree(small_bag, tmp_path / "room0")
    command = [sys.executable, "-m", "reconx_ros.cli.main", "demo", "-o", str(tmp_path), "--settle", "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr + (tmp_path / "node.log").read_text()
    result = load(tmp_path)
    assert len(result.gaussians) > 1000
    figures = json.loads((tmp_path / "demo.json").read_text())
    assert figures["views"]
    assert figures["psnr_covered"] > 15
    assert (tmp_path / "pictures" / "sheet.png").is_file()
    assert "map.ply" in done.stdout
    used = set(result.report["keyframes"])
    assert not used & set(figures["views"])
