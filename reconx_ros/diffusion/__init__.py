"""Step 3 of the paper: structure-guided synthesis of the views nobody took."""
