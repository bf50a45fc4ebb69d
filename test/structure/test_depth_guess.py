import torch

from reconx_ros.structure.depth_guess import guessed_depth


def test_a_plane_goes_on_behind_what_is_missing() -> None:
    """Inverse depth of a plane is linear in the image; the guess in a gap of it is close to it."""
    column = torch.arange(64.0)
    plane = (1 / (0.5 + 0.002 * column)).expand(1, 1, 48, 64)
    known = torch.ones_like(plane)
    known[..., 20:28, 25:40] = 0
    guess = guessed_depth(plane * known, known)
    assert torch.equal(guess[known > 0], plane[known > 0])
    assert ((guess - plane) / plane).abs().max() < 0.01


def test_nothing_known_gives_nothing() -> None:
    depth = torch.zeros(2, 1, 8, 8)
    depth[1, 0, 3, 3] = 2.0
    guess = guessed_depth(depth, (depth > 0).float())
    assert guess[0].isnan().all()
    torch.testing.assert_close(guess[1], torch.full_like(guess[1], 2.0))
