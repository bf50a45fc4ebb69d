import torch

from reconx_ros.diffusion.wan.restore import matched, restored


def frames(count: int = 3, known_columns: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = 0.2 + 0.5 * torch.rand(count, 3, 32, 64, generator=generator)
    known = torch.zeros(count, 1, 32, 64)
    known[..., :known_columns] = 1
    return image, known


def test_colours_that_drift_from_frame_to_frame_are_undone() -> None:
    image, known = frames()
    gain = torch.tensor([1.2, 0.9, 1.05]).view(3, 1, 1, 1)
    bias = torch.tensor([0.05, -0.03, 0.0]).view(3, 1, 1, 1)
    decoded = image * gain + bias
    decoded[:, :, :8, :8] = 0.5  # repainted: an outlier
    fixed = matched(decoded, image * known, known)
    torch.testing.assert_close(fixed[..., 8:, 8:], image[..., 8:, 8:], atol=2e-3, rtol=0)


def test_a_frame_of_which_nothing_is_known_gets_the_change_of_the_others() -> None:
    image, known = frames()
    known[1] = 0
    decoded = image * 1.1 + 0.02
    torch.testing.assert_close(matched(decoded, image * known, known), image, atol=2e-3, rtol=0)


def test_nothing_known_changes_nothing() -> None:
    image, known = frames()
    torch.testing.assert_close(matched(image, torch.zeros_like(image), torch.zeros_like(known)), image)


def test_what_is_known_fades_into_what_was_generated() -> None:
    image, known = frames(1)
    generated = torch.zeros_like(image)
    share = (restored(generated, image, known, 3) / image)[0, 0]
    wanted = torch.tensor([1.0, 1.0, 0.75, 0.5, 0.25, 0.0])  # columns 35 to 40: 5 to 1 from the hole
    torch.testing.assert_close(share[:, 35:41], wanted.expand(32, -1))
    assert torch.equal(restored(generated, image, torch.ones_like(known), 3), image)
    hard = restored(generated, image, known, 0)
    assert torch.equal(hard, image * known)
