"""Training clips on disk: shards of a few dozen, made once, each written whole or not at all."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from reconx_ros.diffusion.training.records import PER_FRAME, Record, record
from reconx_ros.errors import SourceError
from reconx_ros.progress import Progress
from reconx_ros.simulation.clips import ClipConfig, sample_clips

MANIFEST = "manifest.json"
SCENES, CLIPS = 8, 16
"""Procedural scenes in a shard; clips in one of a recording."""


def prepare(
    output: Path, clips: int, config: ClipConfig, seed: int, progress: Progress, scenes: int = SCENES
) -> int:
    """Fill ``output`` with shards until it holds ``clips`` clips; shards that are there stay.

    Args:
        output: folder, made if need be.
        clips: at least so many; each has ``config.frames`` frames.
        config: what clips to make; the same as before where the folder holds some.
        seed: of the first scene.
        progress: told about every shard; when it asks to stop, what is made so far is kept.
        scenes: in each shard.

    Returns:
        The number of clips in the folder.

    Raises:
        SourceError: the folder holds clips of another kind or cannot be written.
    """
    kind = {"seed": seed, "scenes": scenes, **asdict(config)}
    manifest = _manifest(output, json.loads(json.dumps(kind)))
    number, held = 0, 0
    while held < clips and not progress.cancelled():
        file = output / f"shard-{number:05d}.safetensors"
        if file.name not in manifest["shards"]:
            first = seed + number * scenes
            manifest["shards"][file.name] = _write_shard(file, range(first, first + scenes), config)
            _write(output / MANIFEST, json.dumps(manifest, indent=1).encode())
        held, number = held + manifest["shards"][file.name], number + 1
        progress.update("clips", min(held, clips), clips)
    return held


def keep(
    output: Path, records: Iterable[Record], kind: dict[str, Any], progress: Progress, frames: int = 1
) -> int:
    """Fill ``output`` with examples as they are made, those of a recording; return their number.

    Args:
        output: folder, made if need be.
        records: of one size.
        kind: what they were made of, JSON-ready.
        progress: told about every shard; when it asks to stop, what is made so far is kept.
        frames: of each example.

    Raises:
        SourceError: the folder holds clips of another kind or cannot be written.
    """
    manifest, held, left = _manifest(output, {**kind, "frames": frames}), 0, iter(records)
    while not progress.cancelled() and (part := list(islice(left, CLIPS))):
        file = output / f"shard-{held // CLIPS:05d}.safetensors"
        _save({f"{n}/{key}": value for n, one in enumerate(part) for key, value in one.items()}, file)
        manifest["shards"][file.name] = len(part)
        _write(output / MANIFEST, json.dumps(manifest, indent=1).encode())
        held += len(part)
        progress.update("clips", held, held)
    return held


def _manifest(output: Path, kind: dict[str, Any]) -> dict[str, Any]:
    try:
        output.mkdir(parents=True, exist_ok=True)
        there = json.loads((output / MANIFEST).read_text()) if (output / MANIFEST).exists() else None
    except (OSError, ValueError) as err:
        raise SourceError(f"{output} cannot hold training clips: {err}") from err
    if there is not None and there["kind"] != kind:
        raise SourceError(
            f"{output} holds clips made with {there['kind']}, not {kind}; take another folder"
        )
    return there or {"kind": kind, "shards": {}}


def _write_shard(file: Path, scenes: range, config: ClipConfig) -> int:
    made: dict[str, Tensor] = {}
    count = 0
    for scene in scenes:
        for clip in sample_clips(scene, config):
            made |= {f"{count}/{name}": value for name, value in record(clip).items()}
            count += 1
    _save(made, file)
    return count


def _save(tensors: dict[str, Tensor], file: Path) -> None:
    partial = file.with_suffix(".partial")
    save_file({name: value.contiguous() for name, value in tensors.items()}, partial)
    partial.replace(file)


def _write(file: Path, content: bytes) -> None:
    partial = file.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(file)


class ClipStore:
    """The clips of a folder, read when asked for; single frames or whole clips."""

    def __init__(self, folder: Path) -> None:
        """Open the folder.

        Raises:
            SourceError: it holds no training clips, or a shard is damaged.
        """
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
            self._shards: list[Any] = [safe_open(folder / name, "pt") for name in manifest["shards"]]
        except (OSError, ValueError, SafetensorError) as err:
            raise SourceError(f"{folder} holds no readable training clips: {err}") from err
        self.frames = int(manifest["kind"]["frames"])
        counts = manifest["shards"].values()
        self._where = [(shard, clip) for shard, count in enumerate(counts) for clip in range(count)]
        if not self._where:
            raise SourceError(f"{folder} holds no training clips yet; run `reconx train prepare`")
        self._names = sorted({key.partition("/")[2] for key in self._shards[0].keys()})  # noqa: SIM118 - not a dict

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, number: int) -> Record:
        shard, clip = self._where[number]
        return {name: self._shards[shard].get_tensor(f"{clip}/{name}") for name in self._names}

    def part(self, number: int, frames: slice) -> Record:
        """Return some of the frames of clip ``number`` as a clip of their own."""
        shard, clip = self._where[number]
        found: Record = {}
        for name in self._names:
            key = f"{clip}/{name}"
            if name in PER_FRAME:
                found[name] = self._shards[shard].get_slice(key)[frames]
            else:
                found[name] = self._shards[shard].get_tensor(key)
        return found


@lru_cache(maxsize=4)
def shuffled(count: int, seed: int, epoch: int) -> tuple[int, ...]:
    """Return 0 … ``count`` − 1 in the order of this epoch."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + epoch)
    return tuple(torch.randperm(count, generator=generator).tolist())
