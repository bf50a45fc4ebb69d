import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from reconx_ros.diffusion.wan.prompt import KEY, cache_folder, prompt_embeddings
from reconx_ros.errors import MissingDependencyError, SynthesisError

from .tiny import TEXT_WIDTH, config


def test_embeddings_are_computed_once(folder: Path, tmp_path: Path) -> None:
    how = config(folder, tmp_path)
    first, negative = prompt_embeddings(how, folder, TEXT_WIDTH, "cpu")
    assert first.shape == (1, 512, TEXT_WIDTH)
    assert negative is not None
    assert not torch.equal(first, negative)
    files = sorted(tmp_path.iterdir())
    assert [file.suffix for file in files] == [".safetensors"] * 2
    times = [file.stat().st_mtime_ns for file in files]
    again = prompt_embeddings(how, folder, TEXT_WIDTH, "cpu")
    assert torch.equal(again[0], first)
    assert [file.stat().st_mtime_ns for file in files] == times


def test_the_text_encoder_is_not_needed_the_second_time(folder: Path, tmp_path: Path) -> None:
    """Moved away it is another folder to the cache; emptied of weights behind its back it is not read."""
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    how = config(copy, tmp_path / "cache")
    first, _ = prompt_embeddings(how, copy, TEXT_WIDTH, "cpu")
    weights = copy / "text_encoder" / "model.safetensors"
    before = weights.stat()
    weights.write_bytes(b"\0" * before.st_size)
    import os

    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert torch.equal(prompt_embeddings(how, copy, TEXT_WIDTH, "cpu")[0], first)
    other = how.model_copy(update={"prompt": "a street"})
    with pytest.raises(SynthesisError, match=r"text encoder of .* cannot be loaded"):
        prompt_embeddings(other, copy, TEXT_WIDTH, "cpu")


def test_precision_prompt_and_model_have_their_own_embeddings(folder: Path, tmp_path: Path) -> None:
    for changes in ({}, {"dtype": "bf16"}, {"prompt": "a street"}):
        how = config(folder, tmp_path, guidance=1.0, **changes)
        embedding, negative = prompt_embeddings(how, folder, TEXT_WIDTH, "cpu")
        assert negative is None
        assert embedding.dtype == (torch.bfloat16 if changes.get("dtype") else torch.float32)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_embedding_is_computed_again(folder: Path, tmp_path: Path) -> None:
    how = config(folder, tmp_path, guidance=1.0)
    first, _ = prompt_embeddings(how, folder, TEXT_WIDTH, "cpu")
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert torch.equal(prompt_embeddings(how, folder, TEXT_WIDTH, "cpu")[0], first)


def test_an_embedding_that_is_not_finite_is_computed_again(folder: Path, tmp_path: Path) -> None:
    how = config(folder, tmp_path, guidance=1.0)
    first, _ = prompt_embeddings(how, folder, TEXT_WIDTH, "cpu")
    (file,) = tmp_path.iterdir()
    save_file({KEY: torch.full_like(first, torch.nan)}, file)
    assert torch.equal(prompt_embeddings(how, folder, TEXT_WIDTH, "cpu")[0], first)


def scaled_encoder(folder: Path, to: Path, times: float) -> Path:
    shutil.copytree(folder, to)
    file = to / "text_encoder" / "model.safetensors"
    tensors = load_file(file)
    tensors["encoder.final_layer_norm.weight"] *= times
    save_file(tensors, file, {"format": "pt"})
    return to


def test_a_text_encoder_that_overflows_in_half_precision_is_run_in_fp32(
    folder: Path, tmp_path: Path
) -> None:
    model = scaled_encoder(folder, tmp_path / "model", 1e6)
    half = config(model, tmp_path / "cache", guidance=1.0, dtype="fp16")
    embedding, _ = prompt_embeddings(half, model, TEXT_WIDTH, "cpu")
    whole, _ = prompt_embeddings(half.model_copy(update={"dtype": "fp32"}), model, TEXT_WIDTH, "cpu")
    assert torch.isfinite(embedding).all()
    assert torch.equal(embedding, whole)


def test_a_text_encoder_that_gives_nan_is_named_and_nothing_is_kept(folder: Path, tmp_path: Path) -> None:
    model = scaled_encoder(folder, tmp_path / "model", float("nan"))
    with pytest.raises(SynthesisError, match=r"text encoder of .* gave NaN in fp32"):
        prompt_embeddings(config(model, tmp_path / "cache", dtype="bf16"), model, TEXT_WIDTH, "cpu")
    assert not (tmp_path / "cache").exists()


def test_a_text_encoder_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match="gives 32 channels and its transformer takes 4096"):
        prompt_embeddings(config(folder, tmp_path), folder, 4096, "cpu")


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(MissingDependencyError, match=r"ftfy: pip install 'reconx_ros\[wan\]'"):
        prompt_embeddings(config(folder, tmp_path), folder, TEXT_WIDTH, "cpu")


def test_embeddings_lie_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    how = config(tmp_path, tmp_path).model_copy(update={"cache": None})
    assert cache_folder(how) == tmp_path / "reconx_ros" / "prompts"
