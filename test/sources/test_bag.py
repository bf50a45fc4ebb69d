"""Bags of every format and encoding give the same frames; bad ones give one clear line."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from reconx_ros.errors import SourceError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.sources.protocol import SourceReport

if TYPE_CHECKING:
    from conftest import Bags

KINDS = ("mcap", "db3", "bag")
COLOUR_TOPIC = "/camera/color/image_raw"
DEPTH_TOPIC = "/camera/aligned_depth_to_color/image_raw"


def read(path: Path, **config: object) -> tuple[list[Keyframe], SourceReport]:
    with open_source(path, SourceConfig(**config)) as source:
        return list(source.frames()), source.report


def error_of(path: Path, **config: object) -> str:
    with pytest.raises(SourceError) as caught:
        read(path, **config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def check_frames(frames: list[Keyframe], recording: SimpleNamespace, count: int = 4) -> None:
    """Compare images, depth, stamps and poses with what was written."""
    assert [frame.name for frame in frames] == [f"{i:06d}" for i in range(count)]
    for index, frame in enumerate(frames):
        image, depth = recording.scene(index)
        np.testing.assert_array_equal(frame.image, image)
        expected = np.where(depth, depth * 1e-3, np.nan)
        np.testing.assert_allclose(frame.depth, expected, atol=2e-4)
        assert frame.stamp_ns == recording.start_ns + index * recording.step_ns
        assert frame.posed
        np.testing.assert_allclose(frame.camera.centre, [0.1 * index, 0.5, 1.0], atol=1e-9)
        # quaternion (0.5, -0.5, 0.5, -0.5): the camera looks along the robot's x axis
        np.testing.assert_allclose(frame.camera.world_from_camera[:3, 2], [1, 0, 0], atol=1e-9)
        np.testing.assert_array_equal(frame.camera.intrinsics.reshape(-1), recording.intrinsics)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colour", ["rgb8", "bgr8", "bgra8", "png"])
def test_every_format_gives_the_same_frames(
    bags: "Bags", recording: SimpleNamespace, kind: str, colour: str
) -> None:
    make = bags.messages(kind)

    def image(stamp: int, index: int) -> tuple[str, object]:
        rgb = recording.scene(index)[0]
        if colour == "png":
            data = cv2.imencode(".png", rgb[..., ::-1])[1].reshape(-1)
            return COLOUR_TOPIC + "/compressed", make.compressed(
                stamp, "camera", "rgb8; png compressed bgr8", data
            )
        pixels = {"rgb8": rgb, "bgr8": rgb[..., ::-1], "bgra8": np.dstack([rgb[..., ::-1], rgb[..., :1]])}[
            colour
        ]
        return COLOUR_TOPIC, make.image(stamp, "camera", colour, pixels)

    path = bags.write(kind, recording.entries(make, image=image))
    frames, report = read(path)
    check_frames(frames, recording)
    assert report.frames == 4 and not report.partial and not report.dropped and not report.warnings


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["32FC1", "png16", "png32"])
def test_every_depth_encoding_gives_the_same_depth(
    bags: "Bags", recording: SimpleNamespace, kind: str, form: str
) -> None:
    make = bags.messages(kind)

    def depth(stamp: int, index: int) -> tuple[str, object]:
        millimetres = recording.scene(index)[1]
        metres = np.where(millimetres, millimetres * np.float32(1e-3), np.nan).astype(np.float32)
        if form == "32FC1":
            return DEPTH_TOPIC, make.image(stamp, "camera", "32FC1", metres)
        header = np.zeros(12, np.uint8)
        if form == "png16":
            picture, format_ = millimetres, "16UC1; compressedDepth png"
        else:  # as compressed_depth_image_transport: value = a / depth + b
            a, b = np.float32(40000.0), np.float32(5.0)
            header[4:8], header[8:12] = a.reshape(1).view(np.uint8), b.reshape(1).view(np.uint8)
            picture = np.nan_to_num(a / metres + b + 0.5, nan=0).astype(np.uint16)
            format_ = "32FC1; compressedDepth png"
        data = np.concatenate([header, cv2.imencode(".png", picture)[1].reshape(-1)])
        return DEPTH_TOPIC + "/compressedDepth", make.compressed(stamp, "camera", format_, data)

    frames, _ = read(bags.write(kind, recording.entries(make, depth=depth)))
    check_frames(frames, recording)


def test_chunks_compressed_with_zstd(bags: "Bags", recording: SimpleNamespace) -> None:
    path = bags.write("mcap", recording.entries(bags.messages("mcap")), zstd=True)
    check_frames(read(path)[0], recording)


@pytest.mark.parametrize("kind", ["mcap", "db3"])
def test_a_file_or_a_folder_without_metadata(bags: "Bags", recording: SimpleNamespace, kind: str) -> None:
    path = bags.write(kind, recording.entries(bags.messages(kind)))
    check_frames(read(path / "metadata.yaml")[0], recording)
    (path / "metadata.yaml").unlink()
    check_frames(read(path)[0], recording)
    check_frames(read(next(path.glob(f"*.{kind}")))[0], recording)


def test_a_split_recording_is_read_in_natural_order(bags: "Bags", recording: SimpleNamespace) -> None:
    entries = recording.entries(bags.messages("mcap"), frames=12)
    folder = bags.folder / "split"
    folder.mkdir()
    for part in range(12):
        begin = recording.start_ns + (part - 0.5) * recording.step_ns if part else 0
        end = recording.start_ns + (part + 0.5) * recording.step_ns if part < 11 else float("inf")
        piece = bags.write("mcap", [e for e in entries if begin <= e[2] < end], name=f"split_{part}")
        (piece / f"split_{part}.mcap").rename(folder / f"split_{part}.mcap")
    frames, report = read(folder)
    check_frames(frames, recording, count=12)
    assert not report.partial


@pytest.mark.parametrize(
    ("skip_static_map", "skip", "height"),
    [(False, (), 1.0), (True, (), 0.0), (True, ("/tf",), 0.0), (False, ("/odom",), 1.0)],
)
def test_poses_fall_back_from_map_to_odom_to_the_odometry_topic(
    bags: "Bags", recording: SimpleNamespace, skip_static_map: bool, skip: tuple[str, ...], height: float
) -> None:
    make = bags.messages("mcap")
    entries = recording.entries(make, skip=skip)
    if skip_static_map:
        only_camera = make.tf((0, "base_link", "camera", (0, 0.5, 0), (0.5, -0.5, 0.5, -0.5)))
        entries = [
            ("/tf_static", only_camera, log) if topic == "/tf_static" else (topic, m, log)
            for topic, m, log in entries
        ]
    frames, report = read(bags.write("mcap", entries))
    assert all(frame.posed for frame in frames) and len(frames) == 4
    np.testing.assert_allclose(
        [f.camera.centre for f in frames], [[0.1 * i, 0.5, height] for i in range(4)], atol=1e-9
    )
    assert not report.warnings


def test_without_any_pose_frames_come_unposed_with_one_warning(
    bags: "Bags", recording: SimpleNamespace
) -> None:
    path = bags.write("mcap", recording.entries(bags.messages("mcap"), skip=("/tf", "/tf_static", "/odom")))
    frames, report = read(path)
    assert [frame.posed for frame in frames] == [False] * 4
    np.testing.assert_array_equal(frames[0].camera.world_from_camera, np.eye(4))
    assert report.warnings == ["frames without a pose: no transform map -> camera; frames seen: none"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("skip", "posed"),
    [
        ((), True),
        (("/tf",), True),  # odometry is left
        (("/odom",), True),
        (("/tf", "/odom"), False),  # base_link -> camera, as drivers publish it, places nothing
        (("/tf", "/tf_static", "/odom"), False),
        (("/tf_static",), False),  # nothing joins base_link and the camera
    ],
)
def test_a_recording_says_whether_anything_places_the_camera(
    bags: "Bags", recording: SimpleNamespace, kind: str, skip: tuple[str, ...], posed: bool
) -> None:
    path = bags.write(kind, recording.entries(bags.messages(kind), skip=skip))
    with open_source(path, SourceConfig()) as source:
        assert source.posed == posed
        assert [frame.posed for frame in source.frames()] == [posed] * 4


def test_transforms_that_cannot_be_are_left_out_with_a_warning_each(
    bags: "Bags", recording: SimpleNamespace
) -> None:
    make = bags.messages("mcap")
    entries, straight = recording.entries(make), (0, 0, 0, 1)
    for index in range(3):
        stamp = recording.start_ns + index * recording.step_ns
        loop = (stamp, "camera", "map", (1, 2, index), straight)
        far = (stamp, "odom", "base_link", (0, index, -1e12), straight)
        entries.append(("/tf", make.tf(loop, far), stamp))
        entries.append(("/tf", make.tf(far), stamp))
    frames, report = read(bags.write("mcap", sorted(entries, key=lambda entry: entry[2])))
    check_frames(frames, recording)
    assert report.warnings == [
        "transform camera -> map closes a loop: map -> odom -> base_link -> camera is there already",
        "transform odom -> base_link: translation [0, 0, -1e+12] goes beyond 1e+08 m",
    ]


def test_a_gap_in_the_poses_is_not_interpolated(bags: "Bags", recording: SimpleNamespace) -> None:
    path = bags.write("mcap", recording.entries(bags.messages("mcap")))
    frames, report = read(path, max_pose_gap=0.05)
    assert [frame.posed for frame in frames] == [False] * 4
    assert len(report.warnings) == 1 and "gap of 0.100 s (at most 0.05 s)" in report.warnings[0]


def test_names_do_not_change_with_start_and_duration(bags: "Bags", recording: SimpleNamespace) -> None:
    path = bags.write("mcap", recording.entries(bags.messages("mcap"), frames=8))
    everything, _ = read(path)
    # recording begins 0.25 s before the first image (static transforms come first)
    begin = (recording.start_ns - min(e[2] for e in recording.entries(bags.messages("mcap")))) / 1e9
    some, _ = read(path, start=begin + 0.15, duration=0.3)
    assert [frame.name for frame in some] == ["000002", "000003", "000004"]
    np.testing.assert_array_equal(some[0].image, everything[2].image)
    np.testing.assert_allclose(some[0].camera.world_from_camera, everything[2].camera.world_from_camera)


def test_depth_outside_the_slop_leaves_the_frame_out(bags: "Bags", recording: SimpleNamespace) -> None:
    make = bags.messages("mcap")

    def depth(stamp: int, index: int) -> tuple[str, object]:
        return DEPTH_TOPIC, make.image(
            stamp + (60_000_000 if index == 2 else 0), "camera", "16UC1", recording.scene(index)[1]
        )

    path = bags.write("mcap", recording.entries(make, depth=depth))
    frames, report = read(path, slop=0.03)
    assert [frame.name for frame in frames] == ["000000", "000001", "000003"]
    assert report.dropped["colour without depth"] == 1
    alone, _ = read(path, slop=0.03, require_depth=False)
    assert [frame.depth is None for frame in alone] == [False, False, True, False]


def test_nan_infinite_and_negative_depth_is_unknown(bags: "Bags", recording: SimpleNamespace) -> None:
    make = bags.messages("mcap")
    values = np.full((36, 48), 2.0, np.float32)
    values[0, :5] = np.nan, np.inf, -np.inf, -1.0, 0.0
    path = bags.write(
        "mcap",
        recording.entries(
            make, depth=lambda stamp, _: (DEPTH_TOPIC, make.image(stamp, "camera", "32FC1", values))
        ),
    )
    depth = read(path)[0][0].depth
    assert np.isnan(depth[0, :5]).all() and (depth.reshape(-1)[5:] == 2.0).all()


def test_unknown_encoding_is_named_with_the_known_ones(bags: "Bags", recording: SimpleNamespace) -> None:
    make = bags.messages("mcap")

    def image(stamp: int, index: int) -> tuple[str, object]:
        return (
            COLOUR_TOPIC,
            make.image(stamp, "camera", "nv99", recording.scene(index)[0]),
        )

    line = error_of(bags.write("mcap", recording.entries(make, image=image)))
    assert "'nv99'" in line and "rgb8" in line and "bayer_rggb8" in line


def test_image_of_another_size_than_its_camera_info(bags: "Bags", recording: SimpleNamespace) -> None:
    make = bags.messages("mcap")

    def image(stamp: int, index: int) -> tuple[str, object]:
        return (
            COLOUR_TOPIC,
            make.image(stamp, "camera", "rgb8", recording.scene(index)[0][:30]),
        )

    line = error_of(bags.write("mcap", recording.entries(make, image=image)))
    assert "48 x 30" in line and "48 x 36" in line and COLOUR_TOPIC in line


def test_zero_k_is_an_uncalibrated_camera(bags: "Bags", recording: SimpleNamespace) -> None:
    make = bags.messages("db3")
    entries = recording.entries(make, skip=("/camera/color/camera_info",))
    info = make.camera_info(recording.start_ns, "camera", 48, 36, [0.0] * 9)
    entries.insert(1, ("/camera/color/camera_info", info, recording.start_ns - 1))
    line = error_of(bags.write("db3", entries))
    assert "uncalibrated" in line and "K = [0, 0" in line


def test_missing_camera_info_lists_the_topics(bags: "Bags", recording: SimpleNamespace) -> None:
    skip = ("/camera/color/camera_info", "/camera/aligned_depth_to_color/camera_info")
    line = error_of(bags.write("bag", recording.entries(bags.messages("bag"), skip=skip)))
    assert "CameraInfo" in line and f"{COLOUR_TOPIC} (sensor_msgs/msg/Image)" in line


@pytest.mark.parametrize("kind", KINDS)
def test_no_topic_of_the_right_type_lists_what_there_is(
    bags: "Bags", recording: SimpleNamespace, kind: str
) -> None:
    make = bags.messages(kind)
    entries = recording.entries(make, skip=(COLOUR_TOPIC, DEPTH_TOPIC))
    line = error_of(bags.write(kind, entries))
    assert "no colour image" in line and "/odom (nav_msgs/msg/Odometry)" in line


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_bag_says_so(bags: "Bags", kind: str) -> None:
    assert "no message" in error_of(bags.write(kind, []))


def test_a_configured_topic_of_another_type(bags: "Bags", recording: SimpleNamespace) -> None:
    path = bags.write("mcap", recording.entries(bags.messages("mcap")))
    line = error_of(path, image_topic="/odom")
    assert "/odom" in line and "sensor_msgs/msg/Image" in line


def test_damaged_images_are_counted_and_the_others_used(bags: "Bags", recording: SimpleNamespace) -> None:
    make = bags.messages("mcap")

    def image(stamp: int, index: int) -> tuple[str, object]:
        pixels = recording.scene(index)[0]
        return COLOUR_TOPIC, make.image(
            stamp, "camera", "rgb8", pixels[:20] if index == 1 else pixels, height=36
        )

    frames, report = read(bags.write("mcap", recording.entries(make, image=image)))
    assert [frame.name for frame in frames] == ["000000", "000002", "000003"]
    assert report.dropped == {"damaged image": 1} and len(report.warnings) == 1


def test_distortion_is_undone(bags: "Bags", recording: SimpleNamespace) -> None:
    make = bags.messages("mcap")
    entries = recording.entries(make, skip=("/camera/color/camera_info",))
    info = make.camera_info(
        recording.start_ns, "camera", 48, 36, recording.intrinsics, d=[-0.2, 0.05, 0.001, 0, 0]
    )
    entries.insert(1, ("/camera/color/camera_info", info, recording.start_ns - 1))
    frame = read(bags.write("mcap", entries))[0][0]
    matrix = np.array(recording.intrinsics).reshape(3, 3)
    expected = cv2.undistort(recording.scene(0)[0], matrix, np.array([-0.2, 0.05, 0.001, 0, 0]))
    difference = np.abs(frame.image.astype(int) - expected)[4:-4, 4:-4]
    assert difference.max() <= 1
    assert np.abs(frame.image.astype(int) - recording.scene(0)[0]).max() > 5


def test_redkitchen(redkitchen_bag: Path) -> None:
    frames, report = read(redkitchen_bag)
    assert len(frames) == 80 and not report.partial and not report.dropped and not report.warnings
    frame = frames[40]
    assert frame.name == "000040" and frame.image.shape == (480, 640, 3) and frame.depth.shape == (480, 640)
    assert all(f.posed for f in frames)
    np.testing.assert_array_equal(frame.camera.intrinsics, [[525, 0, 320], [0, 525, 240], [0, 0, 1]])
    assert 0.5 < np.isfinite(frame.depth).mean() < 0.95 and 0.5 < np.nanmedian(frame.depth) < 4


def test_redkitchen_geometry_holds_between_frames(redkitchen_bag: Path) -> None:
    """Points of one frame, seen by the next: the median depth difference is that of the sensor."""
    frames, _ = read(redkitchen_bag, duration=2.0)
    first, second = frames[0], frames[4]
    points = first.camera.unproject(first.depth).reshape(-1, 3)
    pixels, depth = second.camera.project(points[np.isfinite(points[:, 2])].astype(np.float64))
    column, row = np.rint(pixels).astype(int).T
    inside = (column >= 0) & (column < 640) & (row >= 0) & (row < 480) & (depth > 0)
    difference = np.abs(second.depth[row[inside], column[inside]] - depth[inside])
    assert np.nanmedian(difference) < 0.01 and inside.mean() > 0.5


def test_raw_depth_gives_the_same_map(redkitchen_bag: Path, redkitchen_raw_bag: Path) -> None:
    shares = []
    for ready, raw in zip(
        read(redkitchen_bag, duration=4.0)[0][::4],
        read(redkitchen_raw_bag, duration=4.0)[0][::4],
        strict=True,
    ):
        np.testing.assert_allclose(ready.camera.world_from_camera, raw.camera.world_from_camera, atol=1e-6)
        known, made = np.isfinite(ready.depth), np.isfinite(raw.depth)
        difference = np.abs(ready.depth - raw.depth)[known & made]
        assert np.median(difference) < 0.0015
        shares.append(
            (
                (difference < 0.01).mean(),
                (known & made).sum() / known.sum(),
                (known & made).sum() / made.sum(),
            )
        )
    within, covered, invented = np.array(shares).T
    assert within.min() > 0.94 and covered.min() > 0.999 and invented.min() > 0.98


def test_edge_case_bag_fails_with_one_line(real_data: Callable[[str], Path]) -> None:
    line = error_of(real_data("edge_cases") / "soccer_goal_12.mcap")
    assert "no sensor_msgs/msg/CameraInfo for /camera/image_raw" in line


@pytest.mark.parametrize("joined", [True, False])
def test_depth_of_another_camera(bags: "Bags", recording: SimpleNamespace, joined: bool) -> None:
    """A wall 2 m ahead, measured by a depth camera 0.2 m behind the colour camera, of half its size."""
    make = bags.messages("mcap")
    topic = "/camera/depth/image_rect_raw"
    wall = np.full((18, 24), 2200, np.uint16)
    path = [
        (topic, make.image(recording.start_ns + i * recording.step_ns, "depth", "16UC1", wall), 0)
        for i in range(4)
    ]
    entries = recording.entries(make, skip=(DEPTH_TOPIC, "/camera/aligned_depth_to_color/camera_info"))
    half = (20.0, 0.0, 11.5, 0.0, 20.5, 8.5, 0.0, 0.0, 1.0)
    info = make.camera_info(recording.start_ns, "depth", 24, 18, half)
    entries.append(("/camera/depth/camera_info", info, recording.start_ns))
    entries += [(name, message, message_stamp(message)) for name, message, _ in path]
    if joined:
        static = make.tf((0, "camera", "depth", (0, 0, -0.2), (0, 0, 0, 1)))
        entries.append(("/tf_static", static, recording.start_ns + 1))
    written = bags.write("mcap", sorted(entries, key=lambda entry: entry[2]))
    if not joined:
        assert "no transform camera -> depth; frames seen: base_link" in error_of(written)
        return
    frames, _ = read(written)
    assert len(frames) == 4
    np.testing.assert_allclose(frames[0].depth[2:-2, 2:-2], 2.0, atol=1e-5)


def message_stamp(message: object) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_a_bad_camera_info_later_on_loses_nothing(bags: "Bags", recording: SimpleNamespace) -> None:
    make = bags.messages("mcap")
    entries = recording.entries(make)
    stamp = recording.start_ns + int(2.5 * recording.step_ns)
    entries.append(
        ("/camera/color/camera_info", make.camera_info(stamp, "camera", 48, 36, [0.0] * 9), stamp)
    )
    frames, report = read(bags.write("mcap", sorted(entries, key=lambda entry: entry[2])))
    check_frames(frames, recording)
    assert report.dropped == {"bad camera_info": 1} and "uncalibrated" in report.warnings[0]


def test_reading_twice_gives_the_same(bags: "Bags", recording: SimpleNamespace) -> None:
    path = bags.write("db3", recording.entries(bags.messages("db3")))
    with open_source(path, SourceConfig()) as source:
        first, second = list(source.frames()), list(source.frames())
        assert source.report.frames == 4
    check_frames(first, recording)
    check_frames(second, recording)
