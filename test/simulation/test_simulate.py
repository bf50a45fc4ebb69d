"""A simulated bag holds what was simulated, in the layout of a recorded one."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from pytransform3d.rotations import matrix_from_quaternion
from rosbags.highlevel import AnyReader

from reconx_ros.errors import ConfigError, SourceError
from reconx_ros.progress import Silent
from reconx_ros.simulation.bag import write_bag
from reconx_ros.simulation.film import film
from reconx_ros.simulation.sensor import SensorNoise
from reconx_ros.simulation.simulate import simulate
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

SIZE = {"frames": 4, "width": 160, "height": 120, "rate_hz": 5.0}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "room"
    simulate(path, seed=1, **SIZE)
    return path


@pytest.fixture(scope="module")
def truth() -> list:
    return list(film("room", 1, 4, 5.0, 160, 120, SensorNoise(), Silent()))


def read(path: Path) -> dict[str, list]:
    topics: dict[str, list] = {}
    with AnyReader([path]) as reader:
        for connection, stamp, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            topics.setdefault(connection.topic, []).append((stamp, message))
    return topics


def matrix(transform: object) -> np.ndarray:
    pose = np.eye(4)
    q, t = transform.rotation, transform.translation
    pose[:3, :3] = matrix_from_quaternion([q.w, q.x, q.y, q.z])
    pose[:3, 3] = [t.x, t.y, t.z]
    return pose


def test_transforms_lead_to_the_true_pose(bag: Path, truth: list) -> None:
    topics = read(bag)
    links = {t.child_frame_id: t for t in topics["/tf_static"][0][1].transforms}
    assert {(t.header.frame_id, name) for name, t in links.items()} == {
        ("map", "odom"),
        ("base_link", "camera_depth_optical_frame"),
        ("camera_depth_optical_frame", "camera_color_optical_frame"),
    }
    fixed = matrix(links["camera_depth_optical_frame"].transform) @ matrix(
        links["camera_color_optical_frame"].transform
    )
    for (stamp, message), frame in zip(topics["/tf"], truth, strict=True):
        link = message.transforms[0]
        assert (link.header.frame_id, link.child_frame_id) == ("odom", "base_link")
        assert link.header.stamp.sec * 10**9 + link.header.stamp.nanosec == stamp == frame.stamp_ns
        pose = matrix(links["odom"].transform) @ matrix(link.transform) @ fixed
        assert np.abs(pose - frame.camera.world_from_camera).max() < 1e-9


def test_odometry_says_what_tf_says(bag: Path) -> None:
    topics = read(bag)
    for (_, transforms), (_, odometry) in zip(topics["/tf"], topics["/odom"], strict=True):
        link, pose = transforms.transforms[0].transform, odometry.pose.pose
        assert (pose.position.x, pose.position.y) == (link.translation.x, link.translation.y)
        assert (pose.orientation.x, pose.orientation.w) == (link.rotation.x, link.rotation.w)
        assert odometry.pose.covariance.reshape(6, 6).diagonal().min() > 0


def test_images_are_those_that_were_rendered(bag: Path, truth: list) -> None:
    topics = read(bag)
    color, depth = (
        topics["/camera/color/image_raw/compressed"],
        topics["/camera/aligned_depth_to_color/image_raw"],
    )
    for (_, jpeg), (_, image), frame in zip(color, depth, truth, strict=True):
        assert jpeg.header.frame_id == image.header.frame_id == "camera_color_optical_frame"
        assert (image.encoding, image.step, image.is_bigendian) == ("16UC1", 320, 0)
        picture = cv2.imdecode(jpeg.data, cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(picture.astype(int) - frame.image).mean() < 3
        metres = image.data.view("<u2").reshape(120, 160) / 1000
        assert np.abs(metres - frame.depth).max() < 0.0005


def test_camera_infos_hold_the_intrinsics(bag: Path, truth: list) -> None:
    topics = read(bag)
    for topic in ("/camera/color/camera_info", "/camera/aligned_depth_to_color/camera_info"):
        for _, info in topics[topic]:
            assert np.array_equal(info.k.reshape(3, 3), truth[0].camera.intrinsics)
            assert (info.width, info.height, info.distortion_model) == (160, 120, "plumb_bob")
            assert np.array_equal(info.p.reshape(3, 4)[:, :3], truth[0].camera.intrinsics)


def test_the_layout_is_that_of_the_recorded_bag(bag: Path, redkitchen_bag: Path) -> None:
    def layout(path: Path) -> dict[str, tuple[str, str]]:
        info = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
        topics = [item["topic_metadata"] for item in info["topics_with_message_count"]]
        return {topic["name"]: (topic["type"], topic["type_description_hash"]) for topic in topics}

    assert layout(bag) == layout(redkitchen_bag)


def test_static_transforms_are_latched(bag: Path) -> None:
    with AnyReader([bag]) as reader:
        profiles = {c.topic: c.ext.offered_qos_profiles[0] for c in reader.connections}
    assert profiles["/tf_static"].durability.name == "TRANSIENT_LOCAL"
    assert all(profile.reliability.name == "RELIABLE" for profile in profiles.values())


@pytest.mark.parametrize(("storage", "raw"), [("mcap", False), ("sqlite3", True)])
def test_it_is_read_as_a_source(tmp_path: Path, truth: list, storage: str, raw: bool) -> None:
    path = tmp_path / "bag"
    assert write_bag(path, truth, storage=storage, raw=raw) == len(truth)
    with open_source(path, SourceConfig()) as source:
        frames = list(source.frames())
    assert source.metric
    assert [frame.stamp_ns for frame in frames] == [frame.stamp_ns for frame in truth]
    for frame, true in zip(frames, truth, strict=True):
        assert frame.posed
        assert np.abs(frame.camera.world_from_camera - true.camera.world_from_camera).max() < 1e-6
        assert np.abs(frame.camera.intrinsics - true.camera.intrinsics).max() < 1e-9
        assert np.nanmax(np.abs(frame.depth - true.depth)) < 0.0006
        assert np.abs(frame.image.astype(int) - true.image).mean() < (1e-9 if raw else 3)


def test_the_same_seed_gives_the_same_frames(bag: Path, truth: list, tmp_path: Path) -> None:
    with open_source(bag, SourceConfig()) as source:
        images = [frame.image for frame in source.frames()]
    write_bag(tmp_path / "again", truth)
    with open_source(tmp_path / "again", SourceConfig()) as source:
        for first, second in zip(images, source.frames(), strict=True):
            assert np.array_equal(first, second.image)


def test_another_seed_gives_another_room(truth: list) -> None:
    other = next(film("room", 2, 4, 5.0, 160, 120, SensorNoise(), Silent()))
    assert np.abs(truth[0].image.astype(int) - other.image).mean() > 10


def test_what_exists_is_kept_unless_asked(bag: Path, truth: list, tmp_path: Path) -> None:
    before = (bag / "metadata.yaml").read_bytes()
    with pytest.raises(SourceError, match="exists already"):
        simulate(bag, seed=1, **SIZE)
    assert (bag / "metadata.yaml").read_bytes() == before
    with pytest.raises(SourceError, match="not a bag folder"):
        write_bag(tmp_path, truth, overwrite=True)
    write_bag(tmp_path / "one", truth[:1])
    write_bag(tmp_path / "one", truth[:2], overwrite=True)
    assert len(read(tmp_path / "one")["/odom"]) == 2
    assert [item.name for item in tmp_path.iterdir()] == ["one"]


class StopAfter(Silent):
    def __init__(self, frames: int) -> None:
        self.left = frames

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        self.left -= stage == "frames"

    def cancelled(self) -> bool:
        return self.left <= 0


def test_stopping_keeps_the_frames_made_so_far(tmp_path: Path) -> None:
    simulate(tmp_path / "bag", **{**SIZE, "frames": 50}, progress=StopAfter(3))
    assert len(read(tmp_path / "bag")["/odom"]) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scene": "castle"}, "scene 'castle' is unknown"),
        ({"frames": 0}, "frames = 0"),
        ({"rate_hz": -1.0}, "rate_hz = -1.0"),
        ({"width": 2}, "width = 2"),
        ({"seed": -3}, "seed = -3"),
    ],
)
def test_bad_options_are_named(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        simulate(tmp_path / "bag", **options)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(truth: list, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be written"):
        write_bag(tmp_path / "file" / "bag", truth)
