"""A keyframe changes what it sees: the map becomes what it would be if all of it were looked at."""

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import pytest
from ball_room import BALL, HEIGHT, WIDTH, ball_in_a_room, looking

from reconx_ros.config import load_config
from reconx_ros.geometry.fusion import CloudFusion
from reconx_ros.geometry.protocol import GENERATED, OBSERVED, PointCloud
from reconx_ros.geometry.voxels import BITS
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.progress import Silent
from reconx_ros.splatting.blocks import Blocks
from reconx_ros.splatting.initialise import initialise

EYES = [(1.2, 0.3, 0.2), (1.1, 0.6, 0.1), (0.9, 0.9, 0), (0.4, 1.2, 0.2), (-0.3, 1.2, 0.1), (1.2, 0, 0)]
CONFIG = load_config("fast", None, {"splatting": {"max_gaussians": 90_000, "sh_degree": 1}})


def views() -> list[Keyframe]:
    """Views of a ball in a room: with holes, and with ghosts that later views look through."""
    made, rng = [], np.random.default_rng(0)
    for number, eye in enumerate(EYES):
        camera = looking(eye, np.array([1.5, -1, 0]) if number == 3 else BALL)  # one looks elsewhere
        depth = ball_in_a_room(camera).astype(np.float32)
        row, column = rng.integers(0, HEIGHT - 40), rng.integers(0, WIDTH - 40)
        depth[row : row + 25, column : column + 40] = np.nan
        depth[30:50, 20 + 20 * number : 40 + 20 * number] *= 0.6
        image = rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        made.append(Keyframe(str(number), number, image, camera, depth))
    return made


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[IncrementalMapper, IncrementalMapper]]:
    """A map as it is, and one that looks at all of it for each keyframe."""
    seen = Blocks.seen
    plain, mapper = IncrementalMapper(CONFIG), IncrementalMapper(CONFIG)
    plain._near.fusion = CloudFusion(CONFIG.geometry.fusion, side=BITS)
    add = plain.add

    def add_plainly(keyframe: Keyframe) -> object:
        monkeypatch.setattr(Blocks, "seen", lambda blocks, *_: np.ones(len(blocks.size), bool))
        try:
            return add(keyframe)
        finally:
            monkeypatch.setattr(Blocks, "seen", seen)

    monkeypatch.setattr(plain, "add", add_plainly)
    yield mapper, plain


def near(mapper: IncrementalMapper) -> Reconstruction:
    result = mapper.snapshot(whole=False)
    assert result is not None
    return result


def assert_same(mapper: IncrementalMapper, plain: IncrementalMapper) -> None:
    mine, theirs = near(mapper), near(plain)
    for part in ("cloud", "gaussians"):
        for field in fields(getattr(mine, part)):
            first, second = (getattr(getattr(each, part), field.name) for each in (mine, theirs))
            np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6, err_msg=f"{part} {field.name}")
    for first, second in zip(mapper.ids, plain.ids, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_map_is_the_one_that_looks_at_everything(
    both: tuple[IncrementalMapper, IncrementalMapper],
) -> None:
    mapper, plain = both
    for view in views():
        for each in both:
            each.add(view)
        assert_same(mapper, plain)
    result = near(mapper)
    assert result.report["pruned"]["floaters"] > 20
    assert np.count_nonzero(result.gaussians.provenance == GENERATED) > 20
    assert mapper.ids[0][-1] >= len(mapper.ids[0])  # some points were seen through


def test_a_refined_map_is_the_same_within_a_percent(
    both: tuple[IncrementalMapper, IncrementalMapper],
) -> None:
    """What moved while it was refined is judged when a view sees it, not at the next keyframe."""
    mapper, plain = both
    for view in views():
        for each in both:
            each.add(view)
            optimiser = each._near.gaussians.optimiser
            assert optimiser is not None
            optimiser.run(steps=10)
    mine, theirs = near(mapper), near(plain)
    assert len(mine.cloud.points) == len(theirs.cloud.points)
    assert len(mine.gaussians) == pytest.approx(len(theirs.gaussians), rel=0.01)
    for each in both:
        each.refine(0.05, Silent())  # gives back the rows of what was removed
    shared = np.isin(mapper.ids[1], plain.ids[1])
    assert np.mean(shared) > 0.99


def test_what_no_view_sees_is_not_touched() -> None:
    """A floor far below: not one block or brick of it is looked at, and nothing of it is copied."""
    mapper, everything = IncrementalMapper(CONFIG), views()
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(200), np.arange(200)))
    points = np.stack([0.03 * x, 0.03 * y, np.full(40_000, -20.0)], axis=1).astype(np.float32)
    ones = np.ones(40_000)
    floor = PointCloud(
        points, np.full((40_000, 3), 128, np.uint8), np.tile(np.float32([0, 0, 1]), (40_000, 1)),
        (9 * ones).astype(np.float32), np.full(40_000, OBSERVED, np.uint8), ones.astype(np.int32),
    )  # fmt: skip
    mapper.load(Reconstruction(initialise(floor, CONFIG.splatting), floor, (), True))
    bricks = dict(mapper._near.fusion._bricks._all)
    for view in everything:
        mapper.add(view)
    optimiser = mapper._near.gaussians.optimiser
    assert optimiser is not None
    for view in everything:
        rows = optimiser.in_view(view.camera)
        assert len(rows) > 0
        assert rows.min() > 39_000  # in a block with the first Gaussians of the room, some of the floor
    assert len(bricks) > 4
    assert all(mapper._near.fusion._bricks[number] is brick for number, brick in bricks.items())
    np.testing.assert_array_equal(near(mapper).gaussians.means[:40_000], points)


def test_a_view_that_is_replaced_leaves_its_evidence() -> None:
    """Evidence is kept by row: rows that are given back move it along."""
    mapper, everything = IncrementalMapper(CONFIG), views()
    for view in everything[:3]:
        mapper.add(view)
    before, ids = near(mapper).gaussians.confidence, mapper.ids[1]
    gone = np.zeros(len(ids), bool)
    gone[::3] = True
    gaussians = mapper._near.gaussians
    gaussians.remove(gone)
    optimiser = gaussians.optimiser
    assert optimiser is not None
    gaussians._tidy(optimiser)
    assert len(optimiser.alive) == len(gaussians)
    np.testing.assert_array_equal(mapper.ids[1], ids[~gone])
    kept = optimiser.gaussians(evidence_views=0).confidence  # nothing is looked at again
    np.testing.assert_allclose(kept, before[~gone], atol=1e-6)


def test_a_keyframe_that_shows_nothing_new_moves_no_rows() -> None:
    mapper = IncrementalMapper(CONFIG)
    first = views()[0]
    mapper.add(first)
    optimiser = mapper._near.gaussians.optimiser
    assert optimiser is not None
    place = optimiser.look().means.ctypes.data
    mapper.add(replace(first, name="again"))
    assert optimiser.look().means.ctypes.data == place
