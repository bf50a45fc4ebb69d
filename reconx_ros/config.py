"""The whole configuration: one section a stage, one YAML file, presets that change values only."""

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from reconx_ros.diffusion.config import SynthesisConfig
from reconx_ros.errors import ConfigError
from reconx_ros.geometry.config import GeometryConfig
from reconx_ros.keyframes.config import KeyframeConfig
from reconx_ros.mapping.config import MappingConfig
from reconx_ros.settings import Settings
from reconx_ros.sources.config import SourceConfig
from reconx_ros.splatting.config import SplattingConfig

Drawing = tuple[Literal["auto", "gsplat", "cpu", "reference"], str]
"""A rasterizer and a device."""

PRESETS = ("fast", "balanced", "quality")


class ReconxConfig(Settings):
    """Every stage's settings."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    source: SourceConfig = SourceConfig()
    keyframes: KeyframeConfig = KeyframeConfig()
    geometry: GeometryConfig = GeometryConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    splatting: SplattingConfig = SplattingConfig()
    mapping: MappingConfig = MappingConfig()

    @property
    def drawing(self) -> Drawing:
        """The rasterizer, and the device it may draw on: what ``render_view`` takes after the camera."""
        return self.splatting.rasterizer, self.device


def load_config(
    preset: str = "balanced", file: Path | None = None, overrides: dict[str, Any] | None = None
) -> ReconxConfig:
    """Return the preset, overlaid with ``file`` (YAML), overlaid with ``overrides`` (nested).

    Raises:
        ConfigError: unknown preset, unreadable file, unknown name or value out of range.
    """
    if preset not in PRESETS:
        raise ConfigError(f"preset '{preset}' is unknown; choose one of {', '.join(PRESETS)}")
    values = _parse((files("reconx_ros.presets") / f"{preset}.yaml").read_text(), preset)
    if file is not None:
        values = overlaid(values, _parse(_read(file), str(file)))
        _validate(values)  # what is wrong in it is told even where an override hides it
    return _validate(overlaid(values, overrides or {}))


def changed(config: ReconxConfig, overrides: dict[str, Any]) -> ReconxConfig:
    """Return ``config`` overlaid with ``overrides`` (nested).

    Raises:
        ConfigError: unknown name or value out of range.
    """
    return _validate(overlaid(config.model_dump(), overrides))


def dump_config(config: ReconxConfig) -> str:
    """Return ``config`` as YAML that ``load_config`` reads back."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    return text


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"config file {file} cannot be read: {err}") from err


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as err:
        raise ConfigError(f"config {name} is not YAML: {' '.join(str(err).split())}") from err
    if not isinstance(values, dict):
        raise ConfigError(f"config {name} must be a mapping of sections, not {type(values).__name__}")
    return values


def overlaid(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return the nested mapping ``base`` with the values of ``over`` in place of its own."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = overlaid(merged[key], value) if both else value
    return merged


def _validate(values: dict[str, Any]) -> ReconxConfig:
    try:
        return ReconxConfig.model_validate(values)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"config {where} = {first['input']!r}: {first['msg']}") from err
