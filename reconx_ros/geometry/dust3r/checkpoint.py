"""Checkpoints: found, read without running anything in them, and loaded with every key accounted for."""

import argparse
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reconx_ros.errors import GeometryError, MissingDependencyError
from reconx_ros.geometry.dust3r.heads import CHANNELS, DPT_STAGES
from reconx_ros.geometry.dust3r.layers import HEAD_WIDTH
from reconx_ros.geometry.dust3r.model import Architecture, Dust3r

Tensors = dict[str, Tensor]

HELP = (
    "give a DUSt3R checkpoint: a .safetensors or .pth file, a folder with model.safetensors, or a Hugging "
    "Face id such as naver/DUSt3R_ViTLarge_BaseDecoder_512_dpt"
)
NAMED = 3
"""Keys that an error names."""

TWINS = re.compile(r"(downstream_head[12]\.dpt\.scratch)\.(?:layer_rn\.(\d)|layer(\d)_rn)\.")
RESOLUTIONS = {"dpt": 512, "linear": 224}
FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        name: where it came from, for messages.
        tensors: the state dict.
        resolution: pixels it was trained at, ``None`` where it does not say.
    """

    name: str
    tensors: Tensors
    resolution: int | None


def load_model(weights: str, resolution: int | None = None) -> Dust3r:
    """Return the network with the weights at ``weights`` (``HELP`` says what that can be).

    Args:
        weights: path or Hugging Face id.
        resolution: overrides what the checkpoint says or its head suggests.

    Raises:
        GeometryError: nothing is there, it cannot be read, or it is another model's.
        MissingDependencyError: an id was given and huggingface_hub is not installed.
    """
    checkpoint = read_checkpoint(weights)
    tensors = completed(checkpoint.tensors)
    architecture = infer_architecture(checkpoint.name, tensors, resolution or checkpoint.resolution)
    with torch.device("meta"):
        model = Dust3r(architecture)
    check_keys(checkpoint.name, model.state_dict(), tensors)
    model.load_state_dict({key: value.float() for key, value in tensors.items()}, assign=True)
    return model.eval().requires_grad_(False)


def read_checkpoint(weights: str) -> Checkpoint:
    """Read the state dict at ``weights``; nothing in the file is executed.

    Raises:
        GeometryError: see ``load_model``.
        MissingDependencyError: see ``load_model``.
    """
    path = Path(weights).expanduser()
    if path.is_dir():
        files = [path / name for name in FOLDER_FILES if (path / name).is_file()]
        if not files:
            raise GeometryError(f"folder {path} holds neither {' nor '.join(FOLDER_FILES)}; {HELP}")
        return _read_file(files[0], _resolution_of_config(path / "config.json"))
    if path.is_file():
        return _read_file(path, None)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", weights) and path.suffix not in (".pth", ".pt", ".safetensors"):
        return _read_hub(weights)
    raise GeometryError(f"geometry.dust3r.weights = '{weights}' does not exist; {HELP}")


def completed(tensors: Mapping[str, Tensor]) -> Tensors:
    """Return ``tensors`` with what published files leave out: one of twin keys, the second decoder."""
    full = dict(tensors)
    for key, value in tensors.items():
        for twin in _twins(key):
            full.setdefault(twin, value)
    if not any(key.startswith("dec_blocks2.") for key in full):
        first = {key: value for key, value in full.items() if key.startswith("dec_blocks.")}
        full |= {key.replace("dec_blocks.", "dec_blocks2.", 1): value for key, value in first.items()}
    return full


def check_keys(name: str, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Check that ``given`` has exactly the keys and shapes ``wanted``.

    Raises:
        GeometryError: it has not; the first few keys are named.
    """
    shapes = [key for key in wanted if key in given and wanted[key].shape != given[key].shape]
    complaints = {
        "missing": [key for key in wanted if key not in given],
        "unexpected": [key for key in given if key not in wanted],
        "of another shape": [f"{k} {tuple(given[k].shape)}, not {tuple(wanted[k].shape)}" for k in shapes],
    }
    said = [f"{len(keys)} {what}: {_few(keys)}" for what, keys in complaints.items() if keys]
    if said:
        raise GeometryError(f"{name} is not a DUSt3R checkpoint ({'; '.join(said)}); {HELP}")


def infer_architecture(name: str, tensors: Mapping[str, Tensor], resolution: int | None) -> Architecture:
    """Return the sizes that the shapes of ``tensors`` tell.

    Raises:
        GeometryError: tensors that every DUSt3R model has are missing or make no sense.
    """
    try:
        return _infer(tensors, resolution)
    except (KeyError, IndexError, ValueError) as err:
        missing = err.args[0] if isinstance(err, KeyError) else err
        have = f"its keys begin with {_few(list(tensors))}" if tensors else "it holds no tensors"
        raise GeometryError(
            f"{name} is not a DUSt3R checkpoint: {missing} is missing; {have}; {HELP}"
        ) from err


