"""Presets: YAML files that change values only."""
