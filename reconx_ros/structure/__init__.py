"""Step 2 of the paper: the 3D structure condition and the path the unseen parts are filmed along."""
