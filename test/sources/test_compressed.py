"""image_transport's compressed pictures, made here by the plain definition of each format."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.errors import SourceError
from reconx_ros.sources.compressed import decode_compressed_depth, decode_compressed_image
from reconx_ros.sources.encodings import DamagedImageError, EncodingError
from reconx_ros.sources.rvl import decode_rvl


def smooth(height: int = 40, width: int = 60) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns * 4, rows * 5, 200 - columns - rows], axis=-1).astype(np.uint8)


def encoded(ending: str, picture: np.ndarray) -> np.ndarray:
    return cv2.imencode(ending, picture)[1].reshape(-1)


def rvl(depth: np.ndarray) -> bytes:
    """Encode value by value, as Wilson's paper defines it, with compressedDepth's size before it."""
    nibbles: list[int] = []

    def put(number: int) -> None:
        while True:
            group, number = number & 7, number >> 3
            nibbles.append(group | (8 if number else 0))
            if not number:
                return

    flat, at, last = [int(v) for v in depth.reshape(-1)], 0, 0
    while at < len(flat):
        begin = at
        while at < len(flat) and flat[at] == 0:
            at += 1
        put(at - begin)
        begin = at
        while at < len(flat) and flat[at] != 0:
            at += 1
        put(at - begin)
        for value in flat[begin:at]:
            delta, last = value - last, value
            put(2 * delta if delta >= 0 else -2 * delta - 1)
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int("".join(f"{n:x}" for n in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)]
    size = np.array(depth.shape[::-1], "<i4").tobytes()
    return size + np.array(words, "<u4").tobytes()


depths = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0), st.floats(0, 1))


@settings(deadline=None)
@given(depths)
def test_rvl_round_trip(case: tuple[int, int, int, float]) -> None:
    height, width, seed, known = case
    chance = np.random.default_rng(seed)
    depth = chance.integers(1, 65_536, (height, width)) * (chance.random((height, width)) < known)
    np.testing.assert_array_equal(decode_rvl(np.frombuffer(rvl(depth), np.uint8)), depth)


@settings(deadline=None)
@given(depths, st.integers(0), st.binary(max_size=60))
def test_rvl_of_any_bytes_gives_an_image_or_one_line(
    case: tuple[int, int, int, float], cut: int, junk: bytes
) -> None:
    height, width, seed, _ = case
    data = rvl(np.random.default_rng(seed).integers(0, 9, (height, width)))
    for attempt in (data[: cut % (len(data) + 1)], data[:8] + junk, junk):
        try:
            assert decode_rvl(np.frombuffer(attempt, np.uint8)).dtype == np.uint16
        except DamagedImageError as err:  # noqa: PERF203
            assert "\n" not in str(err)


def test_rvl_that_counts_below_zero_is_damaged() -> None:
    nibbles = [0] + [8] * 20 + [15, 7, 0]  # no zeros, then so many digits that the sign is reached
    octets = bytes(16 * high + low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True))
    words = b"".join(octets[at : at + 4][::-1] for at in range(0, len(octets), 4))
    data = np.array([4, 3], "<i4").tobytes() + words
    with pytest.raises(DamagedImageError, match="breaks after 0 of 12"):
        decode_rvl(np.frombuffer(data, np.uint8))


@pytest.mark.parametrize("format_", ["png", "rgb8; png compressed bgr8", "bgra8; png compressed bgra8"])
def test_png_is_exact(format_: str) -> None:
    np.testing.assert_array_equal(
        decode_compressed_image(format_, encoded(".png", smooth()[..., ::-1])), smooth()
    )


def test_jpeg_is_near_and_rgb() -> None:
    result = decode_compressed_image("rgb8; jpeg compressed bgr8", encoded(".jpg", smooth()[..., ::-1]))
    assert np.abs(result.astype(int) - smooth()).mean() < 3
    grey = decode_compressed_image("mono8; jpeg compressed mono8", encoded(".jpg", smooth()[..., 0]))
    assert grey.shape == (40, 60, 3) and (grey[..., 0] == grey[..., 2]).all()


def test_compressed_bayer_is_demosaiced() -> None:
    cell = np.array([[200, 90], [90, 30]], np.uint8)  # red, green / green, blue
    data = encoded(".png", np.tile(cell, (6, 6)))
    result = decode_compressed_image("bayer_rggb8; png compressed bayer_rggb8", data)
    np.testing.assert_array_equal(result[2:-2, 2:-2], np.broadcast_to([200, 90, 30], (8, 8, 3)))


MILLIMETRES = (np.arange(600).reshape(20, 30) * 9).astype(np.uint16)


@pytest.mark.parametrize("picture", ["png", "rvl", ""])
def test_depth_16uc1(picture: str) -> None:
    body = rvl(MILLIMETRES) if picture == "rvl" else encoded(".png", MILLIMETRES).tobytes()
    result = decode_compressed_depth(f"16UC1; compressedDepth {picture}", bytes(12) + body)
    np.testing.assert_allclose(result, np.where(MILLIMETRES, MILLIMETRES * 1e-3, np.nan), rtol=1e-6)


@pytest.mark.parametrize("picture", ["png", "rvl"])
def test_depth_32fc1_is_quantised_in_inverse_depth(picture: str) -> None:
    """The transport stores a / depth + b with a = q (q + 1), b = 1 - q / max (q = 100, max = 10 m)."""
    metres = np.linspace(0.3, 9.9, 600).reshape(20, 30)
    a, b = 100.0 * 101.0, 1 - 100.0 * 101.0 / 10.0
    stored = (a / metres + b).astype(np.uint16)
    stored[0, :5] = 0
    body = rvl(stored) if picture == "rvl" else encoded(".png", stored).tobytes()
    data = np.array([0], "<i4").tobytes() + np.array([a, b], "<f4").tobytes() + body
    result = decode_compressed_depth(f"32FC1; compressedDepth {picture}", data)
    assert np.isnan(result[0, :5]).all()
    # one step of the quantiser is depth^2 / a
    assert (np.abs(result - metres) <= metres**2 / a * 1.05 + 1e-5)[stored > 0].all()


def test_depth_through_the_plain_transport() -> None:
    result = decode_compressed_depth("16UC1; png compressed", encoded(".png", MILLIMETRES))
    np.testing.assert_allclose(result, np.where(MILLIMETRES, MILLIMETRES * 1e-3, np.nan), rtol=1e-6)
    with pytest.raises(EncodingError, match="16 bit"):
        decode_compressed_depth("mono8; jpeg compressed", encoded(".jpg", smooth()))


def test_unknown_depth_format() -> None:
    with pytest.raises(EncodingError, match="16UC1, mono16 and 32FC1"):
        decode_compressed_depth("64FC1; compressedDepth png", bytes(40))


@settings(deadline=None)
@given(
    st.sampled_from(
        [
            "jpeg",
            "bayer_rggb8; jpeg compressed bayer_rggb8",
            "16UC1; compressedDepth png",
            "32FC1; compressedDepth rvl",
        ]
    ),
    st.binary(max_size=80),
    st.integers(0, 400),
)
def test_any_bytes_give_an_image_or_one_line(format_: str, junk: bytes, cut: int) -> None:
    decode = decode_compressed_depth if "Depth" in format_ else decode_compressed_image
    for data in (junk, encoded(".png", MILLIMETRES).tobytes()[:cut] + junk, bytes(12) + junk):
        try:
            assert decode(format_, data).shape[0] > 0
        except SourceError as err:  # noqa: PERF203
            assert "\n" not in str(err)
