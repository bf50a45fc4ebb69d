"""RVL there and back; the decoder itself is tested against recorded streams elsewhere."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reconx_ros.sources.rvl import decode_rvl, encode_rvl

PIXELS = st.one_of(st.just(0), st.integers(0, 65535))


@given(arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=PIXELS))
@settings(max_examples=200, deadline=None)
def test_every_picture_comes_back(depth: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_rvl(encode_rvl(depth)), depth)


def test_smooth_depth_is_small() -> None:
    rows, columns = np.mgrid[:120, :160]
    depth = (1500 + rows + columns // 2).astype(np.uint16)
    depth[:20] = 0
    assert len(encode_rvl(depth)) < depth.nbytes / 3
