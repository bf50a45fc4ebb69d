"""transforms.json: conventions, real files, round trips, and anything a file may hold."""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconx_ros.camera import Camera
from reconx_ros.errors import SourceError
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.nerfstudio import load_cameras, write_cameras
from reconx_ros.sources.open import open_source
from reconx_ros.sources.rigid import matrix_from_pose

FRAME = {"file_path": "images/a.png", "transform_matrix": np.eye(4).tolist()}
PLAIN: dict[str, Any] = {
    "fl_x": 50.0,
    "fl_y": 51.0,
    "cx": 32.0,
    "cy": 24.0,
    "w": 64,
    "h": 48,
    "frames": [FRAME],
}


def write(folder: Path, content: object) -> Path:
    path = folder / "transforms.json"
    path.write_text(json.dumps(content))
    return path


def picture(folder: Path, name: str, image: np.ndarray) -> None:
    (folder / "images").mkdir(exist_ok=True)
    assert cv2.imwrite(str(folder / "images" / name), image[..., ::-1] if image.ndim == 3 else image)


def gradient() -> np.ndarray:
    rows, columns = np.mgrid[:48, :64]
    return np.stack([columns * 4, rows * 5, 255 - rows - columns], axis=-1).astype(np.uint8)


def test_axes_and_pixel_centres(tmp_path: Path) -> None:
    """OpenGL looks along -z with y up; its principal point counts from the corner of the first pixel."""
    pose = np.eye(4)
    pose[:3, 3] = 1, 2, 3
    path = write(tmp_path, {**PLAIN, "frames": [{**FRAME, "transform_matrix": pose.tolist()}]})
    ((name, camera),) = load_cameras(path)
    assert name == "a" and (camera.width, camera.height) == (64, 48)
    np.testing.assert_array_equal(camera.world_from_camera[:3, 2], [0, 0, -1])
    np.testing.assert_array_equal(camera.world_from_camera[:3, 1], [0, -1, 0])
    np.testing.assert_array_equal(camera.centre, [1, 2, 3])
    np.testing.assert_array_equal(camera.intrinsics, [[50, 0, 31.5], [0, 51, 23.5], [0, 0, 1]])


poses = st.tuples(
    st.lists(st.floats(-100, 100), min_size=3, max_size=3).map(np.array),
    st.lists(st.floats(-1, 1), min_size=4, max_size=4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1),
).map(lambda p: matrix_from_pose(p[0], p[1] / np.linalg.norm(p[1])))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(poses, st.floats(1, 5000), st.integers(1, 9000)), min_size=1, max_size=4))
def test_cameras_survive_writing(tmp_path: Path, cases: list[tuple[np.ndarray, float, int]]) -> None:
    cameras = [
        (
            f"view.{i:03d}",
            Camera(np.array([[f, 0, f / 3], [0, f * 1.1, f / 4], [0, 0, 1]]), pose, size, size + 1),
        )
        for i, (pose, f, size) in enumerate(cases)
    ]
    write_cameras(tmp_path / "transforms.json", cameras)
    for (name, camera), (name_2, camera_2) in zip(
        cameras, load_cameras(tmp_path / "transforms.json"), strict=True
    ):
        assert name == name_2 and (camera.width, camera.height) == (camera_2.width, camera_2.height)
        np.testing.assert_allclose(camera_2.intrinsics, camera.intrinsics, atol=1e-9)
        np.testing.assert_allclose(camera_2.world_from_camera, camera.world_from_camera, atol=1e-9)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [({"near": 2, "far": 9.5}, (2.0, 9.5)), ({"near": 3}, None), ({"near": 5, "far": 4}, None)],
)
def test_near_and_far_are_carried_on(
    tmp_path: Path, stated: dict[str, float], expected: tuple[float, float] | None
) -> None:
    picture(tmp_path, "a.png", np.zeros((48, 64, 3), np.uint8))
    write(tmp_path, {**PLAIN, "frames": [{**FRAME, **stated}]})
    with open_source(tmp_path, SourceConfig()) as source:
        (frame,) = source.frames()
    assert frame.depth_range == expected


def test_focal_length_from_the_angle_of_view(tmp_path: Path) -> None:
    """Blender's scenes: no ending, no size, one angle."""
    picture(tmp_path, "a.png", gradient())
    frame = {"file_path": "./images/a", "transform_matrix": np.eye(4).tolist()}
    camera = load_cameras(write(tmp_path, {"camera_angle_x": 2 * np.arctan(0.8), "frames": [frame]}))[0][1]
    np.testing.assert_allclose(camera.intrinsics, [[40, 0, 31.5], [0, 40, 23.5], [0, 0, 1]])
    assert (camera.width, camera.height) == (64, 48)


