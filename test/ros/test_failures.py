"""The page of log lines against the code: every line it names is said there, and what is said is on it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconx_ros.keyframes.selector import Verdict

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "reconx_ros"
PAGE = (ROOT / "docs" / "failures.md").read_text()
LINES = [line for block in re.findall(r"```log\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
SAYING = {"warning", "error", "say", "_complain"}
PASSED_ON = {
    "…: …: …",
    "…: …",  # a damaged message: the rest says how
    "frames without a pose: …",  # followed by the transform that is missing
    "journal …: …",
    "… is left out: …",
    "… is not played: message type … is not installed",  # the player, not the node
}
"""Templates that only pass on what another line of the page says, or are another program's."""


def template(node: ast.expr) -> str | None:
    """The text of a string in the code, ``…`` for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%(?:[ds]|\.\d+f)", "…", node.value)  # logging fills in, too
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
    return None


def nodes(folder: Path) -> Iterator[ast.AST]:
    for file in folder.rglob("*.py"):
        yield from ast.walk(ast.parse(file.read_text()))


@pytest.fixture(scope="module")
def templates() -> set[str]:
    """Every string of the package."""
    found = (template(node) for node in nodes(PACKAGE) if isinstance(node, ast.expr))
    return {text for text in found if text}


def test_the_page_has_lines() -> None:
    assert len(LINES) > 35
    assert len(set(LINES)) == len(LINES)


@pytest.mark.parametrize("line", LINES)
def test_every_line_on_the_page_is_in_the_code(line: str, templates: set[str]) -> None:
    assert line in templates


def test_what_the_node_warns_of_is_on_the_page() -> None:
    """Of every warning the node writes itself; errors it passes on are templates of their own."""
    said = set()
    for node in nodes(PACKAGE / "ros"):
        name = getattr(getattr(node, "func", None), "attr", "")
        if isinstance(node, ast.Call) and name in SAYING:
            said |= {text for text in map(template, node.args) if text and "…" in text}
    missing = {
        text
        for text in said - PASSED_ON
        if not any(text in line or line in text for line in LINES)
        and not text.startswith(("unusable ", "damaged ", "pose "))  # kinds of complaints, not lines
        and not text.startswith("--")  # options of the player
    }
    assert not missing


def test_the_reasons_of_dropped_frames_are_those_that_are_counted() -> None:
    cells = re.findall(r"^\| (`[a-z_`, ]+`) \|", PAGE, re.MULTILINE)
    rows = [reason for cell in cells for reason in re.findall("`([a-z_]+)`", cell)]
    counted = {str(verdict.value) for verdict in Verdict}
    for folder in ("ros", "keyframes"):
        for file in (PACKAGE / folder).glob("*.py"):
            counted |= set(re.findall(r'dropped(?:\[|\.add\()"([a-z ]+)"', file.read_text()))
    never = {
        "accepted",
        "unposed",
        "depth not wanted",
    }  # frames wait for a pose; depth is not subscribed to
    assert sorted(rows) == sorted(reason.replace(" ", "_") for reason in counted - never)


def test_anchors_lead_to_headings() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\(#([a-z-]+)\)", PAGE)) <= headings
