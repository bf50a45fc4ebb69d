from pathlib import Path

import pytest
import torch
from diffusers import WanVACETransformer3DModel
from safetensors import safe_open
from safetensors.torch import save_file

from reconx_ros.diffusion.wan.structure_branch import StructureBranch
from reconx_ros.diffusion.wan.structure_weights import load_structure, save_structure
from reconx_ros.errors import SynthesisError
from reconx_ros.structure.encoder import EncoderConfig

SMALL = EncoderConfig(tokens=8, width=16, heads=2, frequencies=3)


def transformer(layers: int = 2, heads: int = 2) -> WanVACETransformer3DModel:
    with torch.device("meta"):
        return WanVACETransformer3DModel(
            num_attention_heads=heads, attention_head_dim=12, num_layers=layers, vace_layers=[0]
        )


@pytest.fixture
def branch() -> StructureBranch:
    torch.manual_seed(1)
    branch = StructureBranch.for_transformer(transformer(), SMALL)
    torch.nn.init.constant_(branch.attentions[1].gate.weight, 0.25)
    return branch


def test_a_branch_comes_back_as_it_was_saved(branch: StructureBranch, tmp_path: Path) -> None:
    save_structure(branch, tmp_path / "structure.safetensors")
    back = load_structure(tmp_path / "structure.safetensors", transformer())
    assert back.encoder.config == SMALL
    assert back.state_dict().keys() == branch.state_dict().keys()
    for key, value in branch.state_dict().items():
        assert torch.equal(back.state_dict()[key], value.half().float()), key
    assert [file.name for file in tmp_path.iterdir()] == ["structure.safetensors"]


@pytest.mark.parametrize(("layers", "heads"), [(3, 2), (1, 2), (2, 4)])
def test_weights_of_another_model_are_refused(
    branch: StructureBranch, tmp_path: Path, layers: int, heads: int
) -> None:
    file = tmp_path / "structure.safetensors"
    save_structure(branch, file)
    expected = f"belongs to another model .*{layers} blocks of width {12 * heads}"
    with pytest.raises(SynthesisError, match=expected):
        load_structure(file, transformer(layers, heads))


def test_other_files_are_refused(branch: StructureBranch, tmp_path: Path) -> None:
    file = tmp_path / "structure.safetensors"
    with pytest.raises(SynthesisError, match=r"structure\.safetensors' does not exist"):
        load_structure(file, transformer())
    save_file({"weight": torch.zeros(3)}, file)
    with pytest.raises(SynthesisError, match="holds no structure attention"):
        load_structure(file, transformer())
    save_structure(branch, file)
    with safe_open(file, "pt") as opened:
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        header = opened.metadata()
    save_file(tensors, file, {**header, "encoder": "{}}"})
    with pytest.raises(SynthesisError, match="does not say the size of its encoder"):
        load_structure(file, transformer())
    del tensors["attentions.0.gate.weight"]
    save_file(tensors, file, header)
    with pytest.raises(SynthesisError, match=r"1 missing: attentions\.0\.gate\.weight"):
        load_structure(file, transformer())
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SynthesisError, match="is damaged"):
        load_structure(file, transformer())
