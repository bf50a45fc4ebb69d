"""Procedural scenes with exact poses and depth: the demo, tests, training data."""