@pytest.mark.parametrize("fisheye", [False, True])
def test_distortion_is_undone(tmp_path: Path, fisheye: bool) -> None:
    picture(tmp_path, "a.png", gradient())
    k1, k2, k3, k4, p1, p2 = (
        (0.05, 0.02, 0.01, 0.003, 0.0, 0.0) if fisheye else (-0.2, 0.05, 0.01, 0.0, 0.002, -0.003)
    )
    lens = {"k1": k1, "k2": k2, "k3": k3, "k4": k4, "p1": p1, "p2": p2}
    model = "OPENCV_FISHEYE" if fisheye else "OPENCV"
    write(tmp_path, {**PLAIN, **lens, "camera_model": model})
    with open_source(tmp_path, SourceConfig()) as source:
        (frame,) = source.frames()
    matrix = frame.camera.intrinsics
    if fisheye:
        expected = cv2.fisheye.undistortImage(gradient(), matrix, np.array([k1, k2, k3, k4]), Knew=matrix)
    else:
        expected = cv2.undistort(gradient(), matrix, np.array([k1, k2, p1, p2, k3]))
    inner = slice(6, -6)
    assert np.abs(frame.image.astype(int) - expected)[inner, inner].max() <= 2
    assert np.abs(frame.image.astype(int) - gradient())[inner, inner].max() > 4


@pytest.mark.parametrize("ending", ["png", "npy"])
def test_depth_files(tmp_path: Path, ending: str) -> None:
    picture(tmp_path, "a.png", gradient())
    stored = (np.arange(24 * 32).reshape(24, 32) * 3).astype(np.uint16)
    if ending == "png":
        picture(tmp_path, "d.png", stored)
    else:
        np.save(tmp_path / "images" / "d.npy", stored)
    frame = {**FRAME, "depth_file_path": f"images/d.{ending}"}
    write(tmp_path, {**PLAIN, "depth_unit_scale_factor": 0.01, "frames": [frame]})
    with open_source(tmp_path, SourceConfig()) as source:
        (keyframe,) = source.frames()
        assert source.metric
    expected = np.where(stored, stored * 0.01, np.nan).repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_allclose(keyframe.depth, expected, rtol=1e-5)


def test_names_are_unique(tmp_path: Path) -> None:
    def names(*paths: str) -> list[str]:
        frames = [{**FRAME, "file_path": path} for path in paths]
        return [name for name, _ in load_cameras(write(tmp_path, {**PLAIN, "frames": frames}))]

    assert names("images/b.png", "images/a.jpg") == ["b", "a"]
    assert names("left/a.png", "right/a.png") == ["left_a", "right_a"]
    assert names("../x/a.png", "/y/a.png") == ["x_a", "y_a"]
    assert len(set(names("a.png", "a.png", "a.png"))) == 3
    assert names("frame.000.png", "frame.001.png") == ["frame.000", "frame.001"]


def test_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    picture(tmp_path, "a.png", gradient())
    (tmp_path / "images").rename(folder / "images")
    write(folder, {key: value for key, value in PLAIN.items() if key not in ("w", "h")})
    with open_source(folder, SourceConfig()) as source:
        (frame,) = source.frames()
    assert np.array_equal(frame.image, gradient())


def test_missing_frames_are_told_once(tmp_path: Path) -> None:
    picture(tmp_path, "a.png", gradient())
    absent = [{**FRAME, "file_path": f"images/no{i}.png"} for i in range(5)]
    write(tmp_path, {**PLAIN, "frames": [absent[0], FRAME, *absent[1:]]})
    with open_source(tmp_path, SourceConfig()) as source:
        assert [frame.name for frame in source.frames()] == ["a"]
    assert len(source.report.warnings) == 1 and source.report.dropped == {"missing image": 5}
    assert "5 of 6 frames have no image file (no0.png, no1.png, no2.png, ...)" in source.report.warnings[0]


def test_no_image_at_all_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, PLAIN)
    with (
        open_source(tmp_path, SourceConfig()) as source,
        pytest.raises(SourceError, match="no image can be read"),
    ):
        list(source.frames())


