"""COLMAP folders: written by COLMAP itself, read back; and anything a damaged file may hold."""

from pathlib import Path

import cv2
import numpy as np
import pycolmap
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconx_ros.errors import SourceError
from reconx_ros.sources.colmap import read_colmap
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

PARAMS = {
    "SIMPLE_PINHOLE": [50.0, 32, 24],
    "PINHOLE": [50.0, 51, 32, 24],
    "SIMPLE_RADIAL": [50.0, 32, 24, -0.1],
    "RADIAL": [50.0, 32, 24, -0.1, 0.03],
    "OPENCV": [50.0, 51, 32, 24, -0.1, 0.03, 0.002, -0.001],
    "FULL_OPENCV": [50.0, 51, 32, 24, -0.1, 0.03, 0.002, -0.001, 0.01, 0.02, 0.0, 0.001],
    "OPENCV_FISHEYE": [50.0, 51, 32, 24, 0.05, 0.01, 0.002, 0.001],
    "RADIAL_FISHEYE": [50.0, 32, 24, 0.05, 0.01],
}


def scene(model: str = "PINHOLE", count: int = 3) -> pycolmap.Reconstruction:
    """A model with ``count`` posed images and a point."""
    made = pycolmap.Reconstruction()
    camera = pycolmap.Camera(model=model, width=64, height=48, params=PARAMS[model], camera_id=1)
    made.add_camera_with_trivial_rig(camera)
    random = np.random.default_rng(0)
    for i in range(count):
        quaternion = random.normal(size=4)
        pose = pycolmap.Rigid3d(
            pycolmap.Rotation3d(quaternion / np.linalg.norm(quaternion)), random.normal(size=3)
        )
        points = random.uniform(0, 48, (5, 2))
        made.add_image_with_trivial_frame(pycolmap.Image(f"{i:02d}.png", points, 1, i + 1), pose)
    return made


def write(folder: Path, made: pycolmap.Reconstruction, text: bool, place: str = "sparse/0") -> Path:
    model = folder / place
    model.mkdir(parents=True)
    made.write_text(model) if text else made.write_binary(model)
    (folder / "images").mkdir(exist_ok=True)
    rows, columns = np.mgrid[:48, :64]
    image = np.stack([columns * 4, rows * 5, 255 - rows - columns], axis=-1).astype(np.uint8)
    for i in range(made.num_images()):
        assert cv2.imwrite(str(folder / "images" / f"{i:02d}.png"), image)
    return model


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("model", list(PARAMS))
def test_what_colmap_writes_is_read_as_colmap_means_it(tmp_path: Path, model: str, text: bool) -> None:
    """A point before the camera: COLMAP's distorted pixel, undistorted by ours, is our pinhole's pixel."""
    made = scene(model)
    write(tmp_path, made, text)
    photos = read_colmap(tmp_path).photos
    assert [photo.name for photo in photos] == ["00", "01", "02"]
    point = np.array([0.1, -0.15, 1.0])
    for photo, image_id in zip(photos, (1, 2, 3), strict=True):
        image = made.image(image_id)
        camera_from_world = np.linalg.inv(photo.world_from_camera)
        np.testing.assert_allclose(camera_from_world[:3], image.cam_from_world().matrix(), atol=1e-9)
        pixel = np.asarray(image.camera.img_from_cam(point)) - 0.5
        undo = cv2.fisheye.undistortPoints if photo.model.lens == "fisheye" else cv2.undistortPoints
        distortion = np.array(photo.model.distortion or (0.0,) * 4)
        ray = undo(pixel.reshape(1, 1, 2), photo.model.intrinsics, distortion).reshape(2)
        np.testing.assert_allclose(ray, point[:2], atol=2e-5)


def test_images_are_found_undistorted_and_missing_ones_told(tmp_path: Path) -> None:
    write(tmp_path, scene("SIMPLE_RADIAL"), text=False)
    (tmp_path / "images" / "01.png").unlink()
    with open_source(tmp_path, SourceConfig()) as source:
        frames = list(source.frames())
        assert source.posed and not source.metric
    assert [frame.name for frame in frames] == ["00", "02"]
    assert source.report.dropped == {"missing image": 1}
    stored = cv2.imread(str(tmp_path / "images" / "00.png"))[..., ::-1]
    np.testing.assert_array_equal(frames[0].image[24, 32], stored[24, 32])
    assert np.abs(frames[0].image.astype(int) - stored).max() > 4


@pytest.mark.parametrize("place", [".", "sparse", "sparse/0", "colmap/sparse/0"])
def test_the_model_is_found_in_the_usual_places(tmp_path: Path, place: str) -> None:
    write(tmp_path, scene(), text=True, place=place) if place != "." else None
    if place == ".":
        scene().write_text(tmp_path)
    assert len(read_colmap(tmp_path).photos) == 3


def test_the_model_folder_itself_can_be_given(tmp_path: Path) -> None:
    model = write(tmp_path, scene(), text=False)
    with open_source(model, SourceConfig()) as source:
        assert len(list(source.frames())) == 3


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["cameras", "images"]),
    text=st.booleans(),
    data=st.data(),
)
def test_a_damaged_model_is_read_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, text: bool, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    model = write(folder, scene(), text)
    file = model / f"{name}.{'txt' if text else 'bin'}"
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        photos = read_colmap(folder).photos
    except SourceError as err:
        assert str(model) in str(err) and "\n" not in str(err)
        return
    for photo in photos:
        assert np.isfinite(photo.world_from_camera).all()
        assert photo.model.width > 0 and photo.model.intrinsics[0, 0] > 0


def test_errors_name_the_line_and_the_camera(tmp_path: Path) -> None:
    model = write(tmp_path, scene(), text=True)
    cameras = model / "cameras.txt"
    right = cameras.read_text()
    for wrong, message in (
        (right.replace("PINHOLE", "FISHBOWL"), r"cameras.txt, line 4.*is no camera; models: SIMPLE"),
        (right.replace(" 51", ""), r"PINHOLE has 4 parameters, not 3"),
        (right.replace("PINHOLE 64 48 50 51 32 24", "FOV 64 48 50 51 32 24 0.9"), r"cannot be undistorted"),
        (right.replace("1 PINHOLE", "7 PINHOLE"), r"names camera 1, which does not exist"),
        (right.replace("64 48 50", "64 48 -50"), r"focal lengths > 0"),
    ):
        assert wrong != right
        cameras.write_text(wrong)
        with pytest.raises(SourceError, match=message):
            read_colmap(tmp_path)
    (model / "images.txt").unlink()
    with pytest.raises(SourceError, match=r"both \.bin or both \.txt"):
        open_source(model, SourceConfig())
