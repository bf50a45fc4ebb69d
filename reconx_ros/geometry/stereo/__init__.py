"""Plane-sweep stereo: depth with confidence from posed colour images alone."""