def test_an_image_of_another_size(tmp_path: Path) -> None:
    picture(tmp_path, "a.png", gradient()[:40])
    write(tmp_path, PLAIN)
    with (
        open_source(tmp_path, SourceConfig()) as source,
        pytest.raises(SourceError, match=r"64 x 40.*64 x 48"),
    ):
        list(source.frames())


def test_a_damaged_image_is_left_out(tmp_path: Path) -> None:
    picture(tmp_path, "a.png", gradient())
    (tmp_path / "images" / "b.png").write_bytes(b"no png")
    write(tmp_path, {**PLAIN, "frames": [FRAME, {**FRAME, "file_path": "images/b.png"}]})
    with open_source(tmp_path, SourceConfig()) as source:
        assert len(list(source.frames())) == 1
    assert source.report.dropped == {"damaged image": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fl_x": 0}, "fl_x = 0 must be > 0"),
        ({"fl_x": "wide"}, "fl_x must be a number, not 'wide'"),
        ({"fl_y": None}, "fl_y must be a number, not None"),
        ({"k4": 0.01}, "k4 = 0.01 of a perspective camera"),
        ({"w": 64.5}, "w must be a whole number of pixels"),
        ({"w": True}, "w must be a number, not True"),
        ({"camera_model": "EQUIRECTANGULAR"}, "camera_model 'EQUIRECTANGULAR' is unknown; known: PINHOLE"),
        ({"k1": float("nan")}, "k1 must be a number, not nan"),
        ({"frames": []}, "frames must be a list of at least one frame"),
        ({"frames": [3]}, "frames[0] must be an object, not 3"),
        ({"frames": [{**FRAME, "file_path": 7}]}, "file_path must be a path, not 7"),
        ({"frames": [{"file_path": "a.png"}]}, "transform_matrix must be 4 x 4 finite numbers, not None"),
        ({"frames": [{**FRAME, "transform_matrix": (2 * np.eye(4)).tolist()}]}, "no rotation"),
        ({"frames": [{**FRAME, "transform_matrix": np.diag([1, 1, -1, 1]).tolist()}]}, "mirrored"),
        ({"depth_unit_scale_factor": 0}, "depth_unit_scale_factor"),
    ],
)
def test_bad_fields_are_named(tmp_path: Path, change: dict[str, object], words: str) -> None:
    with pytest.raises(SourceError) as caught:
        load_cameras(write(tmp_path, {**PLAIN, **change}))
    assert (
        words in str(caught.value)
        and "transforms.json" in str(caught.value)
        and "\n" not in str(caught.value)
    )


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    [*PLAIN, "camera_angle_x", "camera_model", "k1", "p2", "depth_unit_scale_factor", "is_fisheye"]
)
frame_keys = st.sampled_from([*FRAME, "fl_x", "w", "depth_file_path", "camera_model"])


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(keys, anything, max_size=3),
    st.dictionaries(frame_keys, anything, max_size=2),
    st.sets(keys, max_size=3),
)
def test_whatever_the_file_holds(tmp_path: Path, top: dict, inner: dict, gone: set[str]) -> None:
    content = {**copy.deepcopy(PLAIN), **top}
    content = {key: value for key, value in content.items() if key not in gone}
    if isinstance(content.get("frames"), list) and content["frames"] == [FRAME]:
        content["frames"] = [{**FRAME, **inner}, FRAME]
    path = write(tmp_path, content)
    try:
        cameras = load_cameras(path)
        assert len({name for name, _ in cameras}) == len(cameras)
        for name, camera in cameras:
            assert name and "/" not in name and np.isfinite(camera.world_from_camera).all()
        with open_source(path, SourceConfig()) as source:
            list(source.frames())
    except SourceError as err:
        assert "\n" not in str(err)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "\ud800", "[" * 100_000, '{"frames": 1e999}'])
def test_what_is_no_json_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "transforms.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(SourceError) as caught:
        load_cameras(tmp_path / "transforms.json")
    assert "transforms.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "count", "size", "missing"),
    [("fox", 50, (1080, 1920), 17), ("fern", 20, (1008, 756), 0), ("kitti_seq1", 51, (1226, 370), 0)],
)
def test_real_folders(
    real_data: Callable[[str], Path], name: str, count: int, size: tuple[int, int], missing: int
) -> None:
    with open_source(real_data(name), SourceConfig()) as source:
        frames = 0
        for frame in source.frames():
            assert frame.image.shape == (size[1], size[0], 3) and frame.posed and frame.image.std() > 20
            frames += 1
        assert frames == count and source.report.dropped.get("missing image", 0) == missing
        assert len(source.report.warnings) == bool(missing)
