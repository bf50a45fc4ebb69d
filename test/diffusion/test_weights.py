"""Networks on disk: ours and diffusers' readers and writers agree."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from reconx_ros.diffusion.small.clouds import CloudSizes, PointNetwork
from reconx_ros.diffusion.small.load import INDEX, load_film
from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.network import Sizes, SmallNetwork
from reconx_ros.diffusion.small.points import PointEncoder
from reconx_ros.diffusion.small.weights import CLASS, CONFIG, load_encoder, load_network, save_part
from reconx_ros.errors import SynthesisError

SIZES = Sizes(widths=(8, 16, 16, 16), structure_width=32)
CLOUD = CloudSizes(tokens=16, width=32, heads=2, frequencies=3, points=200)


@pytest.mark.parametrize("kind", ["network", "encoder"])
def test_diffusers_reads_what_we_write_and_the_other_way_round(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    ours = SmallNetwork(SIZES) if kind == "network" else PointNetwork(CLOUD)
    reader = SmallModel if kind == "network" else PointEncoder
    save_part(ours, tmp_path / "ours")
    theirs = reader.from_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    back = load_network(tmp_path / "theirs") if kind == "network" else load_encoder(tmp_path / "theirs")
    assert back is not None and not back.training
    assert (
        json.dumps(asdict(back.sizes)) == json.dumps(asdict(theirs.sizes)) == json.dumps(asdict(ours.sizes))
    )
    for (name, value), (_, read), (_, again) in zip(
        ours.named_parameters(), theirs.named_parameters(), back.named_parameters(), strict=True
    ):
        assert torch.equal(value, read) and torch.equal(value, again), name


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    save_part(PointNetwork(CLOUD), tmp_path / "model")
    with pytest.raises(SynthesisError, match=r"config\.json is of a PointEncoder, not of a SmallModel"):
        load_network(tmp_path / "model")
    assert load_encoder(tmp_path / "nothing") is None
    (tmp_path / INDEX).write_text(json.dumps({CLASS: "StableDiffusionPipeline"}))
    with pytest.raises(SynthesisError, match=r"a StableDiffusionPipeline, not a small model of ours"):
        load_film(tmp_path)
    config = tmp_path / "model" / CONFIG
    config.write_text(json.dumps({**json.loads(config.read_text()), "widht": 3}))
    with pytest.raises(SynthesisError, match="widht"):
        load_encoder(tmp_path / "model")
