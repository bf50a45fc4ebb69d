"""Windows cover a clip, overlap as asked, and blend to what they agree on."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from reconx_ros.diffusion.small.windows import blended, windows


@given(st.integers(1, 60), st.integers(1, 12), st.data())
def test_windows_cover_every_frame_and_share_enough(frames: int, length: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, length - 1))
    found = list(windows(frames, length, overlap))
    assert found[0].start == 0
    assert found[-1].stop == frames
    assert {window.stop - window.start for window in found} == {min(frames, length)}
    for before, after in itertools.pairwise(found):
        assert before.start < after.start
        assert before.stop - after.start >= overlap


def test_what_windows_agree_on_stays_and_seams_fade() -> None:
    clip = torch.rand(2, 11, 3, 4, 5)
    parts = [(window, clip[:, window.frames]) for window in windows(11, 5, 2)]
    torch.testing.assert_close(blended(parts, 11), clip)
    levels = [(window, torch.full_like(part, float(at))) for at, (window, part) in enumerate(parts)]
    steps = blended(levels, 11)[0, :, 0, 0, 0].diff()
    assert float(steps.max()) <= 0.5
    assert (steps >= 0).all()
