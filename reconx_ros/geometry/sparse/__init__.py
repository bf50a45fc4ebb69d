"""Sparse geometry: image features, matched between views and triangulated."""
