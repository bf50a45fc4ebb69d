import torch

from reconx_ros.diffusion.wan.conditions import conditions
from reconx_ros.structure.reference import Reference

from .tiny import camera, nowhere, reference, scene


def test_real_frames_are_kept_whole_and_holes_are_grey() -> None:
    references, cloud, path = scene(5)
    given = conditions(references, path.cameras, nowhere(cloud))
    assert given.real == {0: 0, 4: 1}
    for frame, index in given.real.items():
        photo = torch.from_numpy(references[index].image).permute(2, 0, 1) / 255
        # The second at the exposure of the first, which is its own here but for the fit.
        torch.testing.assert_close(given.image[frame], photo, atol=0.01, rtol=0)
        assert given.known[frame].all()
        assert given.seen[frame].all()
    one = conditions(references[:1], path.cameras[2:3], nowhere(cloud))
    hole = one.known[0, 0] == 0
    assert 0.02 < hole.float().mean() < 0.5
    assert (one.video[0, 0][:, hole] == 0.5).all()
    assert torch.equal(one.mask[0, 0, 0], hole.float())
    assert (one.depth[0, 0][hole] == 0).all()


def test_the_cloud_shows_what_the_references_do_not() -> None:
    references, cloud, path = scene(5)
    alone = conditions(references[:1], path.cameras[3:4], nowhere(cloud))
    joined = conditions(references[:1], path.cameras[3:4], cloud)
    assert joined.known.mean() > alone.known.mean() + 0.02
    truth = torch.from_numpy(reference(path.cameras[3]).depth)
    shown = joined.known[0, 0] > 0
    right = ((joined.depth[0, 0] - truth).abs() < 0.05)[shown].float().mean()
    assert right > 0.95


def test_exposures_are_brought_to_the_first_reference() -> None:
    references, cloud, path = scene(5)
    dark = Reference(
        (references[1].image * 0.7).astype("uint8"),
        references[1].depth,
        references[1].confidence,
        references[1].camera,
    )
    given = conditions([references[0], dark], path.cameras, nowhere(cloud))
    bright = torch.from_numpy(references[1].image).permute(2, 0, 1) / 255
    torch.testing.assert_close(given.image[4], bright, atol=0.03, rtol=0)


def test_a_frame_filmed_before_is_handed_over() -> None:
    references, cloud, path = scene(5)
    before = torch.rand(3, 48, 80)
    given = conditions(references[:1], path.cameras[2:4], nowhere(cloud), given=before)
    assert torch.equal(given.image[0], before)
    assert given.known[0].all()
    assert not given.seen[0].all()
    assert not given.known[1].all()


def test_cameras_of_another_size_than_the_references() -> None:
    references, cloud, _ = scene(5)
    film = camera(-0.25).resized(64, 32)
    given = conditions(references[:1], [film], nowhere(cloud))
    assert given.real == {0: 0}
    assert given.image.shape == (1, 3, 32, 64)
