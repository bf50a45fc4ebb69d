"""Conditioning renders against planes seen in closed form."""

import pytest
import torch

from reconx_ros.camera import Camera
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.structure.composite import composite
from reconx_ros.structure.conditioning import (
    Reference,
    join,
    overscan_margin,
    render_conditioning,
    warp_references,
)

from .scenes import HEIGHT, SIZE, WIDTH, K, Plane, clip, pose, view

TILTED = Plane(normal=(0.3, -0.2, 1.0), offset=2.0)
INNER = (slice(4, -4), slice(4, -4))


@pytest.mark.parametrize("plane", [Plane(), TILTED])
@pytest.mark.parametrize("target", [pose(0.1), pose(-0.05, 0.07, 0.2), pose(z=-0.4), pose(0.1, yaw=0.1)])
def test_plane_follows_its_homography(plane: Plane, target: torch.Tensor) -> None:
    """Depth to 1e-4 of itself; colour to what bilinear interpolation of the texture costs."""
    render = warp_references(**clip([plane], [pose()], [target]), size=SIZE)
    color, depth = view([plane], target)
    covered = render.coverage[0, 0, 0, 0] > 0
    error = (render.depth[0, 0, 0] - depth).abs()[0, covered] / depth[0, covered]
    assert error.max() < 1e-4
    # Beyond the reference's own border its last pixels are continued by half a pixel.
    wrong = (render.color[0, 0, 0] - color).abs().amax(0)
    assert wrong[covered].quantile(0.97) < 0.012
    assert wrong[covered].max() < 0.06


def test_same_camera_gives_the_reference_back() -> None:
    given = clip([TILTED], [pose()], [pose()])
    render = warp_references(**given, size=SIZE)
    assert (render.coverage == 1).all()
    torch.testing.assert_close(render.color[0, 0], given["color"][0], atol=2e-5, rtol=0)
    torch.testing.assert_close(render.depth[0, 0], given["depth"][0], atol=1e-4, rtol=0)
    torch.testing.assert_close(render.confidence, torch.ones_like(render.confidence), atol=0.01, rtol=0)


def test_coverage_is_what_the_reference_saw() -> None:
    """A camera moved by 8 pixels' worth of the plane misses the 8 columns that enter the view."""
    shift = 8 * 2.0 / 60
    coverage = warp_references(**clip([Plane()], [pose()], [pose(shift)]), size=SIZE).coverage[0, 0, 0, 0]
    assert (coverage[:, : WIDTH - 8] == 1).all()
    assert (coverage[:, WIDTH - 8 :] == 0).all()


