"""Photos without cameras: order, orientation, focal length, damage."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reconx_ros.errors import ConfigError, SourceError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.unposed import select_unposed
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.exif import focal_in_pixels
from reconx_ros.sources.image_folder import read_matrix
from reconx_ros.sources.open import open_source


def photo(
    file: Path, size: tuple[int, int] = (60, 40), exif: dict[int, object] | None = None, turn: int = 1
) -> None:
    """A JPEG that is red on the left of its stored pixels."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, : size[0] // 2, 0] = 250
    data = Image.Exif()
    data[274] = turn
    for key, value in (exif or {}).items():
        data.get_ifd(0x8769)[key] = value
    Image.fromarray(pixels).save(file, exif=data, quality=95)


def frames(folder: Path) -> list[Keyframe]:
    with open_source(folder, SourceConfig()) as source:
        assert not source.posed and not source.metric
        return list(source.frames())


def test_photos_come_in_the_order_a_person_counts_without_poses(tmp_path: Path) -> None:
    for name in ("10.jpg", "9.jpg", "1.JPG"):
        photo(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a photo")
    found = frames(tmp_path)
    assert [frame.name for frame in found] == ["1", "9", "10"]
    assert not any(frame.posed for frame in found)
    assert found[0].intrinsics == "guessed"
    np.testing.assert_allclose(found[0].camera.intrinsics, [[72, 0, 29.5], [0, 72, 19.5], [0, 0, 1]])


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    """Orientation 6: the camera was turned; shown upright, the stored left side is on top."""
    photo(tmp_path / "a.jpg", turn=6)
    (frame,) = frames(tmp_path)
    assert (frame.camera.width, frame.camera.height) == (40, 60)
    assert frame.image[:20, :, 0].min() > 200 and frame.image[40:, :, 0].max() < 50


def test_focal_length_from_exif(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", (360, 240), {0xA405: 35})
    (frame,) = frames(tmp_path)
    assert frame.intrinsics == "prior"
    assert frame.camera.intrinsics[0, 0] == pytest.approx(350, rel=1e-3)  # 36 mm are 360 pixels
    photo(tmp_path / "b.jpg", (360, 240), {0x920A: 5.0, 0xA20E: 100.0, 0xA210: 4})  # 100 pixels/mm
    assert focal_in_pixels(tmp_path / "b.jpg", 360, 240) == pytest.approx(500)
    sensor = {0x920A: 5.0, 0xA20E: 100.0, 0xA210: 4}
    photo(
        tmp_path / "d.jpg", (240, 360), {**sensor, 0xA002: 480, 0xA003: 720}
    )  # turned upright, half the size
    assert focal_in_pixels(tmp_path / "d.jpg", 240, 360) == pytest.approx(250)
    photo(tmp_path / "c.jpg", (360, 240), {0xA405: 65535})
    assert focal_in_pixels(tmp_path / "c.jpg", 360, 240) is None


def test_a_calibration_file_goes_before_exif(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", (360, 240), {0xA405: 35})
    photo(tmp_path / "b.jpg", (100, 60), {0xA405: 35})
    (tmp_path / "K.txt").write_text("340 0 181\n0 341 119\n0 0 1\n")
    first, second = frames(tmp_path)
    assert (first.intrinsics, second.intrinsics) == ("calibrated", "prior")
    np.testing.assert_allclose(first.camera.intrinsics, [[340, 0, 180.5], [0, 341, 118.5], [0, 0, 1]])
    for text in ("1 2 3", "340 0 181 0 341 119 0 0 x", "340 0 0 0 341 0 181 119 1", "-1 0 9 0 1 9 0 0 1"):
        (tmp_path / "K.txt").write_text(text)
        with pytest.raises(SourceError, match=r"K.txt"):
            read_matrix(tmp_path / "K.txt")


def test_damaged_photos_are_left_out_and_told(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"not a jpeg")
    with open_source(tmp_path, SourceConfig()) as source:
        assert [frame.name for frame in source.frames()] == ["a"]
    assert source.report.dropped == {"damaged image": 1}
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match="none of 2 photos can be read"):
        frames(tmp_path)


def test_a_photo_that_was_copied_in_part_is_left_out(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.png"):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 60, 3), np.uint8)).save(
            tmp_path / name
        )
    for name in ("b.jpg", "c.png"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: 2 * len(content) // 3])
    with open_source(tmp_path, SourceConfig()) as source:
        assert [frame.name for frame in source.frames()] == ["a"]
    assert source.report.dropped == {"damaged image": 2}


def test_pictures_of_phones_that_are_not_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.HEIC").touch()
    with pytest.raises(SourceError, match=r"pictures as \.heic are not read: convert them to JPEG or PNG"):
        frames(tmp_path)


def test_names_need_not_be_utf8(tmp_path: Path) -> None:
    for name in (b"caf\xe9 1.jpg", "\u0444\u043e\u0442\u043e 2.jpg".encode()):
        photo(tmp_path / os.fsdecode(name))
    found = frames(tmp_path)
    assert sorted(frame.name for frame in found) == ["000000", "\u0444\u043e\u0442\u043e 2"]
    assert all(frame.image.shape == (40, 60, 3) for frame in found)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_damaged_exif_says_nothing(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = tmp_path_factory.mktemp("exif") / "a.jpg"
    photo(file, exif={0xA405: 35, 0x920A: 5.0})
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(2, 120))] = data.draw(st.integers(0, 255))
    file.write_bytes(bytes(content[: data.draw(st.integers(10, len(content)))]))
    focal = focal_in_pixels(file, 60, 40)
    assert focal is None or 0.3 * 60 <= focal <= 20 * 60


def test_which_photos_become_keyframes(tmp_path: Path) -> None:
    for number in range(10):
        photo(tmp_path / f"{number}.jpg")

    def names(**wanted: object) -> list[str]:
        return [k.name for k in select_unposed(iter(frames(tmp_path)), 30, 64, **wanted)]

    assert names() == [str(i) for i in range(10)]
    assert names(views=[7, 2]) == ["2", "7"]
    assert names(count=4) == ["0", "3", "6", "9"]
    assert [k.name for k in select_unposed(frames(tmp_path), 30, 4)] == ["0", "3", "6", "9"]
    assert select_unposed(frames(tmp_path), 30, 64)[0].camera.width == 30
    assert [k.name for k in select_unposed(iter(frames(tmp_path)), 30, 2)] == ["0", "9"]  # 8 held at most
    for wrong in ({"views": [10]}, {"count": 11}):
        with pytest.raises(ConfigError, match="10 photos"):
            names(**wrong)


def test_real_photos_state_their_focal_length(real_data: Callable[[str], Path]) -> None:
    folder = real_data("sceaux_castle")
    matrix = read_matrix(folder / "K.txt")
    stated = focal_in_pixels(folder / "100_7100.JPG", 2832, 2128)
    assert stated == pytest.approx(matrix[0, 0], rel=0.02)
    with open_source(folder, SourceConfig()) as source:
        frame = next(iter(source.frames()))
    assert frame.intrinsics == "calibrated"
    assert frame.camera.intrinsics[0, 0] == matrix[0, 0]