def _infer(tensors: Mapping[str, Tensor], resolution: int | None) -> Architecture:
    encoder_width, _, patch, _ = tensors["patch_embed.proj.weight"].shape
    decoder_width = tensors["decoder_embed.weight"].shape[0]
    if encoder_width % HEAD_WIDTH or decoder_width % HEAD_WIDTH:
        raise ValueError(f"a width that is a multiple of {HEAD_WIDTH}")
    sizes: dict[str, Any] = {
        "encoder_width": encoder_width,
        "encoder_depth": _depth(tensors, "enc_blocks"),
        "encoder_hidden": tensors["enc_blocks.0.mlp.fc1.weight"].shape[0],
        "decoder_width": decoder_width,
        "decoder_depth": _depth(tensors, "dec_blocks"),
        "decoder_hidden": tensors["dec_blocks.0.mlp.fc1.weight"].shape[0],
        "patch": patch,
        "head": "linear" if "downstream_head1.proj.weight" in tensors else "dpt",
    }
    if sizes["head"] == "dpt":
        dpt = "downstream_head1.dpt"
        sizes |= {
            "dpt_dims": tuple(
                tensors[f"{dpt}.act_postprocess.{n}.0.weight"].shape[0] for n in range(DPT_STAGES)
            ),
            "dpt_feature": tensors[f"{dpt}.head.0.weight"].shape[1],
            "dpt_last": tensors[f"{dpt}.head.2.weight"].shape[0],
        }
        tensors[f"{dpt}.head.4.weight"][CHANNELS - 1]
    return Architecture(resolution=resolution or RESOLUTIONS[sizes["head"]], **sizes)


def _depth(tensors: Mapping[str, Tensor], blocks: str) -> int:
    return 1 + max(int(key.split(".")[1]) for key in tensors if key.startswith(f"{blocks}."))


def _twins(key: str) -> list[str]:
    """Return both names of a convolution that the checkpoints name twice, nothing for other keys."""
    match = TWINS.match(key)
    if match is None:
        return []
    number = int(match[2]) if match[2] else int(match[3]) - 1
    rest = key[match.end() :]
    return [f"{match[1]}.layer_rn.{number}.{rest}", f"{match[1]}.layer{number + 1}_rn.{rest}"]


def _few(keys: list[str]) -> str:
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(keys[:NAMED]) + more


def _read_file(path: Path, resolution: int | None) -> Checkpoint:
    reader = _read_safetensors if path.suffix == ".safetensors" else _read_pickle
    try:
        tensors, said = reader(path)
    except GeometryError:
        raise
    except Exception as err:  # a damaged file fails in many ways; all mean the same here
        raise GeometryError(
            f"{path} cannot be read as a checkpoint ({type(err).__name__}: {_first_line(err)}); {HELP}"
        ) from err
    return Checkpoint(str(path), tensors, resolution or said)


def _read_safetensors(path: Path) -> tuple[Tensors, int | None]:
    from safetensors.torch import load_file  # noqa: PLC0415

    return load_file(path), None


def _read_pickle(path: Path) -> tuple[Tensors, int | None]:
    """Read a .pth of {'args', 'model'}, or a bare state dict."""
    with torch.serialization.safe_globals([argparse.Namespace]):
        held = torch.load(path, map_location="cpu", weights_only=True)
    tensors = held.get("model", held) if isinstance(held, Mapping) else None
    if not isinstance(tensors, Mapping) or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise GeometryError(f"{path} holds {type(held).__name__}, not the tensors of a model; {HELP}")
    args = held.get("args")
    return dict(tensors), _resolution_in(str(getattr(args, "model", "")))


def _read_hub(name: str) -> Checkpoint:
    try:
        from huggingface_hub import hf_hub_download  # noqa: PLC0415
    except ImportError as err:
        raise MissingDependencyError(
            f"'{name}' is a Hugging Face id and huggingface_hub is not installed; pip install "
            "huggingface_hub, or give a file"
        ) from err
    file = _downloaded(lambda: hf_hub_download(name, FOLDER_FILES[0]), name)
    return _read_file(file, _resolution_of_config(file.parent / "config.json") or _resolution_in_name(name))


def _downloaded(download: Callable[[], str], name: str) -> Path:
    try:
        return Path(download())
    except Exception as err:  # no network, no such id, no such file, no room: one answer
        raise GeometryError(
            f"'{name}' is no file here and cannot be fetched from Hugging Face ({type(err).__name__}: "
            f"{_first_line(err)}); {HELP}"
        ) from err


def _resolution_of_config(file: Path) -> int | None:
    try:
        size = json.loads(file.read_text()).get("img_size")
        return int(max(size))
    except (OSError, ValueError, TypeError, AttributeError):
        return None  # the file is optional


def _resolution_in(text: str) -> int | None:
    found = re.search(r"img_size=\(?\s*(\d+)", text)
    return int(found[1]) if found else None


def _resolution_in_name(name: str) -> int | None:
    found = re.search(r"_(224|512)_", name)
    return int(found[1]) if found else None


def _first_line(err: Exception) -> str:
    return (str(err).strip().splitlines() or ["no message"])[0][:200]
