"""Raw encodings against numpy and OpenCV, with padding and both byte orders."""

import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.sources.encodings import (
    COLOUR,
    DEPTH,
    DamagedImageError,
    EncodingError,
    decode_depth,
    decode_image,
)

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


def packed(pixels: np.ndarray, padding: int, big: bool) -> tuple[int, bytes]:
    """Return step and bytes of [H, W, C] pixels whose rows are padded with 255."""
    rows = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).reshape(len(pixels), -1)
    raw = np.ascontiguousarray(rows).view(np.uint8)
    filled = np.full((len(raw), raw.shape[1] + padding), 255, np.uint8)
    filled[:, : raw.shape[1]] = raw
    return filled.shape[1], filled.tobytes()


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from([n for n in COLOUR if n[:3] in ("rgb", "bgr", "mon", "8UC")]),
    sizes,
    st.integers(0, 5),
    st.booleans(),
    st.integers(0),
)
def test_packed_colour(encoding: str, size: tuple[int, int], padding: int, big: bool, seed: int) -> None:
    height, width = size
    layout = COLOUR[encoding]
    top = 256 if layout.scalar == "u1" else 65536
    pixels = (
        np.random.default_rng(seed).integers(0, top, (height, width, layout.channels)).astype(layout.scalar)
    )
    step, data = packed(pixels, padding, big)
    eight = pixels if layout.scalar == "u1" else pixels // 256
    if layout.channels == 1:
        expected = np.repeat(eight, 3, axis=2)
    else:
        expected = eight[..., :3] if encoding.startswith("rgb") else eight[..., 2::-1]
    result = decode_image(encoding, height, width, step, data, big)
    assert result.dtype == np.uint8 and result.flags.writeable and result.flags.c_contiguous
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv422_is_bt601(encoding: str) -> None:
    """One colour, encoded by the BT.601 formula for limited range, comes back within rounding."""
    red, green, blue = 200.0, 90.0, 30.0
    y = 16 + (65.738 * red + 129.057 * green + 25.064 * blue) / 256
    u = 128 + (-37.945 * red - 74.494 * green + 112.439 * blue) / 256
    v = 128 + (112.439 * red - 94.154 * green - 18.285 * blue) / 256
    order = (u, y, v, y) if encoding in ("yuv422", "uyvy") else (y, u, y, v)
    step, data = packed(np.tile(np.rint(order).astype(np.uint8), (4, 3)).reshape(4, 6, 2), 3, False)
    result = decode_image(encoding, 4, 6, step, data)
    np.testing.assert_allclose(result, np.broadcast_to([red, green, blue], (4, 6, 3)), atol=3)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_keeps_a_flat_colour(pattern: str, bits: int) -> None:
    values = {"r": 200, "g": 90, "b": 30}
    cell = np.array([[values[pattern[0]], values[pattern[1]]], [values[pattern[2]], values[pattern[3]]]])
    mosaic = np.tile(cell, (6, 7)) * (1 if bits == 8 else 257)
    step, data = packed(mosaic[..., None].astype(f"u{bits // 8}"), 2, big=True)
    result = decode_image(f"bayer_{pattern}{bits}", 12, 14, step, data, is_bigendian=True)
    np.testing.assert_array_equal(result[2:-2, 2:-2], np.broadcast_to([200, 90, 30], (8, 10, 3)))


@settings(deadline=None)
@given(sizes, st.integers(0, 3), st.booleans(), st.integers(0))
def test_depth_in_millimetres(size: tuple[int, int], padding: int, big: bool, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 3, size) * np.uint16(21_845)
    step, data = packed(values[..., None].astype(np.uint16), padding, big)
    for encoding in ("16UC1", "mono16"):
        depth = decode_depth(encoding, *size, step, data, big)
        assert depth.dtype == np.float32
        np.testing.assert_allclose(depth, np.where(values, values * 1e-3, np.nan), rtol=1e-6)


@pytest.mark.parametrize("big", [False, True])
def test_depth_in_metres_has_special_values(big: bool) -> None:
    values = np.array([[1.5, np.nan, np.inf], [-np.inf, -2.0, 0.0]], np.float32)
    step, data = packed(values[..., None], 4, big)
    expected = [[1.5, np.nan, np.nan], [np.nan] * 3]
    np.testing.assert_array_equal(
        decode_depth("32FC1", 2, 3, step, data, big), np.array(expected, np.float32)
    )


def test_any_buffer_is_taken() -> None:
    raw = bytes(range(12))
    expected = np.frombuffer(raw, np.uint8).reshape(2, 2, 3)
    for data in (raw, bytearray(raw), memoryview(raw), array.array("B", raw), np.frombuffer(raw, np.uint8)):
        np.testing.assert_array_equal(decode_image("rgb8", 2, 2, 6, data), expected)


def test_the_last_row_may_lack_its_padding() -> None:
    assert decode_image("mono8", 2, 3, 5, bytes(8)).shape == (2, 3, 3)


def test_unknown_encodings_list_the_known_ones() -> None:
    with pytest.raises(EncodingError) as caught:
        decode_image("h264", 1, 1, 3, bytes(3))
    assert all(name in str(caught.value) for name in COLOUR)
    with pytest.raises(EncodingError) as caught:
        decode_depth("rgb8", 1, 1, 3, bytes(3))
    assert "'rgb8'" in str(caught.value) and all(name in str(caught.value) for name in DEPTH)


@pytest.mark.parametrize(
    ("height", "width", "step", "size", "word"),
    [
        (2, 2, 6, 11, "needs 12 bytes, has 11"),
        (2, 2, 5, 12, "step is 5"),
        (0, 2, 6, 12, "empty"),
        (1, 1, 3, 0, "has 0"),
    ],
)
def test_sizes_that_do_not_fit(height: int, width: int, step: int, size: int, word: str) -> None:
    with pytest.raises(DamagedImageError, match=word):
        decode_image("rgb8", height, width, step, bytes(size))


def test_yuv_of_odd_width() -> None:
    with pytest.raises(DamagedImageError, match="even width"):
        decode_image("uyvy", 2, 3, 6, bytes(12))


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(sorted(COLOUR)),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 40),
    st.binary(max_size=120),
    st.booleans(),
)
def test_any_bytes_give_an_image_or_one_line(
    encoding: str, height: int, width: int, step: int, data: bytes, big: bool
) -> None:
    try:
        assert decode_image(encoding, height, width, step, data, big).shape == (height, width, 3)
    except DamagedImageError as err:
        assert "\n" not in str(err)
