import argparse
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.dust3r.checkpoint import load_model, read_checkpoint
from reconx_ros.geometry.dust3r.model import Dust3r

Tensors = dict[str, Tensor]


def separate(state: Tensors) -> Tensors:
    """safetensors refuses tensors that share memory."""
    return {key: value.clone() for key, value in state.items()}


def equal(first: Tensors, second: Tensors) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("head", ["dpt", "linear"])
def test_every_kind_of_file_gives_the_same_model(
    tiny: Callable[..., Dust3r], head: str, tmp_path: Path
) -> None:
    model = tiny(head)
    state = separate(model.state_dict())
    save_file(state, tmp_path / "model.safetensors")
    args = argparse.Namespace(model="AsymmetricCroCo3DStereo(img_size=(64, 64), head_type='dpt')")
    torch.save({"args": args, "model": state, "epoch": 3}, tmp_path / "a.pth")
    torch.save(state, tmp_path / "bare.pth")
    (tmp_path / "config.json").write_text(json.dumps({"img_size": [64, 64]}))
    for place in (tmp_path, tmp_path / "a.pth"):
        loaded = load_model(str(place))
        assert loaded.architecture == model.architecture
        assert equal(loaded.state_dict(), state)
    for name in ("model.safetensors", "bare.pth"):
        assert load_model(str(tmp_path / name), 64).architecture == model.architecture
        assert load_model(str(tmp_path / name)).architecture.resolution == {"dpt": 512, "linear": 224}[head]


@pytest.mark.parametrize("kept", ["layer_rn.", "_rn.weight"])
def test_one_of_twin_keys_and_one_decoder_are_enough(
    tiny: Callable[..., Dust3r], kept: str, tmp_path: Path
) -> None:
    state = separate(tiny().state_dict())
    twins = [key for key in state if "_rn" in key and kept not in key]
    assert len(twins) == 8
    seconds = [key for key in state if key.startswith("dec_blocks2.")]
    for key in (*twins, *seconds):
        del state[key]
    save_file(state, tmp_path / "few.safetensors")
    loaded = load_model(str(tmp_path / "few.safetensors")).state_dict()
    assert len(loaded) == len(state) + len(twins) + len(seconds)
    assert torch.equal(loaded["dec_blocks2.1.mlp.fc1.weight"], state["dec_blocks.1.mlp.fc1.weight"])


def test_half_precision_files_are_widened(tiny: Callable[..., Dust3r], tmp_path: Path) -> None:
    state = {key: value.to(torch.bfloat16) for key, value in separate(tiny().state_dict()).items()}
    save_file(state, tmp_path / "half.safetensors")
    assert {v.dtype for v in load_model(str(tmp_path / "half.safetensors")).state_dict().values()} == {
        torch.float32
    }


def test_missing_unexpected_and_misshaped_keys_are_named(
    tiny: Callable[..., Dust3r], tmp_path: Path
) -> None:
    file = tmp_path / "x.safetensors"
    state = separate(tiny().state_dict())
    for number in range(2):
        del state[f"dec_blocks.{number}.norm_y.bias"]
    del state["enc_norm.bias"]
    del state["mask_token"]
    state["class_token"] = torch.zeros(1)
    state["dec_norm.weight"] = torch.zeros(7)
    save_file(state, file)
    with pytest.raises(GeometryError) as caught:
        load_model(str(file))
    message = str(caught.value)
    for part in ("4 missing: ", "mask_token", "and 1 more", "1 unexpected: class_token"):
        assert part in message
    assert "dec_norm.weight (7,), not (64,)" in message
    assert "x.safetensors is not a DUSt3R checkpoint" in message


def test_other_models_damaged_files_and_nothing_at_all(tiny: Callable[..., Dust3r], tmp_path: Path) -> None:
    state = separate(tiny().state_dict())
    save_file(state, tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "noise.pth").write_bytes(b"\x00garbage" * 50)
    (tmp_path / "empty.pth").write_bytes(b"")
    torch.save({"model": state}, tmp_path / "whole.pth")
    pth = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(pth[: len(pth) // 2])
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.safetensors")
    save_file({}, tmp_path / "nothing.safetensors")
    pretrained = {key: value for key, value in state.items() if not key.startswith("downstream_head")}
    save_file(pretrained, tmp_path / "croco.safetensors")
    torch.save({"model": [1, 2]}, tmp_path / "list.pth")
    (tmp_path / "folder").mkdir()
    cases = {
        "cut.safetensors": "cannot be read as a checkpoint",
        "noise.pth": "cannot be read as a checkpoint",
        "empty.pth": "cannot be read as a checkpoint",
        "cut.pth": "cannot be read as a checkpoint",
        "resnet.safetensors": "patch_embed.proj.weight is missing; its keys begin with conv1.weight",
        "nothing.safetensors": "it holds no tensors",
        "croco.safetensors": "downstream_head1.dpt.act_postprocess.0.0.weight is missing",
        "list.pth": "not the tensors of a model",
        "folder": "holds neither model.safetensors nor",
        "absent.pth": "does not exist",
        "absent": "does not exist",
    }
    for name, message in cases.items():
        with pytest.raises(GeometryError) as caught:
            load_model(str(tmp_path / name))
        assert message in str(caught.value), name
        assert name in str(caught.value)
        assert "naver/DUSt3R" in str(caught.value)


class Payload:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (print, ("executed",))


def test_a_pickle_that_would_run_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Payload(), protocol=2))
    torch.save({"model": Payload()}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(GeometryError, match="cannot be read"):
            read_checkpoint(str(tmp_path / name))
    assert "executed" not in capsys.readouterr().out


def test_a_hugging_face_id_without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(GeometryError, match=r"'naver/DUSt3R_x' is no file here and cannot be fetched"):
        load_model("naver/DUSt3R_x")
