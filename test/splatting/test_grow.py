"""A slanted wall of known texture, seen by one camera that misses the depth of a patch."""

from dataclasses import replace

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.geometry.protocol import GENERATED, OBSERVED, PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.grow import GUESSED, imagined, unexplained
from reconx_ros.splatting.initialise import initialise
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.splatting.unfilmed import unfilmed_map
from reconx_ros.splatting.view import TrainingView
from reconx_ros.splatting.views import generated_views
from reconx_ros.structure.reference import Reference

WIDTH, HEIGHT = 64, 48
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[14:34, 20:44] = True


def wall() -> tuple[Keyframe, np.ndarray]:
    """The view and the true depth: inverse depth rises to the right."""
    intrinsics = np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, 3] = (0.3, -0.2, 0.1)
    depth = 1 / np.broadcast_to(np.linspace(0.4, 0.6, WIDTH), (HEIGHT, WIDTH))
    rng = np.random.default_rng(0)
    image = np.repeat(rng.integers(0, 256, (HEIGHT, WIDTH // 4, 3), dtype=np.uint8), 4, axis=1)
    return Keyframe("a", 0, image, Camera(intrinsics, pose, WIDTH, HEIGHT)), depth.astype(np.float32)


def mapped(keyframe: Keyframe, depth: np.ndarray, config: SplattingConfig) -> GaussianMap:
    known = np.isfinite(depth)
    count = int(known.sum())
    cloud = PointCloud(
        keyframe.camera.unproject(depth)[known],
        keyframe.image[known],
        np.tile(np.float32([0, 0, -1]), (count, 1)),
        np.full(count, 10, np.float32),
        np.zeros(count, np.uint8),
        np.ones(count, np.int32),
    )
    return initialise(cloud, config)


def test_a_hole_in_the_depth_is_filled_near_the_truth_and_marked() -> None:
    keyframe, truth = wall()
    measured = np.where(HOLE, np.nan, truth).astype(np.float32)
    config = SplattingConfig(guess_stride=1)
    before = mapped(keyframe, measured, config)
    new = unexplained(before, keyframe, measured, config)
    pixels, depth = keyframe.camera.project(new.means.astype(np.float64))
    column, row = np.rint(pixels).astype(int).T
    assert HOLE[row, column].all()
    assert len(new) > 0.7 * HOLE.sum()
    np.testing.assert_allclose(depth, truth[row, column], rtol=0.05)
    assert (new.provenance == GENERATED).all()
    assert (new.confidence == np.float32(GUESSED)).all()
    _, _, alpha = render_view(GaussianMap.concatenate(before, new), keyframe.camera)
    assert (alpha[HOLE] > 0.5).all()


def test_a_view_that_is_explained_adds_nothing() -> None:
    keyframe, truth = wall()
    config = SplattingConfig()
    assert len(unexplained(mapped(keyframe, truth, config), keyframe, truth, config)) == 0


def test_the_stride_thins_and_widens() -> None:
    keyframe, truth = wall()
    measured = np.where(HOLE, np.nan, truth).astype(np.float32)
    dense, thin = (SplattingConfig(guess_stride=stride) for stride in (1, 2))
    fine = unexplained(mapped(keyframe, measured, dense), keyframe, measured, dense)
    coarse = unexplained(mapped(keyframe, measured, thin), keyframe, measured, thin)
    assert len(coarse) < 0.35 * len(fine)
    ratio = np.exp(coarse.log_scales[:, 0]).mean() / np.exp(fine.log_scales[:, 0]).mean()
    assert abs(ratio - 2) < 0.1


def test_without_any_depth_nothing_is_guessed() -> None:
    keyframe, truth = wall()
    config = SplattingConfig()
    elsewhere = mapped(keyframe, truth, config)
    elsewhere.means[:, 2] -= 10  # behind the camera
    nothing = np.full_like(truth, np.nan)
    assert len(unexplained(elsewhere, keyframe, nothing, config)) == 0


def test_the_unfilmed_map_shows_what_was_measured_and_guesses_behind_holes() -> None:
    keyframe, truth = wall()
    measured = np.where(HOLE, np.nan, truth).astype(np.float32)
    image = np.full_like(keyframe.image, (200, 100, 50))
    view = Reference(image, measured, np.full(truth.shape, 0.9, np.float32), keyframe.camera)
    aside = np.eye(4)
    aside[:3, 3] = (0.35, -0.2, 0.1)
    camera = replace(keyframe.camera, world_from_camera=aside)
    inside = (slice(4, -4), slice(4, -8))
    for stride in (2, 0):
        color, alpha = unfilmed_map([view], SplattingConfig(guess_stride=stride), "cpu")(camera)
        shown = alpha[inside] >= 0.5
        assert shown[~HOLE[inside]].mean() > 0.9
        assert shown[HOLE[inside]].mean() > 0.9 if stride else shown[HOLE[inside]].mean() < 0.7
        np.testing.assert_allclose(
            color[inside][shown] / alpha[inside][shown][:, None] * 255,
            np.broadcast_to((200, 100, 50), (shown.sum(), 3)),
            atol=1,
        )


def filmed(keyframe: Keyframe, depth: np.ndarray, seen: np.ndarray) -> GeneratedFrame:
    confidence = np.full(depth.shape, 0.5, np.float32)
    confidence[:, :22] = 0.01
    return GeneratedFrame(keyframe.image, confidence, depth, seen, keyframe.camera)


def test_what_a_generated_frame_shows_enters_the_map_where_nobody_looked() -> None:
    keyframe, truth = wall()
    measured = np.where(HOLE, np.nan, truth).astype(np.float32)
    config = SplattingConfig(guess_stride=1)
    before = mapped(keyframe, measured, config)
    frame = filmed(keyframe, truth, ~HOLE)
    after = imagined(before, [frame], config)
    new = after.select(np.arange(len(before), len(after)))
    pixels, depth = keyframe.camera.project(new.means.astype(np.float64))
    column, row = np.rint(pixels).astype(int).T
    assert HOLE[row, column].all()
    assert column.min() >= 22  # what is hardly believed is left out
    assert len(new) > 0.7 * HOLE[:, 22:].sum()
    np.testing.assert_allclose(depth, truth[row, column], rtol=1e-4)
    assert (new.provenance == GENERATED).all()
    np.testing.assert_allclose(new.confidence, 0.5 * GUESSED, rtol=1e-6)
    again = imagined(after, [frame], config)
    assert len(again) - len(after) < 0.1 * len(new)  # a second frame of the same adds next to nothing
    assert len(imagined(before, [filmed(keyframe, truth, np.ones_like(HOLE))], config)) == len(before)


def test_observed_beats_generated() -> None:
    """A wall imagined in front of the real one goes as soon as a view measures through it."""
    keyframe, truth = wall()
    near = (0.6 * truth).astype(np.float32)
    config = SplattingConfig(guess_stride=1)
    measured = np.where(HOLE, np.nan, truth).astype(np.float32)
    before = mapped(keyframe, measured, config)
    wrong = imagined(before, [filmed(keyframe, near, ~HOLE)], config)
    optimiser = GaussianOptimiser(wrong, config, "cpu")
    view = TrainingView(
        keyframe.camera, keyframe.image / np.float32(255), np.ones_like(measured), measured, OBSERVED
    )
    optimiser.add_views([view])
    optimiser.prune()
    kept = optimiser.gaussians(evidence_views=0)
    assert np.count_nonzero(kept.provenance == GENERATED) > 0.9 * (len(wrong) - len(before))
    optimiser.add_views([replace(view, depth=truth)])  # later the sensor sees into the hole
    optimiser.prune()
    kept = optimiser.gaussians(evidence_views=0)
    assert np.count_nonzero(kept.provenance == GENERATED) == 0
    assert np.count_nonzero(kept.provenance == OBSERVED) == len(before)


def test_a_generated_view_teaches_by_its_confidence_where_no_view_looked() -> None:
    keyframe, truth = wall()
    config = SplattingConfig(generated_weight=0.5, generated_seen=0.2)
    (view,) = generated_views([filmed(keyframe, truth, ~HOLE)], config)
    assert view.provenance == GENERATED
    np.testing.assert_allclose(view.confidence[20, 30], 0.25)
    np.testing.assert_allclose(view.confidence[40, 60], 0.05)


def test_without_its_confidence_every_generated_pixel_counts() -> None:
    keyframe, truth = wall()
    measured = np.where(HOLE, np.nan, truth).astype(np.float32)
    config = SplattingConfig(guess_stride=1, generated_confidence="uniform", generated_weight=0.5)
    before = mapped(keyframe, measured, config)
    frame = filmed(keyframe, truth, ~HOLE)
    frame.confidence[:, :32] = 0.01
    frame.confidence[20, 30] = 0  # must not teach, whatever is configured
    (view,) = generated_views([frame], config)
    np.testing.assert_allclose(view.confidence[20, [28, 30, 40]], [0.5, 0, 0.5])
    count, believed = (
        len(imagined(before, [frame], each)) - len(before)
        for each in (config, SplattingConfig(guess_stride=1))
    )
    assert count - believed > 0.6 * HOLE[:, :32].sum()
    without = config.model_copy(update={"generated_gaussians": False})
    assert len(imagined(before, [frame], without)) == len(before)


def test_what_is_imagined_has_a_room_of_its_own() -> None:
    """It is thinned to its room; Gaussians and steps for real views stay as many as without it."""
    keyframe, truth = wall()
    measured = np.where(HOLE, np.nan, truth).astype(np.float32)
    config = SplattingConfig(guess_stride=1, max_gaussians=1000, generated_room=0.05, steps=170)
    before = mapped(keyframe, measured, SplattingConfig())
    after = imagined(before, [filmed(keyframe, truth, ~HOLE)] * 2, config)
    new = after.select(np.arange(len(before), len(after)))
    assert len(new) == 50
    column, row = np.rint(keyframe.camera.project(new.means.astype(np.float64))[0]).astype(int).T
    assert np.ptp(column) > 15
    assert np.ptp(row) > 15
    beside = config.beside_generated()
    assert beside.max_gaussians == 1050
    assert round(beside.steps * (1 - beside.generated_share)) == 170
    assert len(
        imagined(before, [filmed(keyframe, truth, ~HOLE)], config.model_copy(update={"generated_room": 0}))
    ) == len(before)
