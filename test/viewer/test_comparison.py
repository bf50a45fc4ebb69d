from pathlib import Path

import cv2
import numpy as np
import pytest

from reconx_ros.errors import MapError
from reconx_ros.viewer.comparison import LABEL_HEIGHT, ComparisonWriter, error_picture
from reconx_ros.viewer.png import to_uint8, write_png


def read(file: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)


def test_a_strip_shows_truth_maps_and_error_in_order(tmp_path: Path) -> None:
    red, green = (np.zeros((30, 40, 3), np.float32) for _ in range(2))
    red[..., 0] = green[..., 1] = 1
    writer = ComparisonWriter(tmp_path)
    file = writer.add("v", red, {"ours": green}, np.zeros((30, 40), np.float32), np.ones((30, 40), bool))
    strip = read(file)
    assert strip.shape == (30 + LABEL_HEIGHT, 3 * 40, 3)
    assert (strip[LABEL_HEIGHT:, :40] == [255, 0, 0]).all()
    assert (strip[LABEL_HEIGHT:, 40:80] == [0, 255, 0]).all()
    assert strip[LABEL_HEIGHT:, 80:].max() < 10


def test_the_sheet_holds_a_row_for_each_view_of_any_size(tmp_path: Path) -> None:
    writer = ComparisonWriter(tmp_path)
    assert writer.finish() is None
    for name, (height, width) in {"a": (48, 60), "b": (480, 300)}.items():
        truth = np.full((height, width, 3), 0.5, np.float32)
        writer.add(name, truth, {"ours": truth}, truth[..., 0], truth[..., 0] > 0)
    sheet = writer.finish()
    assert sheet is not None
    assert read(sheet).shape == (LABEL_HEIGHT + 192 + 384, 3 * 240, 3)


def test_a_greater_error_is_brighter_and_uncovered_pixels_are_dim() -> None:
    error = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (2, 1))
    covered = np.array([[True], [False]]).repeat(64, axis=1)
    brightness = error_picture(error, covered).astype(int).sum(axis=-1)
    assert (np.diff(brightness[0])[::4] >= 0).all()
    assert (brightness[1] <= brightness[0] // 2 + 3).all()


def test_pictures_round_to_the_nearest_level_and_survive_the_file(tmp_path: Path) -> None:
    image = np.random.default_rng(0).uniform(-0.2, 1.2, (9, 7, 3)).astype(np.float32)
    image[0, 0] = np.nan
    levels = to_uint8(image)
    assert (levels[0, 0] == 0).all()
    assert np.abs(levels[1:] / 255 - np.clip(image[1:], 0, 1)).max() <= 0.5 / 255 + 1e-6
    assert (read(write_png(tmp_path / "p.png", image)) == levels).all()


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"nowhere/p\.png cannot be written"):
        write_png(tmp_path / "nowhere" / "p.png", np.zeros((2, 2, 3), np.uint8))
