import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.diffusion.wan.synthesizer import WanVaceSynthesizer
from reconx_ros.errors import SynthesisError

from .tiny import config, save_pipeline

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def refused(cache: Path) -> Callable[[Path, str], None]:
    def check(folder: Path, said: str) -> None:
        with pytest.raises(SynthesisError, match=said) as caught:
            WanVaceSynthesizer.load(config(folder, cache), "cpu")
        assert len(str(caught.value)) < 600

    return check


def test_other_pipelines_are_refused(copy: Path, refused: Callable[[Path, str], None]) -> None:
    index = copy / "model_index.json"
    held = json.loads(index.read_text())
    index.write_text(json.dumps({**held, "_class_name": "WanPipeline"}))
    refused(copy, "holds a WanPipeline, not a WanVACEPipeline; give a folder")
    two = ["diffusers", "WanVACETransformer3DModel"]
    index.write_text(json.dumps({**held, "transformer_2": two}))
    refused(copy, "has a transformer_2: a Wan 2.2 VACE of two transformers is not supported")
    index.write_text("{")
    refused(copy, r"model_index\.json cannot be read")
    index.write_text("[]")
    refused(copy, r"model_index\.json cannot be read")
    index.unlink()
    refused(copy, "is no diffusers pipeline; give a folder")


def test_what_is_no_folder_and_no_id_is_refused(tmp_path: Path, cache: Path) -> None:
    for model in (str(tmp_path / "absent"), "absent"):
        with pytest.raises(SynthesisError, match=r"synthesis\.wan\.model = '.*' does not exist; give"):
            WanVaceSynthesizer.load(WanConfig(model=model, cache=cache), "cpu")


@pytest.mark.parametrize("part", ["transformer", "vae"])
def test_damaged_weights_are_refused(copy: Path, refused: Callable[[Path, str], None], part: str) -> None:
    file = copy / part / WEIGHTS
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    refused(copy, f"{part}/{WEIGHTS} is damaged .*fetch it again")
    file.write_bytes(b"not weights at all")
    refused(copy, "is damaged")
    file.unlink()
    refused(copy, r"holds no \.safetensors file")


def test_weights_that_do_not_fit_are_refused_rather_than_filled_with_noise(
    copy: Path, refused: Callable[[Path, str], None]
) -> None:
    file = copy / "transformer" / WEIGHTS
    tensors = load_file(file)
    some = tensors.pop("blocks.1.attn2.to_q.weight")
    save_file(tensors, file)
    refused(copy, r"not what it describes \(1 missing: blocks\.1\.attn2\.to_q\.weight\)")
    save_file({**tensors, "blocks.1.attn2.to_q.weight": some[:4].contiguous()}, file)
    refused(copy, r"1 of another shape: blocks\.1\.attn2\.to_q\.weight \(4, 24\), not \(24, 24\)")
    save_file({**tensors, "blocks.1.attn2.to_q.weight": some, "extra": torch.zeros(1)}, file)
    WanVaceSynthesizer.load(config(copy, copy), "cpu")  # as diffusers: nothing is lacking


def test_weights_in_several_files_are_one_model(copy: Path, cache: Path) -> None:
    from diffusers import WanVACETransformer3DModel

    transformer = WanVACETransformer3DModel.from_pretrained(copy / "transformer")
    (copy / "transformer" / WEIGHTS).unlink()
    transformer.save_pretrained(copy / "transformer", max_shard_size="60KB")
    assert len(list((copy / "transformer").glob("*.safetensors"))) > 1
    WanVaceSynthesizer.load(config(copy, cache), "cpu")


def test_a_foreign_configuration_is_refused(copy: Path, refused: Callable[[Path, str], None]) -> None:
    (copy / "transformer" / "config.json").write_text('{"num_layers": "many"}')
    refused(copy, "describes no WanVACETransformer3DModel")
    (copy / "transformer" / "config.json").unlink()
    refused(copy, "describes no WanVACETransformer3DModel")


def test_a_text_encoder_of_another_model_is_refused(tmp_path: Path) -> None:
    save_pipeline(tmp_path / "wide", text_width=48)
    with pytest.raises(SynthesisError, match="gives 32 channels and its transformer takes 48"):
        WanVaceSynthesizer.load(config(tmp_path / "wide", tmp_path), "cpu")
