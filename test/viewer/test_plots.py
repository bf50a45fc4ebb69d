import base64
import re
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.viewer.plots import PLOT_WIDTH, histogram_svg, plan_svg

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def cloud() -> PointCloud:
    """A red floor below a blue patch, seen from above: x from 0 to 4, y from 0 to 2."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 4, 300), np.linspace(0, 2, 150)))
    floor = np.stack([x, y, np.zeros_like(x)], axis=-1)
    above = (x > 1) & (x < 2) & (y < 1)
    points = np.concatenate([floor, floor[above] + [0, 0, 1]])
    colors = np.array([RED] * len(floor) + [BLUE] * above.sum(), np.uint8)
    count = len(points)
    return PointCloud(
        points.astype(np.float32),
        colors,
        np.zeros((count, 3), np.float32),
        np.ones(count, np.float32),
        np.zeros(count, np.uint8),
        np.ones(count, np.int32),
    )


def camera(x: float, y: float) -> Camera:
    pose = np.eye(4)
    pose[:2, 3] = x, y
    return Camera(np.eye(3), pose, 4, 4)


def picture_of(svg: str) -> np.ndarray:
    data = re.search(r'href="data:image/png;base64,([^"]+)"', svg)
    assert data
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data[1]), np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def test_seen_from_above_the_upper_points_are_in_front_and_y_is_up(cloud: PointCloud) -> None:
    svg = plan_svg(cloud, [camera(0, 0), camera(4, 2)], (0, 1), "m")
    picture = picture_of(svg)
    scale = PLOT_WIDTH / (4 * 1.08)
    assert picture.shape[1] == PLOT_WIDTH

    def at(x: float, y: float) -> tuple[int, ...]:
        margin = 0.16
        return tuple(picture[round(picture.shape[0] - (y + margin) * scale), round((x + margin) * scale)])

    assert at(1.5, 0.5) == BLUE
    assert at(1.5, 1.5) == RED
    assert at(3, 0.5) == RED
    path = re.search(r'polyline points="([^"]+)"', svg)
    assert path
    first, last = (np.array(pair.split(","), float) for pair in path[1].split(" "))
    assert np.allclose(last - first, [4 * scale, -2 * scale], atol=0.2)


def test_the_scale_bar_has_the_stated_length(cloud: PointCloud) -> None:
    svg = plan_svg(cloud, [], (0, 1), "m")
    bar = re.search(r'x1="8" y1="\d+" x2="([\d.]+)"', svg)
    assert bar
    assert ">1 m<" in svg
    assert float(bar[1]) - 8 == pytest.approx(PLOT_WIDTH / (4 * 1.08), rel=0.01)
    assert ">1 unit<" in plan_svg(cloud, [], (0, 1), "units")


@pytest.mark.parametrize("cameras", [[], [camera(0, 0)]])
def test_nothing_to_draw_is_no_error(cloud: PointCloud, cameras: list[Camera]) -> None:
    empty = PointCloud(*(getattr(cloud, name)[:0] for name in PointCloud.__dataclass_fields__))
    for axes in ((0, 1), (0, 2)):
        assert picture_of(plan_svg(empty, cameras, axes, "m")).size


@pytest.mark.parametrize("values", [[], [0.1, 0.1, 0.9, 1.0, 7.0]])
def test_bars_are_as_tall_as_their_counts(
    values: list[float], make_bins: Callable[[str], list[float]]
) -> None:
    heights = make_bins(histogram_svg(np.array(values, np.float32), 0.0, 1.0, bins=10))
    expected = np.zeros(10)
    if values:
        expected[[1, 9]] = 2 / 3, 1  # 0.9, 1.0 and what is beyond fall into the last bin
    assert np.allclose(np.array(heights) / 120, expected, atol=1e-3)


@pytest.fixture
def make_bins() -> Callable[[str], list[float]]:
    """Reads the heights of the bars."""
    return lambda svg: [float(value) for value in re.findall(r'<rect [^>]*height="([\d.]+)"', svg)]
