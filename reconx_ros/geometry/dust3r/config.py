"""Configuration of the DUSt3R room."""

from typing import Literal

from pydantic import Field

from reconx_ros.settings import Settings


class Dust3rConfig(Settings):
    """Pointmaps of pairs from a network; its weights are not part of this package."""

    weights: str | None = Field(
        None,
        description="a .safetensors or .pth file, a folder with model.safetensors, or a Hugging Face id "
        "such as naver/DUSt3R_ViTLarge_BaseDecoder_512_dpt (CC BY-NC-SA 4.0: not for commercial use)",
    )
    implementation: Literal["native", "package"] = Field(
        "native",
        description="the network of this package, or the `dust3r` package where it is installed (pair by "
        "pair, float32)",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the network runs")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="of encoder and decoder; auto is bfloat16 on CUDA and float32 on the CPU"
    )
    resolution: int | None = Field(
        None, ge=32, description="pixels; None is what the checkpoint was trained at (512 or 224)"
    )
    neighbours: int = Field(4, ge=1, description="views each view chooses to be paired with")
    min_share: float = Field(
        0.5, ge=0, lt=1, description="no map where this share of the views or less can be placed"
    )
    batch: int = Field(8, ge=1, description="images or pairs at once; halved where memory runs out")
    encoded_views: int = Field(
        64, ge=2, description="encoded images kept at a time (1.6 MB each at 512 x 384 in bfloat16)"
    )
    edge_ratio: float = Field(0.05, gt=0, description="relative depth step that counts as an edge")
