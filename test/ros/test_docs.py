"""What the documents say is so: tests, topics, parameters and snippets they name exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconx_ros.ros.launching import ARGUMENTS, WORKER_ARGUMENTS
from reconx_ros.ros.parameter_specs import SPECS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def faults() -> list[list[str]]:
    lines = (DOCS / "faults.md").read_text().splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")
    ]
    return rows[1:]


def test_every_fault_has_a_test_that_does_it() -> None:
    rows = faults()
    assert len(rows) > 20
    for row in rows:
        assert len(row) == 5, row
        file, _, name = row[4].strip("`").partition("::")
        (found,) = ROOT.glob(f"test/*/{file}")
        assert f"def {name}(" in found.read_text(), row[4]


def topics(value: Any) -> set[str]:  # noqa: ANN401
    """Every topic of the node that a YAML file names."""
    if isinstance(value, dict):
        return set().union(*map(topics, value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*map(topics, value)) if value else set()
    return {value} if isinstance(value, str) and value.startswith("/reconx/") else set()


@pytest.mark.parametrize("name", ["nav2_costmap", "moveit_sensors"])
def test_snippets_for_planners_parse_and_name_topics_of_the_node(name: str) -> None:
    content = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
    outputs = (ROOT / "reconx_ros" / "ros" / "outputs.py").read_text()
    found = topics(content)
    assert found
    for topic in found:
        assert f'"~/{topic.removeprefix("/reconx/")}"' in outputs, topic
    assert name in (DOCS / "planners.md").read_text()


def test_nav2_layers_are_those_that_are_configured() -> None:
    content = yaml.safe_load((ROOT / "config" / "nav2_costmap.yaml").read_text())
    for costmap in content.values():
        (parameters,) = (inner["ros__parameters"] for inner in costmap.values())
        for plugin in parameters["plugins"]:
            assert parameters[plugin]["plugin"].startswith("nav2_costmap_2d::")
    voxels = content["local_costmap"]["local_costmap"]["ros__parameters"]["voxel_layer"]
    source = voxels[voxels["observation_sources"]]
    assert "sensor_frame" not in source  # else rays would start elsewhere than at the camera
    assert source["data_type"] == "PointCloud2"


@pytest.mark.parametrize("page", ["node", "planners", "offboard"])
def test_parameters_that_a_page_names_exist(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text()
    known = {spec.name for spec in SPECS} | {"use_sim_time"}
    named = set(re.findall(r"`([a-z_]+): [^`]*`", text)) | set(re.findall(r"-p ([a-z_]+):=", text))
    assert named <= known, named - known


def test_launch_arguments_that_a_page_names_exist() -> None:
    """What is written as ``name:=value`` and not after ``-p`` or ``-r`` is given to a launch file."""
    known = set(ARGUMENTS) | set(WORKER_ARGUMENTS)
    for page in [*DOCS.glob("*.md"), ROOT / "README.md"]:
        for line in page.read_text().splitlines():
            ours = "ros2 launch" not in line or "reconx_ros" in line
            words = re.findall(r"(-[pr] )?(?<![\w.])([a-z_][a-z_.0-9]*):=", line)
            named = {name for option, name in words if not option and "." not in name}
            assert not ours or named <= known, (page.name, named - known)


def test_links_between_pages_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([a-z_./]+\.md)\)", page.read_text()):
            assert (page.parent / target).is_file(), (page.name, target)
