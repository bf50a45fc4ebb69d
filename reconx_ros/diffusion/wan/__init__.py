"""Wan-VACE (Wan 2.1 VACE, Apache-2.0): a published video model that fills holes in rendered video."""
