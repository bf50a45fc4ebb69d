"""Small plots for the report as inline SVG: the map from above and from the side, and a histogram."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.viewer.html import data_uri
from reconx_ros.viewer.png import encode_png

PLOT_WIDTH = 460
MAX_HEIGHT = 460
GREY = 245  # of pixels without a point


@dataclass(frozen=True)
class _Frame:
    """Where world coordinates lie on a picture: ``pixel = (value - low) * scale``, y upward."""

    low: NDArray[np.float64]
    scale: float
    width: int
    height: int

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = (points - self.low) * self.scale
        return np.stack([flat[:, 0], self.height - flat[:, 1]], axis=-1)


def plan_svg(cloud: PointCloud, cameras: Sequence[Camera], axes: tuple[int, int], unit: str) -> str:
    """Draw the points in their colours with the path of the cameras over them.

    Args:
        cloud: N points; N may be 0.
        cameras: the path, in order.
        axes: world axes to the right and up: ``(0, 1)`` from above, ``(0, 2)`` from the side.
        unit: name of world units, in the plural, for the scale bar.
    """
    centres = np.array([camera.centre for camera in cameras]).reshape(-1, 3)[:, list(axes)]
    points = cloud.points[:, list(axes)].astype(np.float64)
    frame = _frame(points, centres)
    picture = data_uri("image/png", encode_png(_painted(points, cloud, axes, frame)))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in frame.pixels(centres))
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in frame.pixels(centres))
    return (
        f'<svg viewBox="0 0 {frame.width} {frame.height}" width="{frame.width}" class="plan">'
        f'<image href="{picture}" width="{frame.width}" height="{frame.height}"/>'
        f'<polyline points="{path}" class="path"/><g class="cameras">{dots}</g>'
        f"{_scale_bar(frame, unit)}</svg>"
    )


def histogram_svg(values: NDArray[np.float32], low: float, high: float, bins: int = 40) -> str:
    """Draw how many of ``values`` [N] fall into each of ``bins`` between ``low`` and ``high``."""
    counts, _ = np.histogram(np.clip(values, low, high), bins=bins, range=(low, high))
    width, height, tallest = PLOT_WIDTH / bins, 120, max(int(counts.max(initial=0)), 1)
    bars = "".join(
        f'<rect x="{i * width:.1f}" y="{height * (1 - count / tallest):.1f}" '
        f'width="{width - 1:.1f}" height="{height * count / tallest:.1f}"/>'
        for i, count in enumerate(counts)
    )
    labels = (
        f'<text x="0" y="136">{low:g}</text><text x="{PLOT_WIDTH}" y="136" class="end">{high:g}</text>'
        f'<text x="{PLOT_WIDTH / 2:g}" y="136" class="middle">tallest bar: {tallest:,}</text>'
    )
    return f'<svg viewBox="0 0 {PLOT_WIDTH} 140" width="{PLOT_WIDTH}" class="bars">{bars}{labels}</svg>'


def _frame(points: NDArray[np.float64], centres: NDArray[np.float64]) -> _Frame:
    """Fit all cameras and all but the outermost points into the picture."""
    kept = np.percentile(points, [0.5, 99.5], axis=0) if len(points) else np.zeros((0, 2))
    corners = np.concatenate([kept, centres, np.zeros((0 if len(kept) + len(centres) else 1, 2))])
    low, high = corners.min(axis=0), corners.max(axis=0)
    margin = 0.04 * max(float((high - low).max()), 1e-6)
    span = high - low + 2 * margin
    scale = min(PLOT_WIDTH / span[0], MAX_HEIGHT / span[1])
    width, height = (max(1, round(float(value))) for value in span * scale)
    return _Frame(low - margin, float(scale), width, height)


def _painted(
    points: NDArray[np.float64], cloud: PointCloud, axes: tuple[int, int], frame: _Frame
) -> NDArray[np.uint8]:
    """Paint every point on 2 x 2 pixels, those nearest to the viewer last."""
    picture = np.full((frame.height, frame.width, 3), GREY, np.uint8)
    toward = {(0, 1): cloud.points[:, 2], (0, 2): -cloud.points[:, 1]}[axes]
    order = np.argsort(toward, kind="stable")
    column, row = np.floor(frame.pixels(points[order])).astype(np.int64).T
    inside = (column >= 0) & (column < frame.width - 1) & (row >= 0) & (row < frame.height - 1)
    column, row, colors = column[inside], row[inside], cloud.colors[order][inside]
    for right, down in ((0, 0), (0, 1), (1, 0), (1, 1)):
        picture[row + down, column + right] = colors
    return picture


def _scale_bar(frame: _Frame, unit: str) -> str:
    """Return a bar of 1, 2 or 5 times a power of ten units, about a quarter of the width."""
    wanted = 0.25 * frame.width / frame.scale
    power = 10.0 ** np.floor(np.log10(wanted))
    length = max(step * power for step in (1, 2, 5) if step * power <= wanted)
    unit = unit.removesuffix("s") if length == 1 else unit
    y, end = frame.height - 8, 8 + length * frame.scale
    return (
        f'<line x1="8" y1="{y}" x2="{end:.1f}" y2="{y}" class="scale"/>'
        f'<text x="8" y="{y - 5}">{length:g} {unit}</text>'
    )
