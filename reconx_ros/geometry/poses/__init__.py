"""Step 0, for photos: cameras from the images alone, by structure from motion."""
