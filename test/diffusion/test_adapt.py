"""Adaptation to a run: what it learns from, what it leaves alone, that it learns; recordings as clips."""

from pathlib import Path

import numpy as np
import torch

from reconx_ros.camera import Camera
from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.training.adapt import CONFIG, adapt, own_records
from reconx_ros.diffusion.training.measure import measure
from reconx_ros.diffusion.training.pairs import real_records
from reconx_ros.diffusion.training.records import unpack
from reconx_ros.diffusion.training.shards import ClipStore, keep
from reconx_ros.diffusion.training.state import Training
from reconx_ros.progress import Silent
from reconx_ros.simulation.clips import ClipConfig, sample_clip
from reconx_ros.structure.reference import Reference

SIZE = (48, 64)


def views() -> list[Reference]:
    clip = sample_clip(60, ClipConfig(size=SIZE, frames=3))
    colors = [*clip.color, *clip.target_color]
    depths = [*clip.depth, *clip.target_depth]
    poses = [*clip.world_from_camera, *clip.target_world_from_camera]
    return [
        Reference(
            (255 * c).round().astype(np.uint8), d, np.ones_like(d), Camera(clip.intrinsics, p, 64, 48)
        )
        for c, d, p in zip(colors, depths, poses, strict=True)
    ]


def loss_of(model: SmallModel, references: list[Reference]) -> float:
    luck = torch.Generator().manual_seed(0)
    example = unpack(own_records(references, (), SIZE))
    with torch.no_grad():
        still = CONFIG.model_copy(update={"bf16": False})
        return float(measure(Training.begin(model, None, 1e-3, 0.0), example, still, luck).total)


def test_only_keyframes_that_the_contest_leaves_alone_are_predicted() -> None:
    references = views()
    all_of_them = own_records(references, (), SIZE)
    assert len(all_of_them) == len(references)
    few = own_records(references, (0, 2, 4), SIZE)
    assert len(few) == len(references) - 3
    shown = {tuple(each["target_pose"].flatten().tolist()) for each in few}
    for number in (0, 2, 4):
        pose = references[number].camera.world_from_camera
        assert tuple(torch.from_numpy(pose).flatten().tolist()) not in shown
    assert own_records(references[:2], (), SIZE) == []


def test_a_model_learns_from_its_own_keyframes_and_the_shipped_one_stays() -> None:
    references = views()
    torch.manual_seed(0)
    model = SmallModel(widths=(8, 16, 16, 16)).eval()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    adapted, encoder, steps = adapt(model, None, references, (), SIZE, 6.0, Silent())
    assert encoder is None
    assert steps >= 5
    for name, value in model.named_parameters():
        torch.testing.assert_close(value.detach(), before[name], atol=0, rtol=0)
    assert loss_of(adapted, references) < loss_of(model, references)


def test_too_few_keyframes_adapt_nothing() -> None:
    model = SmallModel(widths=(8, 16, 16, 16))
    _, _, steps = adapt(model, None, views()[:2], (), SIZE, 5.0, Silent())
    assert steps == 0


def test_a_recording_becomes_clips_to_train_on(redkitchen_bag: Path, tmp_path: Path) -> None:
    records = real_records(redkitchen_bag, "interpolated", SIZE)[:20]
    assert keep(tmp_path, records, {"source": "kitchen"}, Silent()) == 20
    store = ClipStore(tmp_path)
    assert len(store) == 20
    assert store.frames == 1
    for name, value in store.part(17, slice(0, 1)).items():
        torch.testing.assert_close(value, records[17][name])
