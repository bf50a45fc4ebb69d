"""Calibration messages and their distortion."""

import cv2
import numpy as np
import pytest

from reconx_ros.sources.intrinsics import CalibrationError, CameraModel, Undistorter, camera_model

K = (300.0, 0.0, 159.5, 0.0, 310.0, 119.5, 0.0, 0.0, 1.0)
P = (250.0, 0.0, 150.0, 0.0, 0.0, 250.0, 110.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def made(**fields: object) -> CameraModel:
    plain = {"width": 320, "height": 240, "k": K, "d": (), "distortion_model": "plumb_bob", "p": P}
    return camera_model(**{**plain, **fields})


@pytest.mark.parametrize(
    ("name", "d"),
    [
        ("plumb_bob", (-0.25, 0.06, 0.002, -0.001, 0.0)),
        ("rational_polynomial", (0.3, -0.1, 0.001, 0.001, 0.02, 0.5, -0.15, 0.03)),
        ("equidistant", (0.05, -0.02, 0.003, 0.001)),
    ],
)
def test_points_land_where_a_pinhole_sees_them(name: str, d: tuple[float, ...]) -> None:
    """White dots drawn where the lens images known rays move to where the pinhole images them."""
    model = made(distortion_model=name, d=d)
    rays = np.array([[x, y, 1.0] for x in (-0.3, 0.0, 0.25) for y in (-0.2, 0.05, 0.2)])
    if model.lens == "fisheye":
        bent = cv2.fisheye.distortPoints(rays[None, :, :2].copy(), model.intrinsics, np.array(d))[0]
    else:
        bent = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), model.intrinsics, np.array(d))[0][:, 0]
    straight = rays @ model.intrinsics[:2].T
    assert np.abs(bent - straight).max() > 1.0
    rows, columns = np.mgrid[:240, :320]
    image = np.zeros((240, 320))
    for x, y in bent:
        image += np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.5**2))
    picture = np.repeat(np.uint8(255 * image.clip(0, 1))[..., None], 3, axis=2)
    result = Undistorter(model, 320, 240).image(picture)[..., 0].astype(float)
    for x, y in straight:
        near = result[round(y) - 5 : round(y) + 6, round(x) - 5 : round(x) + 6]
        r, c = np.mgrid[round(y) - 5 : round(y) + 6, round(x) - 5 : round(x) + 6]
        np.testing.assert_allclose(
            ((c * near).sum() / near.sum(), (r * near).sum() / near.sum()), (x, y), atol=0.2
        )


def test_undistorted_depth_is_never_mixed() -> None:
    depth = np.where(np.arange(320) < 160, 1.0, 5.0).astype(np.float32) * np.ones((240, 1), np.float32)
    depth[100:110] = np.nan
    result = Undistorter(made(d=(0.3, 0.0, 0.0, 0.0, 0.0)), 320, 240).depth(depth)
    assert np.isin(result[np.isfinite(result)], [1.0, 5.0]).all() and np.isnan(result).any()
    assert np.isnan(result[0, 0]), "the lens did not see the corner"


def test_without_distortion_nothing_is_resampled() -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    assert Undistorter(made(d=(0.0,) * 5), 320, 240).image(image) is image


def test_a_rectified_image_has_the_projection_and_no_distortion() -> None:
    model = made(d=(0.1, 0, 0, 0, 0), rectified=True)
    assert model.distortion == () and model.intrinsics[0, 0] == 250.0 and model.intrinsics[1, 2] == 110.0
    assert made(p=(0.0,) * 12, rectified=True).intrinsics[0, 0] == 300.0


def test_binning_and_region_of_interest() -> None:
    """A ray through sensor pixel (x, y) hits pixel ((x - x0 + 0.5) / 2 - 0.5, ...) of the picture."""
    model = made(binning=(2, 2), roi=(40, 20, 200, 160))
    assert (model.width, model.height) == (100, 80)
    ray = np.array([0.1, -0.15, 1.0])
    sensor = (np.array(K).reshape(3, 3) @ ray)[:2]
    np.testing.assert_allclose((model.intrinsics @ ray)[:2], (sensor - [40, 20] + 0.5) / 2 - 0.5)
    unset = made(binning=(0, 0))
    np.testing.assert_array_equal(unset.intrinsics.reshape(-1), K)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"k": (0.0,) * 9}, "uncalibrated"),
        ({"k": (np.nan, *K[1:])}, "uncalibrated"),
        ({"k": (-300.0, *K[1:])}, "must be > 0"),
        ({"d": (0.1, 0.2)}, "takes 4 or 5 or 8"),
        ({"d": (0.1, np.nan, 0, 0, 0)}, "finite"),
        ({"d": (0.1,) * 4, "distortion_model": "kannala"}, "'kannala' is unknown; known: plumb_bob"),
        ({"d": (0.1,) * 5, "distortion_model": "equidistant"}, "takes 4"),
    ],
)
def test_bad_calibration_is_one_line(fields: dict[str, object], words: str) -> None:
    with pytest.raises(CalibrationError) as caught:
        made(**fields, what="camera_info of /cam")
    assert words in str(caught.value) and "/cam" in str(caught.value) and "\n" not in str(caught.value)


def test_size_is_checked() -> None:
    made().check_size(320, 240, "image")
    made(width=0, height=0).check_size(77, 33, "image")
    with pytest.raises(CalibrationError, match="image is 320 x 200, but its camera_info says 320 x 240"):
        made().check_size(320, 200, "image")
