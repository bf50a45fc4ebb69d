"""A Wan-VACE of the real classes, too small to film anything, and a scene with a hole behind an edge."""

from pathlib import Path

import numpy as np
import torch

from reconx_ros.camera import Camera
from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.geometry.protocol import OBSERVED, PointCloud
from reconx_ros.structure.path import interpolate
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Clip, Trajectory

WIDTH, HEIGHT = 80, 48
K = np.array([[70.0, 0, 39.5], [0, 70.0, 23.5], [0, 0, 1]])
TEXT_WIDTH = 32


def save_pipeline(folder: Path, text_width: int = TEXT_WIDTH) -> None:
    """Save a whole pipeline with random weights, as ``save_pretrained`` does."""
    from diffusers import (
        AutoencoderKLWan,
        UniPCMultistepScheduler,
        WanVACEPipeline,
        WanVACETransformer3DModel,
    )
    from transformers import UMT5Config, UMT5EncoderModel

    torch.manual_seed(0)
    transformer = WanVACETransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        text_dim=text_width,
        freq_dim=32,
        ffn_dim=32,
        num_layers=3,
        rope_max_seq_len=32,
        vace_layers=[0, 2],
    )
    vae = AutoencoderKLWan(base_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    text = UMT5Config(vocab_size=64, d_model=TEXT_WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=4)
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
    )
    pipeline = WanVACEPipeline(
        tokenizer=_tokenizer(),
        text_encoder=UMT5EncoderModel(text),
        vae=vae,
        transformer=transformer,
        scheduler=scheduler,
    )
    pipeline.save_pretrained(folder)


def _tokenizer() -> object:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz,."]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *letters]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def config(folder: Path, cache: Path, **changes: object) -> WanConfig:
    """Return a configuration that films quickly: 64 × 32, five frames a window, two steps."""
    few = {"steps": 2, "window": 5, "overlap": 2, "pixels": 2048, "dtype": "fp32"}
    return WanConfig(model=str(folder), cache=cache, **{**few, **changes})


def camera(x: float) -> Camera:
    """Return a camera ``x`` to the right of the origin, looking along z."""
    pose = np.eye(4)
    pose[0, 3] = x
    return Camera(K, pose, WIDTH, HEIGHT)


def reference(at: Camera) -> Reference:
    """Return what ``at`` sees of a wall 3 away and a post 1.5 away, both textured."""
    rays = at.rays()
    wall = at.centre + rays * 3
    post = at.centre + rays * 1.5
    near = np.abs(post[..., 0]) < 0.25
    points = np.where(near[..., None], post, wall)
    color = 0.5 + 0.35 * np.sin(points * [5, 7, 1] + [[0, 1, 2]]) * np.array([1, 0.8, 0.6])
    color[near] = color[near][:, ::-1]
    depth = np.where(near, 1.5, 3.0).astype(np.float32)
    return Reference((color * 255).round().astype(np.uint8), depth, np.ones_like(depth), at)


def scene(frames: int = 5) -> tuple[list[Reference], PointCloud, Trajectory]:
    """Return two references 0.5 apart, their cloud, and a path from one to the other."""
    ends = [camera(-0.25), camera(0.25)]
    references = [reference(end) for end in ends]
    cloud = cloud_of(references)
    return references, cloud, Trajectory(tuple(interpolate(*ends, frames)))


def cloud_of(references: list[Reference]) -> PointCloud:
    """Return every fourth point of what references see."""
    parts = [each.camera.unproject(each.depth)[::4, ::4].reshape(-1, 3) for each in references]
    rows = np.concatenate(parts)
    colors = np.concatenate([each.image[::4, ::4].reshape(-1, 3) for each in references])
    return PointCloud(
        points=rows.astype(np.float32),
        colors=colors,
        normals=np.tile(np.float32([0, 0, -1]), (len(rows), 1)),
        confidence=np.full(len(rows), 10, np.float32),
        provenance=np.full(len(rows), OBSERVED, np.uint8),
        views=np.ones(len(rows), np.int32),
    )


def clip(start: int, stop: int) -> Clip:
    """Return frames of a trajectory as one clip."""
    nothing = np.zeros((stop - start, 1, 1), np.float32)
    return Clip("interpolated", start, stop, (None, None), nothing, nothing[:, 0, 0])


def nowhere(cloud: PointCloud) -> PointCloud:
    """Return no points."""
    return PointCloud(*(getattr(cloud, name)[:0] for name in cloud.__dataclass_fields__))
