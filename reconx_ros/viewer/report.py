"""``report.html``: what a reconstruction is made of, on one page that needs no other file."""

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from reconx_ros import __version__
from reconx_ros.config import Drawing
from reconx_ros.errors import MapError
from reconx_ros.geometry.protocol import GENERATED
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.viewer import html
from reconx_ros.viewer.plots import histogram_svg, plan_svg
from reconx_ros.viewer.png import encode_jpeg

THUMBNAIL_WIDTH = 320
MAX_THUMBNAILS = 24

OPEN_WITH = """\
map.ply    3D Gaussians (INRIA layout): https://superspl.at/editor, or any 3D Gaussian splatting viewer
cloud.ply  coloured points: CloudCompare, MeshLab, or python: open3d.visualization.draw_geometries([
             open3d.io.read_point_cloud("cloud.ply")])
pictures   reconx render {folder} --cameras {cameras} --output {pictures}"""


def write_report(reconstruction: Reconstruction, folder: Path, drawing: Drawing = ("auto", "auto")) -> Path:
    """Write ``report.html`` into a run folder; return it.

    ``config.yaml`` of the folder is shown where it exists.

    Args:
        reconstruction: what was saved there; any number of keyframes, points and Gaussians.
        folder: the run folder.
        drawing: rasterizer and device of the thumbnails.

    Raises:
        MapError: the file cannot be written.
    """
    file = folder / "report.html"
    try:
        page = html.page(f"reconx: {folder.name}", _sections(reconstruction, folder, drawing))
        file.write_text(page, encoding="utf-8", errors="replace")  # file names may be any bytes
    except OSError as err:
        raise MapError(f"report {file} cannot be written: {err.strerror or err}") from err
    return file


def _sections(result: Reconstruction, folder: Path, drawing: Drawing) -> Iterator[str]:
    gaussians, cloud = result.gaussians, result.cloud
    unit = "m" if result.metric else "units"
    cameras = [view.camera for view in result.keyframes]
    yield f"<h1>Map of {len(result.keyframes)} keyframes</h1>"
    yield f'<p class="lead">{len(gaussians):,} Gaussians, {len(cloud):,} points; reconx {__version__}</p>'
    yield html.warnings(_warnings(result))
    yield html.section("Counts", html.table(_counts(result)))
    yield html.section("Seconds by stage", html.table(_seconds(result.report)))
    plans = (
        html.figure(plan_svg(cloud, cameras, (0, 1), unit), "along z: x to the right, y up"),
        html.figure(plan_svg(cloud, cameras, (0, 2), unit), "along y: x to the right, z up"),
    )
    yield html.section("Points and camera path", f'<div class="row">{"".join(plans)}</div>')
    yield html.section("Confidence of the Gaussians", _confidence(gaussians))
    yield html.section("Keyframes: photo and map", _thumbnails(result, drawing))
    yield html.section("Open the map", html.preformatted(_open_with(folder)))
    config = folder / "config.yaml"
    if config.is_file():
        text = html.preformatted(config.read_text())
        yield html.section("Configuration", html.folded("config.yaml, as used", text))


def _open_with(folder: Path) -> str:
    """Return how to look at the map, as a shell takes it whatever the folder is called."""
    places = {"folder": folder, "cameras": folder / "cameras.json", "pictures": folder / "pictures"}
    return OPEN_WITH.format(**{name: quote(str(path)) for name, path in places.items()})


def _warnings(result: Reconstruction) -> list[str]:
    report = result.report
    lines = [str(line) for line in report.get("warnings", [])]
    source = report.get("source")
    if isinstance(source, dict):
        lines += [str(line) for line in source.get("warnings", [])]
        lines += [f"{count} frames dropped: {why}" for why, count in source.get("dropped", {}).items()]
    if report.get("partial"):
        lines.append("The recording is damaged or cut: only its readable beginning was used.")
    if report.get("cancelled"):
        lines.append("The reconstruction was stopped early: the map is valid, but not finished.")
    if not result.metric:
        lines.append("The world is not in metres: distances have an arbitrary unit.")
    return lines


def _counts(result: Reconstruction) -> Iterator[tuple[str, str]]:
    generated = int((result.gaussians.provenance == GENERATED).sum())
    yield "keyframes", f"{len(result.keyframes):,}"
    yield "Gaussians", f"{len(result.gaussians):,}"
    yield "of observed parts", f"{len(result.gaussians) - generated:,}"
    yield "of generated parts", f"{generated:,}"
    if pruned := result.report.get("pruned"):
        yield "Gaussians removed as degenerate", f"{sum(pruned.values()):,}"
    yield "points", f"{len(result.cloud):,}"
    yield "points seen by two views or more", f"{int((result.cloud.views >= 2).sum()):,}"
    for name in ("geometry", "geometry_reason", "synthesizer"):
        if name in result.report:
            yield name.replace("_", ", its "), str(result.report[name])


def _seconds(report: dict[str, Any]) -> list[tuple[str, str]]:
    seconds = report.get("seconds", {})
    rows = [(str(stage), f"{value:.2f}") for stage, value in seconds.items()]
    return [*rows, ("total", f"{sum(seconds.values()):.2f}")] if rows else []


def _confidence(gaussians: GaussianMap) -> str:
    if len(gaussians) == 0:
        return ""
    median = float(np.median(gaussians.confidence))
    caption = f"0: not seen well, 1: certain; median {median:.2f}"
    return html.figure(histogram_svg(gaussians.confidence, 0.0, 1.0), caption)


def _thumbnails(result: Reconstruction, drawing: Drawing) -> str:
    """Show at most 24 keyframes, evenly spaced, each beside the map at its camera."""
    count = len(result.keyframes)
    if count == 0:
        return ""
    rows = np.unique(np.linspace(0, count - 1, min(count, MAX_THUMBNAILS)).astype(int))
    pairs = [_pair(reduce(result.keyframes[row], THUMBNAIL_WIDTH), result, drawing) for row in rows]
    note = f"<p>{len(pairs)} of {count}, evenly spaced</p>" if len(pairs) < count else ""
    return f'{note}<div class="row">{"".join(pairs)}</div>'


def _pair(view: Keyframe, result: Reconstruction, drawing: Drawing) -> str:
    from reconx_ros.splatting.rasterize import render_view  # noqa: PLC0415 - torch

    color, _, alpha = render_view(result.gaussians, view.camera, *drawing)
    rendered = result.appearance.develop(color, alpha, view.camera)
    pictures = [
        html.image(encode_jpeg(picture), "image/jpeg", f"{what} {view.name}")
        for what, picture in (("photo", view.image), ("map", rendered))
    ]
    return html.figure(f'<div class="pair">{"".join(pictures)}</div>', view.name)
