"""Training clips of recordings: fast and slow, at 30 frames a second and at 2, with several cameras."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from reconx_ros.camera import Camera
from reconx_ros.cli.train import command
from reconx_ros.diffusion.training import recorded
from reconx_ros.diffusion.training.recorded import APART, BEYOND, LEAST, MOST, clips
from reconx_ros.diffusion.training.shards import ClipStore
from reconx_ros.keyframes.overlap import Footprint
from reconx_ros.simulation.clips import Clip
from reconx_ros.simulation.simulate import simulate
from reconx_ros.structure.reference import Reference

WIDTH, HEIGHT, DEPTH = 32, 24, 2.0
K = np.array([[32.0, 0, 15.5], [0, 32.0, 11.5], [0, 0, 1]])


def view(x: float) -> recorded._View:
    """Look at a wall 2 away, 2 wide in view; ``x`` aside shares 1 − x / 2 of it."""
    pose = np.eye(4)
    pose[0, 3] = x
    camera = Camera(K, pose, WIDTH, HEIGHT)
    depth = np.full((HEIGHT, WIDTH), DEPTH, np.float32)
    small = Reference(np.zeros((HEIGHT, WIDTH, 3), np.uint8), depth, np.ones_like(depth), camera)
    grid = camera.resized(32, 24)
    return recorded._View(small, Footprint(grid, grid.unproject(depth).reshape(-1, 3).astype(float), depth))


def share(first: np.ndarray, second: np.ndarray) -> float:
    return 1 - abs(first[0, 3] - second[0, 3]) / 2


def check(clip: Clip) -> None:
    first, second = clip.world_from_camera
    assert LEAST <= share(first, second) <= APART + 0.02
    for pose in clip.target_world_from_camera:
        between = first[0, 3] < pose[0, 3] < second[0, 3]
        assert between != clip.extrapolated.all()
        assert clip.extrapolated.all() == (pose[0, 3] > second[0, 3])


@pytest.mark.parametrize("speed", [0.01, 0.05, 0.15])
def test_references_share_as_much_whatever_the_speed(speed: float) -> None:
    made = list(clips((view(speed * number) for number in range(round(3 / speed))), 1))
    assert len(made) > 15
    for clip in made:
        check(clip)
        if clip.extrapolated.all():
            assert share(clip.world_from_camera[0], clip.target_world_from_camera[0]) <= BEYOND + 0.02
    kinds = {bool(clip.extrapolated.all()) for clip in made}
    assert kinds == {True, False}


def test_a_camera_that_stands_or_jumps_gives_no_clips() -> None:
    assert list(clips((view(0.0) for _ in range(50)), 1)) == []
    assert list(clips((view(3.0 * number) for number in range(9)), 1)) == []


def test_clips_of_several_frames_are_distinct_and_in_order() -> None:
    made = list(clips((view(0.05 * number) for number in range(60)), 5))
    assert made
    for clip in made:
        check(clip)
        assert (np.diff(clip.target_world_from_camera[:, 0, 3]) > 0).all()
        assert clip.target_color.shape == (5, HEIGHT, WIDTH, 3)


def test_a_long_recording_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that swings in place never comes far: what it saw long ago is let go."""
    import weakref

    made: list[weakref.ref[recorded._View]] = []

    def swinging() -> Iterator[recorded._View]:
        for number in range(150):
            one = view(0.1 * np.sin(0.7 * number))
            made.append(weakref.ref(one))
            assert sum(each() is not None for each in made) <= MOST + 3
            yield one

    assert list(clips(swinging(), 1)) == []


def test_topics_of_a_configuration_are_used(tmp_path: Path) -> None:
    """What `reconstruct` is told of a bag, `train prepare` is told the same way."""
    simulate(tmp_path / "room", frames=20, width=32, height=24)
    (tmp_path / "mine.yaml").write_text("source: {image_topic: /left/image}\n")
    size = ["--width", "32", "--height", "32"]
    arguments = ["prepare", "--source", str(tmp_path / "room"), *size]
    told = CliRunner().invoke(
        command, [*arguments, "-o", str(tmp_path / "no"), "--config", str(tmp_path / "mine.yaml")]
    )
    assert told.exception is not None
    assert "/left/image" in str(told.exception)
    done = CliRunner().invoke(command, [*arguments, "-o", str(tmp_path / "clips")])
    assert done.exit_code == 0, done.output
    store = ClipStore(tmp_path / "clips")
    assert f"{len(store)} clips" in done.output
    assert len(store) > 3
    assert store[0]["truth"].shape == (1, 3, 32, 32)


def test_a_recording_without_pairs_is_refused_in_one_line(tmp_path: Path) -> None:
    simulate(tmp_path / "room", frames=2, width=32, height=24)
    arguments = ["prepare", "--source", str(tmp_path / "room"), "-o", str(tmp_path / "clips")]
    told = CliRunner().invoke(command, arguments)
    assert "no 1 of its 2 frames with pose and depth lie between or beyond two that share" in str(
        told.exception
    )
