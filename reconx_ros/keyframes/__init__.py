"""Keyframes: what a view is, which views are kept, and how colour, depth and pose are matched."""