@pytest.mark.parametrize("zoom", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("plane", [Plane(), TILTED])
def test_surface_stays_closed_when_the_camera_comes_nearer(plane: Plane, zoom: float) -> None:
    """Nearer by ``zoom``, every pixel is still covered, and confidence says how blurred it is."""
    target = pose(z=2 - 2 / zoom)
    render = warp_references(**clip([plane], [pose()], [target]), size=SIZE)
    assert (render.coverage[0, 0, 0, 0][INNER] == 1).all()
    if plane.normal == (0, 0, 1):
        # Pixels that need it twice to be smooth are magnified twice: confidence 1 / zoom.
        assert render.confidence.mean() == pytest.approx(1 / zoom, rel=0.01)


def test_far_surface_is_not_seen_through_a_near_one() -> None:
    """A small plane at 1 m before a wall at 3 m; the camera comes nearer and aside."""
    planes = [Plane(offset=1.0, half=0.3, tint=0.6), Plane(offset=3.0)]
    target = pose(0.05, 0.02, 0.5)
    render = warp_references(**clip(planes, [pose()], [target]), size=SIZE)
    color, depth = view(planes, target)
    near = depth[0] < 1
    inside = torch.nn.functional.max_pool2d((~near)[None].float(), 5, 1, 2)[0] == 0
    assert inside.sum() > 500
    assert (render.coverage[0, 0, 0, 0][inside] == 1).all()
    torch.testing.assert_close(
        render.depth[0, 0, 0, 0][inside], depth[0, inside].float(), atol=1e-3, rtol=0
    )
    assert (render.color[0, 0, 0] - color).abs()[:, inside].max() < 0.03


def test_depth_edge_tears_and_leaves_a_hole() -> None:
    """What the near plane hid is not covered, and no rubber sheet spans the edge."""
    planes = [Plane(offset=1.0, half=0.2, tint=0.6), Plane(offset=3.0)]
    target = pose(0.2)
    render = warp_references(**clip(planes, [pose()], [target]), size=SIZE)
    _, depth = view(planes, target)
    covered, found = render.coverage[0, 0, 0, 0] > 0, render.depth[0, 0, 0, 0]
    assert ((found[covered] < 1.05) | (found[covered] > 2.9)).all()
    # The near plane moves 12 px, the wall 4 px: a band 8 px wide and 24 px high opens.
    hole = ~covered[:, : WIDTH - 4]
    assert hole.sum() == pytest.approx(8 * 24, rel=0.15)
    assert (depth[0, :, : WIDTH - 4][hole] > 2.9).float().mean() > 0.95


def test_colours_do_not_bleed_over_a_depth_edge() -> None:
    planes = [Plane(offset=1.0, half=0.3, tint=1.0), Plane(offset=3.0)]
    given = clip(planes, [pose()], [pose(0.013, 0.007)])
    render = warp_references(**given, size=SIZE)
    near = (render.depth[0, 0, 0, 0] > 0) & (render.depth[0, 0, 0, 0] < 2)
    assert near.sum() > 500
    assert render.color[0, 0, 0][:, near].max() < 1e-5


def test_pixels_near_a_depth_edge_are_trusted_less() -> None:
    planes = [Plane(offset=1.0, half=0.3), Plane(offset=3.0)]
    confidence = warp_references(**clip(planes, [pose()], [pose()]), size=SIZE).confidence[0, 0, 0, 0]
    assert confidence.unique().tolist() == [0.5, 1.0]
    # Two pixels on either side of a square outline of 36 × 36.
    assert (confidence == 0.5).sum() == pytest.approx(4 * 36 * 2, rel=0.05)


def test_surface_seen_from_behind_is_not_drawn() -> None:
    behind = pose(z=4)
    behind[:3, :3] = torch.diag(torch.tensor([-1.0, 1, -1]))
    render = warp_references(**clip([Plane()], [pose()], [behind]), size=SIZE)
    assert (render.coverage == 0).all()


def test_noise_leaves_no_gaps_and_speckle_holes_close() -> None:
    """1% depth noise pulls samples apart, 3% have no depth: nearly every pixel is covered still."""
    given = clip([Plane()], [pose()], [pose(0.2, z=0.5)])
    generator = torch.Generator().manual_seed(0)
    depth = given["depth"] * (1 + 0.01 * torch.randn(given["depth"].shape, generator=generator))
    depth[torch.rand(depth.shape, generator=generator) < 0.03] = torch.nan
    render = warp_references(**(given | {"depth": depth}), size=SIZE)
    inner = (slice(4, -4), slice(4, -24))
    assert render.coverage[0, 0, 0, 0][inner].mean() > 0.999
    color, _ = view([Plane()], pose(0.2, z=0.5))
    assert (render.color[0, 0, 0] - color).abs()[(slice(None), *inner)].mean() < 0.02


def test_clips_of_a_batch_equal_clips_alone_and_references_are_apart() -> None:
    clips = [
        clip([TILTED], [pose(), pose(0.2)], [pose(0.1), pose(0.05), pose(z=0.3)]),
        clip(
            [Plane(), Plane(offset=1, half=0.2)], [pose(0.1), pose(-0.1)], [pose(), pose(0.02), pose(0.04)]
        ),
    ]
    together = warp_references(
        **{name: torch.cat([one[name] for one in clips]) for name in clips[0]}, size=SIZE
    )
    assert together.color.shape == (2, 3, 2, 3, HEIGHT, WIDTH)
    for b, one in enumerate(clips):
        alone = warp_references(**one, size=SIZE)
        torch.testing.assert_close(together.color[b : b + 1], alone.color)
        for r in (0, 1):
            names = ("color", "depth", "intrinsics", "world_from_camera")
            single = {name: value[:, r : r + 1] if name in names else value for name, value in one.items()}
            torch.testing.assert_close(
                warp_references(**single, size=SIZE).depth[:, :, 0], alone.depth[:, :, r]
            )


def test_overscan_shows_more_of_the_same() -> None:
    given = clip([TILTED], [pose()], [pose(0.1), pose(-0.1, yaw=0.2)])
    plain = warp_references(**given, size=SIZE)
    wide = warp_references(**given, size=SIZE, overscan=0.25)
    assert wide.margin == (8, 8)
    assert wide.size == (HEIGHT + 16, WIDTH + 16)
    torch.testing.assert_close(wide.cropped().depth, plain.depth, atol=1e-4, rtol=0)
    torch.testing.assert_close(wide.cropped().color, plain.color, atol=1e-4, rtol=0)
    assert wide.coverage.sum() > 1.02 * plain.coverage.sum()
    assert overscan_margin((192, 256), 0.25) == (24, 32)


def test_confidence_of_the_depth_is_carried_along() -> None:
    given = clip([Plane()], [pose()], [pose()])
    confidence = torch.linspace(0, 1, WIDTH).expand(1, 1, 1, HEIGHT, WIDTH)
    render = warp_references(**given, size=SIZE, confidence=confidence)
    torch.testing.assert_close(render.confidence[0, 0], confidence[0], atol=1e-5, rtol=0)


def test_composite_takes_what_is_in_front_and_covers_what_any_covers() -> None:
    planes = [Plane(offset=1.0, half=0.2, tint=0.6), Plane(offset=3.0)]
    target = pose(0.1)
    render = warp_references(**clip(planes, [pose(), pose(0.2)], [target]), size=SIZE)
    image, mask = composite(render)
    assert mask.mean() > render.coverage.mean(dim=(1, 3, 4, 5)).max()
    color, _ = view(planes, target)
    wrong = (image[0, 0] - color).abs().amax(0)[mask[0, 0, 0] > 0]
    assert wrong.quantile(0.97) < 0.05


def test_composite_prefers_where_asked() -> None:
    render = warp_references(**clip([Plane()], [pose(), pose()], [pose()]), size=SIZE)
    render.color[:, :, 1] = 1.0
    image, _ = composite(render, torch.tensor([[[0.0, 1.0]]]))
    assert image.min() > 0.999


def keyframe(x: float, planes: list[Plane], size: tuple[int, int] = SIZE, gain: float = 1.0) -> Keyframe:
    k = K.clone()
    scale = size[1] / WIDTH
    k[:2] *= scale
    k[:2, 2] = (K[:2, 2] + 0.5) * scale - 0.5
    color, depth = view(planes, pose(x), size, k)
    image = (255 * gain * color.permute(1, 2, 0)).round().byte().numpy()
    camera = Camera(k.numpy(), pose(x).numpy(), size[1], size[0])
    return Keyframe(f"{x}", 0, image, camera, depth[0].float().numpy())


def test_keyframes_of_another_size_render_alike() -> None:
    target = keyframe(0.1, [TILTED])
    for size in (SIZE, (96, 128)):
        reference = Reference.of_keyframe(keyframe(0, [TILTED], size))
        render = render_conditioning([reference], [target.camera], overscan=0)
        covered = render.coverage[0, 0, 0, 0] > 0
        assert covered.float().mean() > 0.9
        truth = torch.from_numpy(target.image).permute(2, 0, 1) / 255
        assert (render.color[0, 0, 0] - truth).abs()[:, covered].mean() < 0.006
        off = (render.depth[0, 0, 0, 0] - torch.from_numpy(target.depth)).abs()[covered]
        assert off.max() < 0.02


def test_seam_between_exposures_vanishes_and_comes_back_when_undone() -> None:
    views = [
        Reference.of_keyframe(keyframe(0.0, [TILTED])),
        Reference.of_keyframe(keyframe(0.1, [TILTED], gain=0.7)),
    ]
    camera = keyframe(0.05, [TILTED]).camera
    raw, matched = (render_conditioning(views, [camera], match=match) for match in (False, True))
    both = raw.coverage.amin(dim=2)[0, 0, 0] > 0
    seams = [
        (render.color[0, 0, 0] - render.color[0, 0, 1])[:, both].abs().mean() for render in (raw, matched)
    ]
    assert seams[0] > 0.1
    assert seams[1] < 0.003
    torch.testing.assert_close(matched.unexposed().color, raw.color, atol=1e-5, rtol=0)


def cloud(planes: list[Plane], spacing_size: tuple[int, int] = (96, 128)) -> PointCloud:
    source = keyframe(0, planes, spacing_size)
    points = source.camera.unproject(source.depth).reshape(-1, 3)
    count = len(points)
    normals = torch.tensor([0.0, 0, -1]).repeat(count, 1).numpy()
    ones = torch.ones(count)
    return PointCloud(
        points, source.image.reshape(-1, 3), normals, (4 * ones).numpy(),
        torch.zeros(count, dtype=torch.uint8).numpy(), ones.int().numpy(),
    )  # fmt: skip


def test_cloud_is_one_more_reference() -> None:
    planes = [Plane(offset=1.0, half=0.3, tint=0.6), Plane(offset=3.0)]
    target = keyframe(0.1, planes)
    references = [Reference.of_keyframe(keyframe(0, planes))]
    render = render_conditioning(references, [target.camera], cloud(planes), overscan=0, match=False)
    assert render.color.shape[2] == 2
    covered = render.coverage[0, 0, 1, 0] > 0
    assert covered.float().mean() > 0.9
    wrong = (render.depth[0, 0, 1, 0] - torch.from_numpy(target.depth)).abs()[covered]
    assert (wrong < 0.01).float().mean() > 0.96  # depth edges lie half a point off
    truth = torch.from_numpy(target.image).permute(2, 0, 1) / 255
    assert (render.color[0, 0, 1] - truth).abs()[:, covered].mean() < 0.02
    assert render.confidence[0, 0, 1].amax() == pytest.approx(0.75)  # 1 − 1/C with C = 4


@pytest.mark.parametrize("zoom", [1.0, 3.0])
def test_cloud_stays_closed_near_by_and_hides_what_is_behind(zoom: float) -> None:
    planes = [Plane(offset=1.0, half=0.3, tint=1.0), Plane(offset=3.0)]
    camera = Camera(K.numpy(), pose(z=1 - 1 / zoom).numpy(), WIDTH, HEIGHT)
    references = [Reference.of_keyframe(keyframe(0, planes))]
    render = render_conditioning(references, [camera], cloud(planes), overscan=0, match=False)
    _, depth = view(planes, pose(z=1 - 1 / zoom))
    near = torch.nn.functional.max_pool2d((depth > 1.5).float(), 5, 1, 2)[0] == 0
    assert near.sum() > 500
    assert (render.coverage[0, 0, 1, 0][near] == 1).all()
    assert render.color[0, 0, 1][:, near].max() == 0


def test_cloud_seen_from_behind_is_not_drawn() -> None:
    there = pose(z=4)
    there[:3, :3] = torch.diag(torch.tensor([-1.0, 1, -1]))
    camera = Camera(K.numpy(), there.numpy(), WIDTH, HEIGHT)
    references = [Reference.of_keyframe(keyframe(0, [Plane()]))]
    render = render_conditioning(references, [camera], cloud([Plane()]), match=False)
    assert (render.coverage == 0).all()


def test_join_puts_references_side_by_side() -> None:
    given = clip([TILTED], [pose(), pose(0.2)], [pose(0.1)])
    both = warp_references(**given, size=SIZE)
    names = ("color", "depth", "intrinsics", "world_from_camera")
    apart = [
        warp_references(**{n: v[:, r : r + 1] if n in names else v for n, v in given.items()}, size=SIZE)
        for r in (0, 1)
    ]
    torch.testing.assert_close(join(apart).color, both.color)


def test_what_cannot_be_rendered_is_refused() -> None:
    view_ = keyframe(0, [Plane()])
    with pytest.raises(SynthesisError, match="0 references"):
        render_conditioning([], [view_.camera])
    with pytest.raises(SynthesisError, match="cameras of 2 sizes"):
        render_conditioning([Reference.of_keyframe(view_)], [view_.camera, view_.camera.resized(32, 24)])
    with pytest.raises(SynthesisError, match="keyframe bare has no depth"):
        Reference.of_keyframe(Keyframe("bare", 0, view_.image, view_.camera))


def holed(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same clip whose references measured no depth in a square of their images."""
    depth = given["depth"].clone()
    depth[..., 18:32, 24:40] = torch.nan
    return given | {"depth": depth}


def test_guessed_depth_shows_what_was_not_measured() -> None:
    """On a plane the guess is nearly right, so that colour lands where the plane says."""
    target = pose(0.1)
    given = holed(clip([TILTED], [pose()], [target]))
    plain = warp_references(**given, size=SIZE)
    render = warp_references(**given, size=SIZE, guess=True)
    color, depth = view([TILTED], target)
    guessed = render.guessed[0, 0, 0, 0] > 0
    # Two rows or columns of the hole's border are closed at most.
    assert 12 * 14 <= guessed.sum() <= 15 * 17
    assert (plain.guessed == 0).all()
    assert (plain.color[0, 0, 0][:, guessed] == 0).all()
    assert (render.depth[0, 0, 0] - depth).abs()[0, guessed].max() < 0.15
    assert (render.color[0, 0, 0] - color).abs()[:, guessed].mean() < 0.03
    assert render.confidence[0, 0, 0, 0][guessed].max() <= 0.1 + 1e-6


def test_guessing_changes_nothing_that_was_measured() -> None:
    planes = [Plane(offset=1.0, half=0.2, tint=0.6), Plane(offset=3.0)]
    given = holed(clip(planes, [pose(), pose(0.1)], [pose(0.15, z=0.2)]))
    plain = warp_references(**given, size=SIZE)
    render = warp_references(**given, size=SIZE, guess=True)
    assert torch.equal(render.coverage, plain.coverage)
    assert (render.guessed * render.coverage == 0).all()
    measured = render.measured()
    torch.testing.assert_close(measured.depth, plain.depth)
    torch.testing.assert_close(measured.color, plain.color, atol=1e-3, rtol=0)


def test_composite_shows_guesses_only_where_nothing_is_covered() -> None:
    given = clip([Plane()], [pose(), pose()], [pose()])
    given["depth"][:, 0, :, 10:20] = torch.nan
    given["depth"][:, :, :, 30:40] = torch.nan
    given["color"][:, 0] = 0.0
    render = warp_references(**given, size=SIZE, guess=True)
    image, mask = composite(render)
    assert (mask == 1).all()
    torch.testing.assert_close(image[0, 0, :, 12:18], given["color"][0, 1, :, 12:18], atol=1e-4, rtol=0)
    _, measured = composite(render.measured())
    assert (measured[0, 0, 0, 30:40] == 0).all()


def test_no_depth_is_guessed_across_a_jump() -> None:
    """A gap of 4 pixels between 1 m and 3 m: what would be stretched between them is not shown."""
    given = clip([Plane(offset=1.0), Plane(offset=3.0)], [pose()], [pose(0.2)])
    given["depth"][..., 32:] = 3.0
    given["depth"][..., 30:34] = torch.nan
    render = warp_references(**given, size=SIZE, guess=True)
    assert render.guessed.sum() == 0


def test_reference_without_any_depth_shows_nothing() -> None:
    given = clip([Plane()], [pose(), pose(0.1)], [pose()])
    given["depth"][:, 0] = torch.nan
    render = warp_references(**given, size=SIZE, guess=True)
    assert (render.shown[:, :, 0] == 0).all()
    assert render.coverage[:, :, 1].mean() > 0.9
    assert torch.isfinite(render.color).all()
