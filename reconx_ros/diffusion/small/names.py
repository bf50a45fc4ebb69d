"""What the contenders of the small room are called, in configuration and files (no torch)."""

SMALL, ADAPTED, FILL = "small", "small-adapted", "push-pull"
CURVES = "confidence.json"
"""File of the reliability curves beside the weights."""
