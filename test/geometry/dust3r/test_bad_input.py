"""What the network cannot know or gets wrong: no confident map comes of it, and it is said."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.dust3r.config import Dust3rConfig
from reconx_ros.geometry.dust3r.room import Dust3rGeometry
from reconx_ros.geometry.protocol import GeometryEstimate
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Silent
from reconx_ros.simulation.scene import Scene

from .oracle import Oracle

Floats = NDArray[np.float32]
ORACLE_OF = Callable[[Scene, Sequence[Keyframe]], Oracle]


def estimate(views: Sequence[Keyframe], metric: bool = True) -> GeometryEstimate:
    return Dust3rGeometry(Dust3rConfig(), AlignmentConfig(samples=250), metric).estimate(views, Silent())


def photo(view: Keyframe) -> Keyframe:
    return replace(view, posed=False, camera=view.camera.moved(np.eye(4)), intrinsics="guessed")


def errors(found: GeometryEstimate, views: Sequence[Keyframe]) -> list[NDArray[np.float64]]:
    """Relative errors [H, W] of the points of views whose poses are known."""
    every = zip(found.pointmaps, views, strict=True)
    return [
        np.linalg.norm(pointmap.points - view.camera.unproject(view.depth), axis=2) / view.depth
        for pointmap, view in every
        if view.depth is not None
    ]


def test_views_of_a_blank_wall_give_no_map(oracle: Oracle, views: list[Keyframe]) -> None:
    """A network that was trained with its confidence is unsure of where a blank wall stands to the next."""

    def unsure(pair: tuple[int, int], points: list[Floats], sure: list[Floats]) -> None:
        sure[1][:] = 1.2

    oracle.spoil = unsure
    for case in (views, [photo(view) for view in views]):
        with pytest.raises(GeometryError, match="to DUSt3R at most 0 of 6 show the same place"):
            estimate(case)


def test_a_blank_half_stays_unknown_and_the_rest_is_right(oracle: Oracle, views: list[Keyframe]) -> None:
    """The left half of each picture is a wall without texture, placed anywhere and not believed."""

    def half(pair: tuple[int, int], points: list[Floats], sure: list[Floats]) -> None:
        for where, how in zip(points, sure, strict=True):
            middle = where.shape[1] // 2
            where[:, :middle] *= 1.4
            how[:, :middle] = 1.02

    oracle.spoil = half
    found = estimate(views)
    for pointmap, error, view in zip(found.pointmaps, errors(found, views), views, strict=True):
        middle = view.camera.width // 2
        assert pointmap.known[:, : middle - 2].mean() < 0.02
        assert np.nanmedian(error[:, middle + 2 :]) < 0.006
        assert pointmap.known[:, middle + 2 :].mean() > 0.4


def test_people_who_walk_are_doubted_and_what_stands_still_is_right(
    oracle: Oracle, views: list[Keyframe]
) -> None:
    """In each view somebody stands at half the distance, in no two views at the same place."""
    inside = np.s_[20:50, 40:56]
    for world, view in zip(oracle.world, views, strict=True):
        person = world[inside]
        person[:] = view.camera.centre + 0.5 * (person - view.camera.centre)
    found = estimate(views)
    for number in (0, 1, 2, 4, 5):  # the fourth has another size
        pointmap, error = found.pointmaps[number], errors(found, views)[number]
        x, y = (np.array([40, 56]) * 80 / 96).astype(int), (np.array([20, 50]) * 80 / 96 - 3).astype(int)
        person = np.zeros(error.shape, bool)
        person[y[0] + 3 : y[1] - 3, x[0] + 3 : x[1] - 3] = True
        around = np.zeros(error.shape, bool)
        around[y[0] - 6 : y[1] + 6, x[0] - 6 : x[1] + 6] = True
        assert np.nanmedian(error[~around]) < 0.01
        assert np.median(pointmap.confidence[~around]) > 2.5
        assert np.median(pointmap.confidence[person]) < 1.5


def test_a_wrong_calibration_is_said_and_gives_no_confident_map(
    oracle: Oracle, views: list[Keyframe], caplog: pytest.LogCaptureFixture
) -> None:
    def zoomed(view: Keyframe) -> Keyframe:
        intrinsics = view.camera.intrinsics.copy()
        intrinsics[[0, 1], [0, 1]] *= 1.3
        return replace(view, camera=replace(view.camera, intrinsics=intrinsics))

    found = estimate([zoomed(view) for view in views])
    for pointmap in found.pointmaps:
        assert (pointmap.confidence < 1.5).mean() > 0.8
    assert "calibrated focal lengths were 0.77 times as long" in caplog.text


def test_poses_in_other_axes_are_an_error(oracle: Oracle, views: list[Keyframe]) -> None:
    flip = np.diag([1.0, -1, -1, 1])
    flipped = [replace(v, camera=v.camera.moved(v.camera.world_from_camera @ flip)) for v in views]
    with pytest.raises(GeometryError, match=r"contradict each other or the poses: 0\.\d% of the pixels"):
        estimate(flipped)


@pytest.fixture(scope="module")
def elsewhere() -> tuple[Scene, list[Keyframe]]:
    """Two views of another room."""
    from reconx_ros.camera import Camera
    from reconx_ros.simulation.film import intrinsics, photograph
    from reconx_ros.simulation.paths import orbit_path
    from reconx_ros.simulation.rooms import room
    from reconx_ros.simulation.sensor import SensorNoise

    scene = room(7, 0.3, 2)
    cameras = [Camera(intrinsics(80, 60), pose, 80, 60) for pose in orbit_path(scene, 24)[[3, 15]]]
    return scene, [photograph(scene, c, SensorNoise(), 90 + n, 90 + n, 0) for n, c in enumerate(cameras)]


@pytest.mark.parametrize("confidence", [6.0, 1.2])
def test_a_photo_of_another_place_is_left_out_and_named(
    oracle: Oracle,
    views: list[Keyframe],
    elsewhere: tuple[Scene, list[Keyframe]],
    confidence: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The network sees its shape, but puts it anywhere: with little confidence, or even with much."""
    scene, (stranger, _) = elsewhere
    oracle.add(scene, stranger)
    random = np.random.default_rng(0)

    def made_up(pair: tuple[int, int], points: list[Floats], sure: list[Floats]) -> None:
        if 6 in pair:
            points[1][:] = points[1] @ Rotation.random(random_state=random).as_matrix().T.astype(
                np.float32
            ) + random.normal(size=3).astype(np.float32)
            sure[1][:] = confidence

    oracle.spoil = made_up
    photos = [*(photo(view) for view in views), photo(stranger)]
    found = estimate(photos, metric=False)
    assert found.warnings(photos) == [f"1 of 7 views do not connect: {stranger.name}"]
    assert [k.name for k in found.keyframes] == [view.name for view in views]
    assert all(k.posed for k in found.keyframes)
    assert f"1 of 7 views do not connect: {stranger.name}" in caplog.text


def test_photos_of_many_places_are_an_error_that_names_them(
    oracle: Oracle, views: list[Keyframe], elsewhere: tuple[Scene, list[Keyframe]]
) -> None:
    scene, strangers = elsewhere
    for stranger in strangers:
        oracle.add(scene, stranger)

    def unsure(pair: tuple[int, int], points: list[Floats], sure: list[Floats]) -> None:
        if {0, 1} != set(pair):
            sure[1][:] = 1.2

    oracle.spoil = unsure
    photos = [photo(view) for view in (*views[:3], *strangers)]
    with pytest.raises(
        GeometryError, match=r"at most 2 of 5 show the same place; not 000002, 000090, 000091"
    ):
        estimate(photos, metric=False)
