"""The kernels against the equations, written slowly."""

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.stereo.planes import sweep, transfer
from reconx_ros.geometry.stereo.semi_global import DIRECTIONS, aggregate
from reconx_ros.geometry.stereo.volume import LEVELS, UNSEEN, cost_volume
from reconx_ros.geometry.stereo.winner import choose_winner
from test.geometry.stereo.conftest import Room, look_from

Floats = NDArray[np.float64]


def slow_cost(image: Floats, other: Floats, carry: Floats, w: float, radius: int, noise: float) -> Floats:
    """1 - NCC with OpenCV's warp and window, NaN where the neighbour or the window ends."""
    height, width = image.shape
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    h = np.stack([x, y, np.ones_like(x)], -1) @ carry[:, :3].T + w * carry[:, 3]
    u, v = (h[..., :2] / h[..., 2:]).astype(np.float32).transpose(2, 0, 1)
    warped = cv2.remap(other.astype(np.float32), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def mean(values: Floats) -> Floats:
        size = (2 * radius + 1,) * 2
        return cv2.blur(values.astype(np.float64), size, borderType=cv2.BORDER_REPLICATE)

    image, warped = image.astype(np.float64), warped.astype(np.float64)
    covariance = mean(image * warped) - mean(image) * mean(warped)
    variances = [mean(i * i) - mean(i) ** 2 + noise**2 for i in (image, warped)]
    cost = 1 - covariance / np.sqrt(variances[0] * variances[1])
    inside = (u >= 0) & (v >= 0) & (u <= other.shape[1] - 1) & (v <= other.shape[0] - 1)
    inside[:, :radius] = inside[:, width - radius :] = False
    return np.where(inside, cost, np.nan)


def grey(room: Room, centre: tuple[float, float, float], width: int, height: int) -> NDArray[np.float32]:
    view = room.view(look_from(centre, width, height), "a")
    return cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)


def test_the_cost_volume_is_the_mean_of_the_better_half() -> None:
    places, size = ((0, 0, 0), (0.3, 0, 0), (-0.2, 0.2, 0.1), (0, -0.3, 0)), (80, 60)
    images = [grey(Room(0.5, box=True), place, *size) for place in places]
    cameras = [look_from(place, *size) for place in places]
    carries = np.array([transfer(cameras[0], camera) for camera in cameras[1:]])
    planes = sweep(40, 1.0, 4.0, 64)
    volume = cost_volume(images[0], images[1:], carries.astype(np.float32), planes, 2, 0.01, 0.5)
    for d in (0, 17, len(planes) - 1):
        costs = [
            slow_cost(images[0], image, carry, float(planes[d]), 2, 0.01)
            for image, carry in zip(images[1:], carries, strict=True)
        ]
        ranked = np.sort(np.stack(costs), axis=0)
        seen = np.isfinite(ranked).sum(axis=0)
        best_two = np.where(seen == 3, ranked[:2].mean(axis=0), ranked[0])
        assert ((volume[..., d] == UNSEEN) == (seen == 0)).mean() > 0.999
        known = (seen > 0) & (volume[..., d] != UNSEEN)
        difference = np.abs(volume[..., d][known] / LEVELS - best_two[known])
        assert np.quantile(difference, 0.99) < 0.02  # cv2.remap interpolates in 1/32 pixel


def slow_path(
    volume: Floats, image: Floats, step: tuple[int, int], costs: tuple[float, float, float]
) -> Floats:
    height, width, _ = volume.shape
    small, large, edge = costs
    path = np.zeros(volume.shape)
    rows = range(height) if step[0] >= 0 else range(height - 1, -1, -1)
    columns = range(width) if step[1] >= 0 else range(width - 1, -1, -1)
    for y in rows:
        for x in columns:
            py, px = y - step[0], x - step[1]
            path[y, x] = volume[y, x]
            if 0 <= py < height and 0 <= px < width:
                before = path[py, px]
                jump = max(large / (1 + abs(image[y, x] - image[py, px]) / edge), small)
                wide = np.pad(before, 1, constant_values=np.inf)
                best = np.minimum(before, np.minimum(wide[:-2], wide[2:]) + small)
                path[y, x] += np.minimum(best, before.min() + jump) - before.min()
    return path


def test_path_costs_are_those_of_the_recursion() -> None:
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 256, (9, 13, 12)).astype(np.uint8)
    seen = np.where(volume == UNSEEN, LEVELS // 1, volume)
    image = rng.random((9, 13), np.float32)
    total = aggregate(volume, image, 10, 120, 0.1)
    slow = sum(np.floor(slow_path(seen, image, d, (10, 120, 0.1)) + 1e-3) for d in DIRECTIONS)
    assert np.abs(total - slow).max() <= len(DIRECTIONS)


def test_the_winner_lies_at_the_vertex_and_says_how_clearly_it_won() -> None:
    planes = np.linspace(0.1, 1.0, 10).astype(np.float32)
    curve = 100 + 50 * (np.arange(10) - 4.3) ** 2
    total = np.broadcast_to(curve, (2, 3, 10)).astype(np.uint16).copy()
    total[1, 2, 9] = total[1, 2, 4]  # a second winner
    volume = np.full((2, 3, 10), 51, np.uint8)
    volume[0, 0] = UNSEEN
    winner = choose_winner(volume, total, planes, LEVELS, UNSEEN)
    assert np.isnan(winner.inverse[0, 0])
    np.testing.assert_allclose(winner.inverse[0, 1], planes[0] + 4.3 * 0.1, atol=1e-3)
    np.testing.assert_allclose(winner.cost[0, 1], 0.4, atol=1e-3)
    assert winner.margin[0, 1] > 0.5
    assert winner.margin[1, 2] == 0
